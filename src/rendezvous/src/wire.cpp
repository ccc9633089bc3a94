// SPDX-License-Identifier: Apache-2.0
// JSON of the `_rv_*` handlers.

#include "wire.hpp"

#include <velo/codec/json.hpp>
#include <velo/messenger/error.hpp>
#include <velo/rendezvous/error.hpp>
#include <velo/rendezvous/limits.hpp>

#include <optional>
#include <utility>

namespace velo::rendezvous::wire {
namespace wire_detail {

struct HandleRecord {
  std::uint64_t hi = 0;
  std::uint64_t lo = 0;
};
VELO_DESCRIBE(HandleRecord, hi, lo);

struct OfHandle {
  HandleRecord handle;
};
VELO_DESCRIBE(OfHandle, handle);

struct OfLease {
  HandleRecord handle;
  std::uint64_t lease_id = 0;
};
VELO_DESCRIBE(OfLease, handle, lease_id);

struct MetadataRecord {
  std::uint64_t total_len = 0;
  std::uint32_t refcount = 0;
  bool pinned = false;
};
VELO_DESCRIBE(MetadataRecord, total_len, refcount, pinned);

/// The name is the wire's.
struct AcquireRecord {
  std::optional<Grant> Ready;  // NOLINT(readability-identifier-naming)
};

static HandleRecord record_of(const DataHandle& handle) {
  return HandleRecord{handle.owner().value(), handle.local()};
}
static DataHandle handle_of(const HandleRecord& record) { return {WorkerId(record.hi), record.lo}; }

template <class T>
static Result<T> decode(ByteSpan json) {
  if (json.size() > limits::request_bytes_max) {
    return messenger::make_error(messenger::Errc::bad_request, "longer than any request is");
  }
  auto record = codec::from_json<T>(as_text(json));
  if (!record) {
    return messenger::make_error(messenger::Errc::bad_request, record.error().to_string());
  }
  return std::move(*record);
}

template <class T>
static Bytes encode(const T& record) {
  return Bytes::own(codec::to_json(record));
}

}  // namespace wire_detail

VELO_DESCRIBE(PullRequest, transfer_id, chunk_index);
VELO_DESCRIBE(Grant, lease_id, transfer_id, total_len, chunk_size, chunk_count);

namespace wire_detail {
VELO_DESCRIBE(AcquireRecord, Ready);
}  // namespace wire_detail

Bytes encode_handle(const DataHandle& handle) {
  return wire_detail::encode(wire_detail::OfHandle{wire_detail::record_of(handle)});
}

Result<DataHandle> decode_handle(ByteSpan json) {
  const auto record = wire_detail::decode<wire_detail::OfHandle>(json);
  if (!record) return record.error();
  return wire_detail::handle_of(record->handle);
}

Bytes encode_lease(const DataHandle& handle, DataLease lease) {
  return wire_detail::encode(wire_detail::OfLease{wire_detail::record_of(handle), lease.id()});
}

Result<HandleAndLease> decode_lease(ByteSpan json) {
  const auto record = wire_detail::decode<wire_detail::OfLease>(json);
  if (!record) return record.error();
  return HandleAndLease{wire_detail::handle_of(record->handle), DataLease(record->lease_id)};
}

Bytes encode_pull(const PullRequest& request) { return wire_detail::encode(request); }

Result<PullRequest> decode_pull(ByteSpan json) { return wire_detail::decode<PullRequest>(json); }

Bytes encode_metadata(const DataMetadata& metadata) {
  return wire_detail::encode(
      wire_detail::MetadataRecord{metadata.total_bytes, metadata.references, metadata.pinned});
}

Result<DataMetadata> decode_metadata(ByteSpan json) {
  const auto record = wire_detail::decode<wire_detail::MetadataRecord>(json);
  if (!record) return make_error(Errc::bad_peer, record.error().context());
  DataMetadata metadata;
  metadata.total_bytes = record->total_len;
  metadata.references = record->refcount;
  metadata.pinned = record->pinned;
  return metadata;
}

Bytes encode_grant(const Grant& grant) {
  return wire_detail::encode(wire_detail::AcquireRecord{grant});
}

Result<Grant> decode_grant(ByteSpan json) {
  const auto record = wire_detail::decode<wire_detail::AcquireRecord>(json);
  if (!record) return make_error(Errc::bad_peer, record.error().context());
  if (!record->Ready) return make_error(Errc::bad_peer, "another way to move data than chunks");
  const Grant& grant = *record->Ready;
  const std::uint64_t size = grant.chunk_size;
  const std::uint64_t chunks =
      size == 0 ? 0 : grant.total_len / size + (grant.total_len % size != 0);
  if (size == 0 || size > velo::limits::frame_bytes_max / 2) {
    return make_error(Errc::bad_peer, "chunks of " + std::to_string(size) + " bytes");
  }
  // Of empty data the public velo counts one chunk.
  if (grant.chunk_count != chunks && !(chunks == 0 && grant.chunk_count == 1)) {
    return make_error(Errc::bad_peer, "its chunks are not as many as its bytes need");
  }
  return grant;
}

}  // namespace velo::rendezvous::wire
