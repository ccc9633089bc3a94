// SPDX-License-Identifier: Apache-2.0
// WorkerAddress and PeerInfo in the encodings of the public velo, so that its nodes and ours read
// each other's. Not the meaning of an address: each transport's entry is opaque here.
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/codec/describe.hpp>
#include <velo/codec/int_array_bytes.hpp>
#include <velo/codec/read.hpp>
#include <velo/codec/write.hpp>

#include <cstddef>

namespace velo::codec {

inline constexpr std::size_t worker_address_entries_max = 32;
inline constexpr std::size_t worker_address_bytes_max = std::size_t{64} << 10U;

/// A MessagePack map of transport key to array of integers, keys in order.
Bytes encode_worker_address(const WorkerAddress& address);

/// Entries may be `bin` as well. Errc::too_large beyond the limits above, before anything is
/// allocated.
Result<WorkerAddress> decode_worker_address(ByteSpan data);

/// How a PeerInfo is written: {"instance_id": "<uuid>", "worker_address": [<integers>]}.
struct PeerInfoRecord {
  InstanceId instance_id;
  IntArrayBytes worker_address;
};
VELO_DESCRIBE(PeerInfoRecord, instance_id, worker_address);

template <>
struct Codec<PeerInfo> {
  template <class Out>
  static void write(Out& out, const PeerInfo& peer) {
    write_value(out, PeerInfoRecord{peer.instance_id, {encode_worker_address(peer.address)}});
  }
  template <class In>
  static bool read(In& in, PeerInfo& peer) {
    PeerInfoRecord record;
    if (!read_value(in, record)) return false;
    Result<WorkerAddress> address = decode_worker_address(record.worker_address.bytes);
    if (!address) {
      in.fail(static_cast<Errc>(address.error().code().value), address.error().context());
      return in.in_member("worker_address");
    }
    peer = PeerInfo{record.instance_id, std::move(*address)};
    return true;
  }
};

}  // namespace velo::codec
