// SPDX-License-Identifier: Apache-2.0
// The bodies of the messages of events, JSON all of them (docs/protocols/events.md): three of the
// public velo, and what our own nodes add between themselves. Core.
// Threading: pure functions.
#pragma once

#include "node.hpp"

#include <velo/base/bytes.hpp>
#include <velo/base/ids.hpp>
#include <velo/codec/describe.hpp>
#include <velo/codec/int128.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/events/event.hpp>
#include <velo/events/why.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velo::events::protocol {

// The public velo's.
inline constexpr std::string_view subscribe_name = "_event_subscribe";
inline constexpr std::string_view completion_name = "_event_trigger";
inline constexpr std::string_view request_name = "_event_trigger_request";
// Our own.
inline constexpr std::string_view watch_name = "_event_watch";
inline constexpr std::string_view unwatch_name = "_event_unwatch";
inline constexpr std::string_view complete_name = "_event_complete";
inline constexpr std::string_view over_name = "_event_over";
inline constexpr std::string_view heard_name = "_event_heard";
inline constexpr std::string_view why_name = "_event_why";

struct Subscribe {
  codec::U128 handle = 0;
  std::uint64_t subscriber_worker = 0;
  InstanceId subscriber_instance;
};
VELO_DESCRIBE(Subscribe, handle, subscriber_worker, subscriber_instance);

struct Completion {
  codec::U128 handle = 0;
  std::optional<std::string> poisoned;
};
VELO_DESCRIBE(Completion, handle, poisoned);

struct TriggerRequest {
  codec::U128 handle = 0;
  std::uint64_t requester_worker = 0;
  InstanceId requester_instance;
  std::optional<std::string> poisoned;
  std::optional<codec::U128> response_id;
};
VELO_DESCRIBE(TriggerRequest, handle, requester_worker, requester_instance, poisoned, response_id);

/// How is it, and unless `ask_only`: tell me when it is over.
struct Watch {
  codec::U128 handle = 0;
  bool ask_only = false;
};
VELO_DESCRIBE(Watch, handle, ask_only);

struct Complete {
  codec::U128 handle = 0;
  std::optional<std::string> poisoned;
  std::optional<codec::U128> capability;
};
VELO_DESCRIBE(Complete, handle, poisoned, capability);

struct OneEvent {
  codec::U128 handle = 0;
};
VELO_DESCRIBE(OneEvent, handle);

/// Acknowledges completions.
struct Heard {
  std::vector<codec::U128> handles;
};
VELO_DESCRIBE(Heard, handles);

/// Of a watch: how the event is. Of a completion: nothing but a possible error.
struct Answer {
  bool pending = false;
  std::uint16_t code = 0;  ///< of events::Errc; 0: it ended well, or it was done
  std::string context;
};
VELO_DESCRIBE(Answer, pending, code, context);

/// EventReport, but for the event itself.
struct Report {
  std::uint64_t told_by = 0;
  std::string status;
  std::string reason;
  std::string kind;
  std::string note;
  std::uint64_t awaiters = 0;
  std::uint64_t subscriber_count = 0;
  std::vector<std::uint64_t> subscribers;
  std::uint64_t waits_for_count = 0;
  std::vector<codec::U128> waits_for;
  std::vector<codec::U128> needed_by;
};
VELO_DESCRIBE(Report, told_by, status, reason, kind, note, awaiters, subscriber_count, subscribers,
              waits_for_count, waits_for, needed_by);

template <class T>
Bytes encode(const T& body) {
  return Bytes::own(codec::to_json(body));
}
/// velo::Errc::invalid_argument for what is longer than any such body, unread.
template <class T>
Result<T> decode(ByteSpan body) {
  constexpr std::size_t body_bytes_max = std::size_t{16} << 10;
  if (body.size() > body_bytes_max) {
    return velo::make_error(velo::Errc::invalid_argument, "too long for a message of events");
  }
  return codec::from_json<T>(as_text(body));
}

inline Bytes completion(const EventHandle& event, const Outcome& outcome) {
  Completion body;
  body.handle = event.to_u128();
  if (!outcome.is_ready()) body.poisoned = std::string(outcome.reason());
  return encode(body);
}
inline Outcome outcome_of(const std::optional<std::string>& poisoned) {
  return poisoned ? Outcome::poisoned(make_reason(*poisoned)) : Outcome::ready();
}

Report body_of(const EventReport& report);
EventReport report_of(const EventHandle& event, const Report& body);

Answer answer_of(const Outcome& outcome);
/// Codes that nobody knows become Errc::unknown_event, lest they be taken for an end.
Outcome outcome_of(const Answer& answer);

}  // namespace velo::events::protocol
