// SPDX-License-Identifier: Apache-2.0
// Outcomes as answers and back.

#include "event_messages.hpp"

namespace velo::events::protocol {

Answer answer_of(const Outcome& outcome) {
  Answer answer;
  if (outcome.code) {
    const bool own = outcome.code->room == Room::events;
    answer.code = own ? outcome.code->value : static_cast<std::uint16_t>(Errc::unknown_event);
    answer.context = outcome.reason();
  }
  return answer;
}

Outcome outcome_of(const Answer& answer) {
  if (answer.code == 0) return Outcome::ready();
  const auto code = static_cast<Errc>(answer.code);
  if (code == Errc::poisoned) return Outcome::poisoned(make_reason(answer.context));
  switch (code) {
    case Errc::already_completed:
    case Errc::forgotten:
    case Errc::capability_needed:
    case Errc::foreign_event:
    case Errc::too_many_subscribers: return Outcome::failed(code, *make_reason(answer.context));
    default: return Outcome::failed(Errc::unknown_event, *make_reason(answer.context));
  }
}

Report body_of(const EventReport& report) {
  Report body;
  body.told_by = report.told_by.value();
  body.status = report.status;
  body.reason = report.reason;
  body.kind = report.kind;
  body.note = report.note;
  body.awaiters = report.awaiters;
  body.subscriber_count = report.subscriber_count;
  for (const WorkerId who : report.subscribers) body.subscribers.push_back(who.value());
  body.waits_for_count = report.waits_for_count;
  for (const EventHandle& other : report.waits_for) body.waits_for.push_back(other.to_u128());
  for (const EventHandle& other : report.needed_by) body.needed_by.push_back(other.to_u128());
  return body;
}

EventReport report_of(const EventHandle& event, const Report& body) {
  EventReport report;
  report.event = event;
  report.told_by = WorkerId(body.told_by);
  report.status = body.status;
  report.reason = body.reason;
  report.kind = body.kind;
  report.note = body.note;
  report.awaiters = body.awaiters;
  report.subscriber_count = body.subscriber_count;
  for (const std::uint64_t who : body.subscribers) report.subscribers.emplace_back(who);
  report.waits_for_count = body.waits_for_count;
  for (const codec::U128 other : body.waits_for) {
    report.waits_for.push_back(EventHandle::from_u128(other));
  }
  for (const codec::U128 other : body.needed_by) {
    report.needed_by.push_back(EventHandle::from_u128(other));
  }
  return report;
}

}  // namespace velo::events::protocol
