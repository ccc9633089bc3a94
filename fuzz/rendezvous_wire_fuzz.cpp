// SPDX-License-Identifier: Apache-2.0
// The bodies of `_rv_*` requests and answers: no input may crash, and what is read says the same
// when it is written and read again.

#include "wire.hpp"

#include <velo/base/check.hpp>
#include <velo/rendezvous/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wire = velo::rendezvous::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto bytes = velo::as_bytes(text);
  const bool short_enough = size <= velo::rendezvous::limits::request_bytes_max;
  if (const auto handle = wire::decode_handle(bytes)) {
    VELO_CHECK(short_enough);
    VELO_CHECK(wire::decode_handle(wire::encode_handle(*handle)).value() == *handle);
  }
  if (const auto both = wire::decode_lease(bytes)) {
    const auto again = wire::decode_lease(wire::encode_lease(both->handle, both->lease));
    VELO_CHECK(again && again->handle == both->handle && again->lease == both->lease);
  }
  if (const auto pull = wire::decode_pull(bytes)) {
    const auto again = wire::decode_pull(wire::encode_pull(*pull));
    VELO_CHECK(again && again->transfer_id == pull->transfer_id &&
               again->chunk_index == pull->chunk_index);
  }
  if (const auto metadata = wire::decode_metadata(bytes)) {
    const auto again = wire::decode_metadata(wire::encode_metadata(*metadata));
    VELO_CHECK(again && again->total_bytes == metadata->total_bytes &&
               again->references == metadata->references && again->pinned == metadata->pinned);
  }
  if (const auto grant = wire::decode_grant(bytes)) {
    // What is allocated and asked for follows from these.
    VELO_CHECK(grant->chunk_size != 0 && grant->chunk_size <= velo::limits::frame_bytes_max / 2);
    VELO_CHECK(std::uint64_t{grant->chunk_count} * grant->chunk_size >= grant->total_len);
    VELO_CHECK(wire::decode_grant(wire::encode_grant(*grant)).has_value());
  }
  if (const auto handle = velo::DataHandle::parse(text)) {
    VELO_CHECK(handle->valid());
    VELO_CHECK(velo::DataHandle::parse(handle->to_string()).value() == *handle);
  }
  return 0;
}
