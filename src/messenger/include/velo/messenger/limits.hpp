// SPDX-License-Identifier: Apache-2.0
// The messenger's named limits, each with its policy (docs/limits.md is made from these comments).
// Threading: constants.
#pragma once

#include <velo/base/limits.hpp>

#include <cstddef>
#include <cstdint>

namespace velo::messenger::limits {

/// Calls in flight of one messenger (the wire's slot index has 16 bits); settable per messenger.
/// Policy: more end as Errc::too_many_calls, or wait for a slot if they chose await_capacity().
constexpr std::size_t calls_max = 65'535;
/// Sends waiting for a call slot; their bytes are charged to the memory budget. Policy: more end as
/// Errc::too_many_calls.
constexpr std::size_t waiting_sends_max = 4'096;
/// Sends waiting for a peer to be found, dialled and greeted; their bytes are charged to the memory
/// budget. Policy: more end as Errc::overloaded, and those without room as Errc::over_budget.
constexpr std::size_t pending_sends_per_peer_max = 65'536;
/// Requests that wait for room in the peer's request window, of one connection; their bytes are
/// charged to the memory budget. Policy: more end as Errc::overloaded, and those without room as
/// Errc::over_budget.
constexpr std::size_t held_requests_per_connection_max = 65'536;
/// Requests of one connection whose handlers have not ended (inline ones do not count); their bytes
/// are charged to the memory budget. Policy: more are answered Errc::overloaded, and those without
/// room Errc::over_budget.
constexpr std::size_t running_requests_per_connection_max = 65'536;
/// Messages that wait in one lane of an ordered handler, unless it says otherwise. Policy: more end
/// as its LaneOverflow says.
constexpr std::size_t lane_depth_default = 1'024;
/// Messages that wait for a handler with max_concurrent() and without order, unless it says
/// otherwise. Policy: more are answered Errc::overloaded.
constexpr std::size_t concurrent_depth_default = 16'384;
/// Lanes of one ordered handler, busy or idle. Policy: the lane that is idle for longest goes; when
/// none is idle, the message is answered Errc::overloaded.
constexpr std::size_t lanes_max = 65'536;
/// Registered peers. Policy: registering more is refused with velo::Errc::overloaded.
constexpr std::size_t peers_max = 65'536;
/// Registered handlers. Policy: registering more is refused with velo::Errc::overloaded.
constexpr std::size_t handlers_max = 65'536;
/// Peers with an account of their own in the books (some hundred bytes each, kept until the
/// messenger ends). Policy: the traffic of all further ones is counted together.
constexpr std::size_t book_accounts_max = 4'094;
/// Targets of one broadcast. Policy: one with more ends as velo::Errc::overloaded, and nothing is
/// sent.
constexpr std::size_t broadcast_targets_max = 65'536;
/// Sends of one broadcast in flight at once, unless it says otherwise. Policy: the others wait.
constexpr std::size_t broadcast_concurrent_default = 1'024;
/// The names of all handlers together, as a greeting lists them (JSON text). Policy: registering
/// more is refused with velo::Errc::overloaded, since no peer would read such a greeting.
constexpr std::size_t handler_names_bytes_max = std::size_t{4'000'000};
/// Accepted connections on which nobody has greeted yet, in all. Policy: a further one is closed at
/// once.
constexpr std::size_t strangers_max = 8'192;
/// The same from one address; Unix sockets and shared memory count as one. Policy: a further one is
/// closed at once.
constexpr std::size_t strangers_per_source_max = 1'024;
/// Time in which an accepted connection has to bring a greeting, a request that is served, or an
/// answer to a call of this node. Policy: then it is closed.
constexpr Duration stranger_patience = std::chrono::seconds(10);
/// Requests that a connection may bring before its greeting (a peer of the public velo may ask for
/// handlers without one). Policy: with one more it is closed.
constexpr std::size_t stranger_requests_max = 256;
/// Rules of an access policy. Policy: more are refused with velo::Errc::invalid_argument.
constexpr std::size_t access_rules_max = 256;
/// Callers that one access rule, or one handler, names. Policy: more are refused with
/// velo::Errc::invalid_argument.
constexpr std::size_t access_callers_max = 256;
/// An access policy as JSON text. Policy: a larger one is refused unread, as
/// velo::Errc::invalid_argument.
constexpr std::size_t access_json_bytes_max = std::size_t{1} << 20;
/// Time that a dialled peer has to answer `_hello`. Policy: then the attempt failed, and what waits
/// for it ends as Errc::not_sent.
constexpr Duration hello_timeout = std::chrono::seconds(5);
/// Longest pause, drawn at random, in which a peer is left alone after it could not be reached
/// once; twice as long after each further failure. Policy: sends wait, under their deadlines, for
/// the pause to end.
constexpr Duration redial_pause_first = std::chrono::milliseconds(50);
/// What that pause grows to. Policy: further failures make it no longer.
constexpr Duration redial_pause_longest = std::chrono::seconds(10);
/// Life of a connection that proves that its peer can be reached. Policy: one that broke sooner
/// counts as one more failure; after a longer one the peer is dialled again at once.
constexpr Duration connection_lived_min = std::chrono::seconds(1);
/// Requests of one connection that are kept, until they are answered, for the case that it dies and
/// another path carries them on; their bytes are charged to the memory budget. Policy: more are not
/// kept, and end with their connection.
constexpr std::size_t kept_requests_max = 65'536;
/// Replies of one connection that are kept for the case that it dies before they arrived. Policy:
/// the oldest go, and their calls would then end as Errc::connection_lost.
constexpr std::size_t kept_replies_max = 4'096;
/// The same in bytes, which are charged to the memory budget. Policy: as above.
constexpr std::size_t kept_reply_bytes_max = std::size_t{4} << 20;
/// How long the handlers of a connection that died run on, and its last replies are kept, for a
/// requester that comes back by another path. Policy: then they are stopped and dropped.
constexpr Duration resume_patience = std::chrono::seconds(10);
/// Room that a frame keeps for its header when a payload is handed over within the process. Policy:
/// a payload that leaves less is staged, where payloads are.
constexpr std::size_t staging_frame_margin = std::size_t{96} << 10;
/// Dead connections that are remembered so. Policy: the oldest is given up.
constexpr std::size_t resumable_connections_max = 1'024;
/// How much shorter a measured round trip must be than that of a path that would be chosen
/// otherwise. Policy: a smaller gain changes nothing.
constexpr int path_gain_times = 2;
/// The least time that such a gain saves. Policy: a smaller gain changes nothing.
constexpr Duration path_gain_min = std::chrono::microseconds(5);
/// What a span keeps of an attribute's value and of an error's text. Policy: the rest is cut off.
constexpr std::size_t span_text_bytes_max = 256;
/// Of so many calls, and requests, one is timed for latencies that operators look at. Policy: the
/// others are not; a power of two.
constexpr std::uint64_t timed_one_in = 16;
/// Patience that a drain asked for by another instance may have. Policy: more is clamped to this.
constexpr Duration remote_drain_patience_max = std::chrono::hours(1);
/// Who waits for the end of one messenger. Policy: more end as velo::Errc::overloaded.
constexpr std::size_t drain_watchers_max = 64;
/// Time that Messenger::shutdown() gives running handlers, unless told otherwise. Policy: then
/// everything closes, and it ends as velo::Errc::deadline_exceeded.
constexpr Duration drain_default = std::chrono::seconds(10);
/// Times that a drain looks again for requests that had arrived and were not read. Policy: then it
/// closes, and what came later ends with its connection.
constexpr int drain_rounds_max = 16;
/// Time that replies queued at shutdown have to be written. Policy: then they are dropped with
/// their connection.
constexpr Duration flush_patience = std::chrono::seconds(2);
/// How long ~Messenger waits for connections to close and for handlers that still run. Policy: then
/// it returns without them; they keep what they use alive.
constexpr Duration destructor_patience = std::chrono::seconds(5);

}  // namespace velo::messenger::limits
