// SPDX-License-Identifier: Apache-2.0
// The owning side: who elsewhere awaits which event, and completions that they have not
// acknowledged yet, to be repeated. Core.
// Threading: guarded by the owner.
#pragma once

#include "node.hpp"

#include <velo/base/time.hpp>
#include <velo/events/limits.hpp>

#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace velo::events {

/// A completion on its way to one subscriber.
struct Notice {
  EventHandle event;
  WorkerId to;
  bool is_public = false;  ///< it speaks the public protocol only: nothing is acknowledged
  Outcome outcome;
};

class Subscribers {
 public:
  struct Subscription {
    WorkerId who;
    bool is_public = false;
    TimePoint until;
  };

  /// Again: renews. Errc::too_many_subscribers.
  Result<void> add(const EventHandle& event, WorkerId who, bool is_public, TimePoint now);
  void remove(const EventHandle& event, WorkerId who);
  /// The event is over: whom to tell. Each is counted as on its way until told() or untold().
  std::vector<Notice> completed(const EventHandle& event, const Outcome& outcome, TimePoint now);

  /// It has arrived (of a public one: left).
  void told(const Notice& notice) { drop({notice.to, notice.event}); }
  /// It did not arrive, as far as is known.
  void untold(const Notice& notice, TimePoint now, std::uint64_t draw);

  /// What waits for the peer is sent at once.
  void peer_up(WorkerId who, TimePoint now);
  /// What is due now, to be sent; drops leases that ran out.
  std::vector<Notice> sweep(TimePoint now);
  TimePoint next_due() const noexcept;

  /// Who awaits anything, but for peers of the public velo; in order.
  std::vector<WorkerId> everybody() const;
  std::vector<WorkerId> of(const EventHandle& event) const;
  std::size_t subscription_count() const noexcept { return count_; }
  std::size_t unacknowledged_count() const noexcept { return unacknowledged_.size(); }

 private:
  using Key = std::pair<WorkerId, EventHandle>;
  struct Pending {
    bool is_public = false;
    bool under_way = true;
    Outcome outcome;
    TimePoint until;
    TimePoint due = TimePoint::never();
    Duration pause = limits::repeat_pause_first;
  };

  void set_due(const Key& key, Pending& pending, TimePoint due);
  void drop(const Key& key);
  void drop_expired(TimePoint now);

  std::unordered_map<EventHandle, std::vector<Subscription>> by_event_;  ///< in order of `who`
  std::size_t count_ = 0;
  TimePoint next_lease_sweep_ = TimePoint::never();
  std::map<Key, Pending> unacknowledged_;
  std::set<std::pair<TimePoint, Key>> due_;
};

}  // namespace velo::events
