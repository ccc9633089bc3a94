// SPDX-License-Identifier: Apache-2.0
// The awaiting side of other processes' events: which are awaited here and how their owner is asked
// (each handle once, whoever waits), which are known to have completed (an LRU), and when an owner
// is out of reach for too long. Core: says whom to ask, and is told the answers.
// Threading: guarded by the owner.
#pragma once

#include "node.hpp"

#include <velo/base/time.hpp>
#include <velo/base/world.hpp>
#include <velo/events/event_manager.hpp>
#include <velo/events/limits.hpp>

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace velo::events {

/// One question to an owner: has it completed, and if not, tell me when.
struct Ask {
  EventHandle event;
  std::uint64_t serial = 0;  ///< of the wait that asks; an answer to an earlier one says nothing
  Duration patience{0};      ///< how long the question may take
};

struct Ended {
  EventHandle event;
  Outcome outcome;
};

class Remotes {
 public:
  struct Times {
    Duration patience = limits::owner_patience;
    Duration renewal = limits::renewal;
    Times() = default;
  };
  struct Wait {
    Chain waiting;
    std::uint64_t serial = 0;
    TimePoint due = TimePoint::never();   ///< when it is asked again
    TimePoint lost = TimePoint::never();  ///< since when the owner is out of reach
    TimePoint asked;                      ///< the last time
    Duration pause = limits::repeat_pause_first;
    bool asking = false;
    bool again = false;  ///< ask once more when the answer is there
  };

  explicit Remotes(const Times& times) noexcept : times_(times) {}

  /// What is known without asking. Makes it the most recent one.
  std::optional<Outcome> known(const EventHandle& event);
  /// The same for who wants to wait.
  std::optional<Outcome> known_before_wait(const EventHandle& event) {
    auto found = known(event);
    if (found) ++known_count_;
    return found;
  }

  /// Hangs the node on the wait for the event. Sets `ask` when this is the first. False: too many.
  bool wait(Node& node, const EventHandle& event, TimePoint now, std::optional<Ask>& ask);
  /// Takes the node off; true when nobody waits for the event any more.
  bool unwait(Node& node);

  /// The owner's answer: not completed yet, it will tell.
  void subscribed(const Ask& ask, TimePoint now, std::vector<Ask>& asks);
  /// The owner did not answer. Over its patience, the wait is over.
  void unanswered(const Ask& ask, TimePoint now, std::uint64_t draw, std::vector<Ask>& asks,
                  std::vector<Ended>& over);
  /// An event is over. Remembered when final. `chain` gets who waits for it (null: nobody did).
  /// Waits for older generations of its slot are asked about at once: they must be over, too.
  Wait* completed(const EventHandle& event, const Outcome& outcome, TimePoint now,
                  std::vector<Ask>& asks);
  /// Forgets the wait, whose chain was emptied.
  void erase(const EventHandle& event);
  /// As completed() for an owner that cannot be asked: older generations of the slot, to be ended
  /// with what its protocol implies.
  std::vector<EventHandle> older_waits(const EventHandle& event) const;

  void peer_up(WorkerId owner, TimePoint now, std::vector<Ask>& asks);
  void peer_down(WorkerId owner, TimePoint now, std::vector<Ask>& asks);
  /// The owner is gone for good.
  void gone(WorkerId owner, const std::string& why, std::vector<Ended>& over);

  /// When sweep() has something to do.
  TimePoint next_due() const noexcept {
    return due_.empty() ? TimePoint::never() : due_.begin()->first;
  }
  void sweep(TimePoint now, std::vector<Ask>& asks);

  std::size_t wait_count() const noexcept { return waits_.size(); }
  void add_to(EventCounts& counts) const noexcept {
    counts.awaits_known += known_count_;
    counts.awaits_shared += shared_count_;
    counts.awaits_asked += serials_;
    counts.owners_lost += lost_count_;
  }
  /// Null when nobody waits for it.
  const Chain* waiting_for(const EventHandle& event) const noexcept;
  std::vector<EventHandle> all_waits() const;

 private:
  using Waits = std::map<EventHandle, Wait>;

  void set_due(const EventHandle& event, Wait& wait, TimePoint due);
  std::optional<Ask> begin_ask(const EventHandle& event, Wait& wait, TimePoint now);
  void ask_now(const EventHandle& event, Wait& wait, TimePoint now, std::vector<Ask>& asks);
  Waits::iterator first_of(WorkerId owner);
  void remember(const EventHandle& event, const Outcome& outcome);

  const Times times_;
  std::uint64_t serials_ = 0;  ///< as many waits there have been
  std::uint64_t known_count_ = 0;
  std::uint64_t shared_count_ = 0;
  std::uint64_t lost_count_ = 0;
  Waits waits_;
  std::set<std::pair<TimePoint, EventHandle>> due_;
  std::list<Ended> recent_;  ///< the most recently used first
  std::unordered_map<EventHandle, std::list<Ended>::iterator> known_;
};

}  // namespace velo::events
