// SPDX-License-Identifier: Apache-2.0
// The transport's named limits, each with what happens when it is reached.
// Threading: constants.
#pragma once

#include <velo/base/limits.hpp>

#include <cstddef>

namespace velo::transport::limits {

/// Bytes a connection holds for writing. Requests over 15/16 of it: Admission::overloaded. Anything
/// over it: the connection closes with Errc::peer_too_slow, since a peer that does not read replies
/// harms only itself.
constexpr std::size_t connection_queue_bytes_max = std::size_t{64} << 20;
/// Payloads of at least this size are shared, not copied, when the sender gave their owner.
constexpr std::size_t shared_payload_bytes_min = std::size_t{16} << 10;
/// One gathered write takes at most this many small-frame bytes from one block.
constexpr std::size_t write_block_bytes = std::size_t{64} << 10;
/// The scratch buffer that all stream connections of one shard read into.
constexpr std::size_t read_buffer_bytes = std::size_t{256} << 10;
/// A header this long or longer is refused before it is buffered (name 65,535 + headers 16,384 +
/// fixed part).
constexpr std::size_t header_bytes_max = 65'535 + 16'384 + 64;

}  // namespace velo::transport::limits
