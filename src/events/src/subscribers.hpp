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
  /// The event is over: whom to tell. Each counts as gone, unless it is said to be leaving().
  std::vector<Notice> completed(const EventHandle& event, const Outcome& outcome, TimePoint now);

  /// It waits for a connection, or for room.
  void leaving(const Notice& notice);
  /// It has left; who speaks the public protocol acknowledges nothing.
  void left(const Notice& notice, TimePoint now);
  /// It did not leave, as far as is known.
  void untold(const Notice& notice, TimePoint now, std::uint64_t draw);
  /// It has arrived, as the subscriber says; or it never will.
  void told(WorkerId who, const EventHandle& event) { drop({who, event}); }

  /// Whether what has left may be lost if the connections with the peer end now.
  bool expects(WorkerId who) const;
  /// It is: repeated after a pause.
  void peer_down(WorkerId who, TimePoint now, std::uint64_t draw);
  /// What waits to be repeated to the peer is sent at once.
  void peer_up(WorkerId who, TimePoint now);
  /// What is due now, to be sent; drops leases that ran out.
  std::vector<Notice> sweep(TimePoint now);
  TimePoint next_due() const noexcept;

  /// Who awaits anything, but for peers of the public velo; in order.
  std::vector<WorkerId> everybody() const;
  std::vector<WorkerId> of(const EventHandle& event) const;
  std::size_t subscription_count() const noexcept { return count_; }
  std::size_t unacknowledged_count() const noexcept { return unacknowledged_.size(); }
  /// Those that have left once, and are not due to be repeated.
  std::size_t expected_count() const noexcept { return expected_; }

 private:
  using Key = std::pair<WorkerId, EventHandle>;
  enum class Stage : std::uint8_t {
    leaving,
    left,  ///< an acknowledgement is expected
    lost,  ///< as far as is known; to be repeated
  };
  struct Pending {
    bool is_public = false;
    Stage stage = Stage::leaving;
    unsigned repeated = 0;
    Outcome outcome;
    TimePoint until;
    TimePoint due = TimePoint::never();
    Duration pause = limits::repeat_pause_first;

    bool expected() const noexcept { return stage == Stage::left && repeated == 0; }
  };

  void set_stage(Pending& pending, Stage stage);
  /// Of one that leaves now.
  void begin(const Key& key, Pending& pending, TimePoint now);
  void lose(const Key& key, Pending& pending, TimePoint now, std::uint64_t draw);

  void set_due(const Key& key, Pending& pending, TimePoint due);
  void drop(const Key& key);
  void drop_expired(TimePoint now);

  std::unordered_map<EventHandle, std::vector<Subscription>> by_event_;  ///< in order of `who`
  std::size_t count_ = 0;
  TimePoint next_lease_sweep_ = TimePoint::never();
  std::map<Key, Pending> unacknowledged_;
  std::set<std::pair<TimePoint, Key>> due_;
  std::size_t expected_ = 0;
};

}  // namespace velo::events
