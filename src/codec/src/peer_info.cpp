// SPDX-License-Identifier: Apache-2.0
// Addresses in the public velo's encoding.

#include <velo/codec/msgpack.hpp>
#include <velo/codec/peer_info.hpp>

#include <fmt/format.h>

#include <map>
#include <string>

namespace velo::codec {

Bytes encode_worker_address(const WorkerAddress& address) {
  msgpack::Writer writer;
  writer.begin_map(address.size());
  for (const auto& [key, entry] : address) {
    writer.key(key);
    Codec<IntArrayBytes>::write(writer, IntArrayBytes{entry});
  }
  return std::move(writer).take();
}

Result<WorkerAddress> decode_worker_address(ByteSpan data) {
  if (data.size() > worker_address_bytes_max) {
    return make_error(Errc::too_large, fmt::format("an address of {} bytes; at most {} are allowed",
                                                   data.size(), worker_address_bytes_max));
  }
  msgpack::Reader reader(data);
  Sequence sequence;
  if (!reader.enter_map(sequence)) return reader.error();
  if (sequence.left > worker_address_entries_max) {
    return make_error(Errc::too_large,
                      fmt::format("an address of {} entries; at most {} are allowed", sequence.left,
                                  worker_address_entries_max));
  }
  WorkerAddress address;
  std::string_view key;
  while (reader.next_key(sequence, key)) {
    Bytes entry;
    if (!reader.read_bytes(entry)) {
      reader.in_key(key);
      return reader.error();
    }
    address.insert_or_assign(std::string(key), std::move(entry));
  }
  if (!reader.finish()) return reader.error();
  return address;
}

}  // namespace velo::codec
