// SPDX-License-Identifier: Apache-2.0
// Named limits shared by several rooms, each with its policy (docs/limits.md is made from these
// comments). A room's own limits stand in its own limits.hpp.
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>

namespace velo::limits {

/// Header and payload of one frame (protocol limit of the public velo). Policy: a larger one is not
/// sent (messenger::Errc::too_large), and one that arrives closes its connection before anything is
/// allocated.
constexpr std::size_t frame_bytes_max = std::size_t{16} << 20;
/// Time that a call has, unless the caller says otherwise. Policy: then it ends as
/// deadline_exceeded, and its handler is told to stop.
constexpr Duration call_deadline_default = std::chrono::seconds(30);
/// The longest time that a call may have. Policy: a longer one is clamped to this.
constexpr Duration call_deadline_max = std::chrono::hours(24);

/// Bytes that a node may hold for others, unless it is built with another budget. Policy: requests
/// without room end as messenger::Errc::over_budget; a large frame that arrives without room is
/// skipped and answered so.
constexpr std::size_t memory_budget_bytes_default = std::size_t{256} << 20;
/// The smallest budget. Policy: a smaller one is raised to this.
constexpr std::size_t memory_budget_bytes_min = std::size_t{1} << 20;
/// Bytes that one holder (a connection's queue, the sends that wait for a peer, the requests of a
/// connection that run) may have; never more than a quarter of the budget. Policy: requests stop at
/// 15/16 of it as over_budget; a reply beyond it closes the connection as peer_too_slow.
constexpr std::size_t peer_memory_bytes_default = std::size_t{64} << 20;
/// What each holder has without charging it, so that small frames always pass. Policy: more is
/// charged to the budget.
constexpr std::size_t uncharged_bytes = 4096;
/// How much a holder asks the budget for at a time. Policy: when that is more than it may have, it
/// asks for what it needs.
constexpr std::size_t allowance_chunk_bytes = std::size_t{64} << 10;

/// A region of memory that another process wants to share. Policy: one that is longer ends the
/// handshake.
constexpr std::size_t shared_memory_bytes_max = std::size_t{64} << 20;
/// Connections to one listener of shared memory whose handshake is not over yet. Policy: with more,
/// the oldest is dropped.
constexpr std::size_t shared_memory_handshakes_max = 64;
/// What a spinning shard looks at by itself. Policy: what comes after these wakes the shard for
/// everything, as if it did not spin.
constexpr std::size_t poll_sources_max = 64;

/// A tracestate (W3C trace context) is passed on whole or not at all. Policy: a longer one is
/// dropped, and the rest of the context is kept.
constexpr std::size_t trace_state_bytes_max = 512;
/// Entries of a tracestate. Policy: as above.
constexpr std::size_t trace_state_members_max = 32;

}  // namespace velo::limits
