// SPDX-License-Identifier: Apache-2.0
// The bodies of `_rv_*` requests and answers: JSON, as the public velo has them
// (docs/protocols/rendezvous.md). Core: values in, values out.
// Threading: pure functions.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/rendezvous/data_handle.hpp>

#include <cstdint>

namespace velo::rendezvous::wire {

/// `_rv_metadata`, `_rv_acquire`, `_rv_ref`.
Bytes encode_handle(const DataHandle& handle);
Result<DataHandle> decode_handle(ByteSpan json);

/// `_rv_detach`, `_rv_release`.
struct HandleAndLease {
  DataHandle handle;
  DataLease lease;
};
Bytes encode_lease(const DataHandle& handle, DataLease lease);
Result<HandleAndLease> decode_lease(ByteSpan json);

/// `_rv_pull`.
struct PullRequest {
  std::uint64_t transfer_id = 0;
  std::uint32_t chunk_index = 0;
};
Bytes encode_pull(const PullRequest& request);
Result<PullRequest> decode_pull(ByteSpan json);

Bytes encode_metadata(const DataMetadata& metadata);
Result<DataMetadata> decode_metadata(ByteSpan json);

/// The answer to `_rv_acquire`.
struct Grant {
  std::uint64_t lease_id = 0;
  std::uint64_t transfer_id = 0;
  std::uint64_t total_len = 0;
  std::uint32_t chunk_size = 0;
  std::uint32_t chunk_count = 0;
};
Bytes encode_grant(const Grant& grant);
/// Errc::bad_peer where the numbers contradict each other or a chunk would not fit into a frame.
Result<Grant> decode_grant(ByteSpan json);

}  // namespace velo::rendezvous::wire
