// SPDX-License-Identifier: Apache-2.0
// The messenger's named limits, each with what happens when it is reached.
// Threading: constants.
#pragma once

#include <velo/base/limits.hpp>

#include <cstddef>
#include <cstdint>

namespace velo::messenger::limits {

/// Calls in flight of one messenger (the wire's slot index has 16 bits). More:
/// Errc::too_many_calls, or a place in the waiting list for sends that chose await_capacity().
constexpr std::size_t calls_max = 65'535;
/// Sends waiting for a call slot. More: Errc::too_many_calls.
constexpr std::size_t waiting_sends_max = 4'096;
/// Sends waiting for a peer to be found, dialled and greeted. More: Errc::overloaded.
constexpr std::size_t pending_sends_per_peer_max = 65'536;
constexpr std::size_t pending_bytes_per_peer_max = std::size_t{64} << 20;
/// Requests that wait for room in the peer's request window, of one connection. More:
/// Errc::overloaded.
constexpr std::size_t held_requests_per_connection_max = 65'536;
constexpr std::size_t held_bytes_per_connection_max = std::size_t{64} << 20;
/// Requests of one connection whose handlers have not ended (inline ones do not count). More:
/// answered Errc::overloaded.
constexpr std::size_t running_requests_per_connection_max = 65'536;
/// Messages that wait in one lane of an ordered handler, unless it says otherwise. More: as its
/// LaneOverflow says.
constexpr std::size_t lane_depth_default = 1'024;
/// Messages that wait for a handler with max_concurrent() and without order, unless it says
/// otherwise. More: answered Errc::overloaded.
constexpr std::size_t concurrent_depth_default = 16'384;
/// Lanes of one ordered handler, busy or idle. More: the lane that is idle for longest goes; when
/// none is idle, the message is answered Errc::overloaded.
constexpr std::size_t lanes_max = 65'536;
/// Registered peers and handlers. More: velo::Errc::overloaded.
constexpr std::size_t peers_max = 65'536;
constexpr std::size_t handlers_max = 65'536;
/// Peers with an account of their own in the books (some hundred bytes each, kept until the
/// messenger ends). The traffic of all further ones is counted together.
constexpr std::size_t book_accounts_max = 4'094;
/// Targets of one broadcast. More: velo::Errc::overloaded, and nothing is sent.
constexpr std::size_t broadcast_targets_max = 65'536;
/// Sends of one broadcast in flight at once, unless it says otherwise. The others wait.
constexpr std::size_t broadcast_concurrent_default = 1'024;
/// A dialled peer that has not answered `_hello` by then failed; what waits for it ends as
/// Errc::not_sent.
constexpr Duration hello_timeout = std::chrono::seconds(5);
/// A peer that could not be reached is left alone for a random time: after the first failure at
/// most this long, and at most twice as long after each further one. Sends wait for the pause to
/// end.
constexpr Duration redial_pause_first = std::chrono::milliseconds(50);
constexpr Duration redial_pause_longest = std::chrono::seconds(10);
/// A connection that broke sooner counts as one more failure; a longer one ends the row of
/// failures, and the peer is dialled again at once.
constexpr Duration connection_lived_min = std::chrono::seconds(1);
/// Bound of Messenger::shutdown() unless its policy says otherwise.
constexpr Duration drain_default = std::chrono::seconds(10);
/// How long replies that are queued at shutdown may take to be written.
constexpr Duration flush_patience = std::chrono::seconds(2);
/// How long ~Messenger waits for connections to close and for handlers that still run.
constexpr Duration destructor_patience = std::chrono::seconds(5);

}  // namespace velo::messenger::limits
