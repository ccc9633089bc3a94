// SPDX-License-Identifier: Apache-2.0
// The named limits of events, each with its policy (docs/limits.md is made from these comments).
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace velo::events::limits {

/// Events of one manager that are not completed. Policy: a further one is refused with
/// Errc::too_many_events.
constexpr std::size_t events_max = std::size_t{1} << 20;
/// A poison's reason. Policy: a longer one is cut off.
constexpr std::size_t reason_bytes_max = 1'024;
/// Reasons of completed events that their owner remembers for those who come late. Policy: the
/// oldest goes, and whoever asks for it, or for an older one of its slot, is told Errc::forgotten.
constexpr std::size_t remembered_reasons_max = 4'096;
/// Events that one merged event waits for. Policy: more are refused with
/// velo::Errc::invalid_argument.
constexpr std::size_t merge_inputs_max = 65'536;
/// Text of an annotation. Policy: a longer one is refused with velo::Errc::invalid_argument.
constexpr std::size_t note_bytes_max = 1'024;
/// Events that an annotation names. Policy: more are refused with velo::Errc::invalid_argument.
constexpr std::size_t note_events_max = 64;

/// Events of others that are awaited here and are not completed. Policy: awaiting a further one
/// ends as Errc::too_many_awaits.
constexpr std::size_t remote_awaits_max = 65'536;
/// Completed events of others that are known here without asking. Policy: what was not asked for
/// longest goes; asking for it again costs a message.
constexpr std::size_t completed_cache_max = 1'000;
/// Instances that await one event. Policy: a further one is refused with
/// Errc::too_many_subscribers.
constexpr std::size_t subscribers_per_event_max = 16'384;
/// The same of all events of a manager. Policy: as above.
constexpr std::size_t subscriptions_max = 262'144;
/// Completions that subscribers have not acknowledged. Policy: the one that has waited longest is
/// given up; its subscriber hears of it when it renews its subscription.
constexpr std::size_t unacknowledged_max = 65'536;

/// How long an owner may be out of reach before its events are poisoned for those who await them
/// here, unless an EventOptions says otherwise. Policy: then they end as Errc::owner_lost.
constexpr Duration owner_patience = std::chrono::seconds(10);
/// How often an owner is asked again whether an event that is awaited has completed. Policy:
/// whatever notification was lost is made good then, at the latest.
constexpr Duration renewal = std::chrono::seconds(30);
/// How long a subscription lives that is not renewed. Policy: then it is dropped; an awaiter that
/// still exists subscribes again.
constexpr Duration subscription_lease = std::chrono::minutes(3);
/// How long a completion is repeated to a subscriber that does not acknowledge it. Policy: then it
/// is given up.
constexpr Duration completion_patience = std::chrono::seconds(30);
/// How long an acknowledgement waits for others that the same message can carry. Policy: then they
/// leave.
constexpr Duration receipt_delay = std::chrono::milliseconds(1);
/// Completions that one message acknowledges. Policy: as many leave at once.
constexpr std::size_t receipts_per_message = 256;
/// Acknowledgements that wait, of all owners together. Policy: then all of them leave at once.
constexpr std::size_t receipts_max = 4'096;
/// How long a completion may be unacknowledged while nothing is known to be lost; twice as long
/// after each repetition. Policy: then it is repeated, within completion_patience.
constexpr Duration receipt_patience = std::chrono::seconds(1);
/// The pause before the first repetition of anything; drawn at random from its second half, and
/// twice as long after each further one. Policy: pauses grow no longer than repeat_pause_longest.
constexpr Duration repeat_pause_first = std::chrono::milliseconds(50);
/// What that pause grows to. Policy: further repetitions make it no longer.
constexpr Duration repeat_pause_longest = std::chrono::seconds(2);
/// Time that an owner has to answer one message of events. Policy: then it is repeated until the
/// patience for it is over.
constexpr Duration answer_patience = std::chrono::seconds(5);
/// Time that a drain gives subscribers to be connected with, so that they hear what becomes of the
/// events that are pending at the end. Policy: who is not connected then finds out by itself.
constexpr Duration farewell_patience = std::chrono::seconds(1);
/// Events that one question why looks at. Policy: the report is marked as cut off.
constexpr std::size_t why_events_max = 256;
/// Instances and events that one event's report lists. Policy: the report says how many there are.
constexpr std::size_t why_listed_max = 64;
/// Peers that are remembered to speak the public protocol only. Policy: with more, all are
/// forgotten, and found out again.
constexpr std::size_t public_peers_max = 4'096;

}  // namespace velo::events::limits
