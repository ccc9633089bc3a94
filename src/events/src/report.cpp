// SPDX-License-Identifier: Apache-2.0
// What an engine can tell of one event.

#include "engine.hpp"

#include <velo/events/limits.hpp>

namespace velo::events {
namespace report_detail {

static void list(EventReport& report, const EventHandle& waits_for) {
  ++report.waits_for_count;
  if (report.waits_for.size() < limits::why_listed_max) report.waits_for.push_back(waits_for);
}

/// Who hangs on it here.
static void count_chain(EventReport& report, const Chain& chain) {
  for (const Node* node = chain.front(); node != nullptr; node = node->next) {
    if (node->kind == Node::Kind::awaiter) {
      ++report.awaiters;
    } else if (report.needed_by.size() < limits::why_listed_max) {
      report.needed_by.push_back(static_cast<const GateInput*>(node)->gate->result);
    }
  }
}

static void describe_pending(EventReport& report, const Slot& slot, const Table& table) {
  report.status = to_string(EventStatus::pending);
  report.kind = "event";
  count_chain(report, slot.waiting);
  if (const Gate* gate = table.gate(report.event)) {
    report.kind = gate->kind == GateKind::any ? "any of" : "all of";
    for (const auto& input : gate->inputs) {
      if (input->chain != nullptr) list(report, input->event);  // the others are over
    }
  }
}

}  // namespace report_detail

EventReport Engine::report(const EventHandle& event) {
  EventReport report;
  report.event = event;
  report.told_by = system_;
  const std::lock_guard lock(mutex_);
  if (Slot* slot = table_.slots().pending(event)) {
    report_detail::describe_pending(report, *slot, table_);
    if (slot->noted) {
      const EventNote& note = table_.slots().notes()[event.slot()];
      report.note = note.text;
      for (const EventHandle& other : note.waits_for) report_detail::list(report, other);
    }
    report.subscribers = subscribers_.of(event);
    report.subscriber_count = report.subscribers.size();
    if (report.subscribers.size() > limits::why_listed_max) {
      report.subscribers.resize(limits::why_listed_max);
    }
    return report;
  }
  if (const Chain* waiting = table_.remotes().waiting_for(event)) {
    report.status = "awaited";
    report_detail::count_chain(report, *waiting);
    return report;
  }
  std::optional<Outcome> ended;
  if (owns(event)) {
    ended = table_.slots().ended(event);
  } else {
    ended = table_.remotes().known(event);
    if (!ended) ended = Outcome::failed(Errc::foreign_event, event.to_string());
  }
  report.status = ended->is_ready()    ? std::string(to_string(EventStatus::ready))
                  : ended->is_poison() ? std::string(to_string(EventStatus::poisoned))
                                       : error_code_name(*ended->code);
  report.reason = ended->reason();
  return report;
}

Op<EventReport> Engine::report_of(WorkerId whom, const EventHandle& event) {
  if (whom == system_) return Op<EventReport>::ready(world_.pool(), report(event));
  const std::shared_ptr<Carrier> out = carrier();
  if (out == nullptr || event.local_only()) {
    return Op<EventReport>::ready(world_.pool(),
                                  make_error(Errc::foreign_event, event.to_string()));
  }
  return out->report(whom, event);
}

}  // namespace velo::events
