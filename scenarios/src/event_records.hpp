// SPDX-License-Identifier: Apache-2.0
// What the scenario "events" itself knows of every event, and whether an awaiter may end as it did:
// an oracle that looks at the scenario's own doings and at the fault plan, never at the product.
// Threading: one thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/events/event_manager.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/sim/faults.hpp>
#include <velo/sim/node.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::scenarios {

/// One run of a machine.
struct EventMember {
  std::size_t place = 0;
  sim::SimNode* node = nullptr;
  std::unique_ptr<Messenger> messenger;
  std::optional<EventManager> events;
};

enum class EventWay : std::uint8_t { trigger, poison, drop, remote_trigger, remote_poison, merged };

struct EventRecord {
  std::weak_ptr<EventMember> owner;
  std::size_t owner_place = 0;
  std::optional<Event> event;
  EventHandle handle;
  EventWay way = EventWay::trigger;
  bool attempted = false;
  TimePoint at;  ///< of its completion
  std::string reason;
  std::vector<std::size_t> inputs;  ///< of a merged one
  bool any = false;                 ///< of a merged one: one of them is enough

  bool well() const noexcept { return way == EventWay::trigger || way == EventWay::remote_trigger; }
};

class EventJudge {
 public:
  EventJudge(const std::deque<EventRecord>& records, const sim::FaultPlan& plan)
      : records_(records), plan_(plan) {}

  /// Empty: an awaiter on the machine at `place` may end so now. Otherwise what is wrong with it.
  std::string judge(const EventRecord& record, std::size_t place, const Result<void>& ended,
                    TimePoint now) const;

 private:
  bool may_be_ready(const EventRecord& record) const;
  bool may_be_poisoned(const EventRecord& record, TimePoint now) const;
  bool may_be_poisoned_with(const EventRecord& record, std::string_view reason,
                            TimePoint now) const;
  /// Whether one of the events that it is made of may have given it that reason.
  bool may_have_said(const EventRecord& record, std::string_view reason, TimePoint now) const;
  /// Its owner is gone, or nothing has passed between the two for all of the patience.
  bool may_be_lost(const EventRecord& record, std::size_t place, TimePoint now) const;
  /// At any time so far.
  bool may_have_been_lost(const EventRecord& record, std::size_t place, TimePoint now) const;
  bool was_cut_off(std::size_t a, std::size_t b, TimePoint until) const;
  const std::deque<EventRecord>& records_;
  const sim::FaultPlan& plan_;
};

}  // namespace velo::scenarios
