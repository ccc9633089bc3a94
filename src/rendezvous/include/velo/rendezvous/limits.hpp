// SPDX-License-Identifier: Apache-2.0
// The named limits of large payloads, each with its policy (docs/limits.md is made from these
// comments).
// Threading: constants.
#pragma once

#include <velo/base/limits.hpp>

#include <cstddef>
#include <cstdint>

namespace velo::rendezvous::limits {

/// One piece of data as it is asked for and sent. Policy: larger data is sent in several; a peer
/// that announces pieces over the frame limit is answered as Errc::bad_peer.
constexpr std::size_t chunk_bytes = std::size_t{512} << 10;
/// Data that one instance has registered. Policy: registering more is refused as Errc::store_full.
constexpr std::size_t entries_max = 65'536;
/// Read locks on one instance's data. Policy: a further reader is answered Errc::store_full.
constexpr std::size_t leases_max = 65'536;
/// The same of one reading instance. Policy: as above.
constexpr std::size_t leases_per_reader_max = 4'096;
/// Leases that lapsed and whose holders may still give up their reference. Policy: the oldest is
/// forgotten, and its reference stays.
constexpr std::size_t lapsed_leases_max = 65'536;
/// References to one piece of data. Policy: a further one is refused as Errc::store_full.
constexpr std::uint32_t references_max = 1'000'000;
/// Time for which a lease lives on without its holder asking for anything. Policy: then it lapses,
/// and what waited for it is freed.
constexpr Duration lease_ttl = std::chrono::seconds(30);
/// Chunks of one transfer that are asked for and not stored, at first; it grows with success.
/// Policy: further chunks are asked for when these are stored.
constexpr std::uint32_t window_chunks_first = 4;
/// The same at most. Policy: as above.
constexpr std::uint32_t window_chunks_max = 16;
/// Transfers that one instance reads at a time. Policy: a further one ends as Errc::store_full.
constexpr std::size_t transfers_max = 4'096;
/// What get() assembles in memory unless it is told otherwise. Policy: larger data ends as
/// Errc::too_large; get_into() takes any size.
constexpr std::size_t get_bytes_default = std::size_t{256} << 20;
/// Time for one request of a transfer. Policy: then it is asked again, on whatever connection there
/// is.
constexpr Duration request_timeout = std::chrono::seconds(10);
/// Time in which nothing of a transfer arrives, unless it is told otherwise. Policy: then it ends
/// as Errc::stalled.
constexpr Duration stall_default = std::chrono::seconds(30);
/// Pause before a request that failed is made again, doubled each time. Policy: it then goes out
/// with the next ones.
constexpr Duration retry_pause_first = std::chrono::milliseconds(20);
/// What that pause grows to. Policy: further failures make it no longer.
constexpr Duration retry_pause_longest = std::chrono::seconds(1);
/// How long a draining owner waits for a reader that asks for nothing more. Policy: then it closes
/// all the same.
constexpr Duration drain_idle = std::chrono::seconds(2);
/// The size from which payloads are staged and pulled, unless told otherwise. Policy: smaller ones
/// travel in their message.
constexpr std::size_t stage_bytes_default = std::size_t{256} << 10;
/// How long a staged payload waits for its reader when no call does: of fire-and-forget, and of
/// replies. Policy: then it is freed.
constexpr Duration staged_ttl = std::chrono::seconds(60);
/// A request body of this protocol (JSON). Policy: a longer one is refused unread, as
/// messenger::Errc::bad_request.
constexpr std::size_t request_bytes_max = 1'024;

}  // namespace velo::rendezvous::limits
