// SPDX-License-Identifier: Apache-2.0
// LaneSet: what may run next of one handler's requests. Each has a key; those of one key are a
// lane, of which at most `width` run at once, first come first served. Lanes that could run take
// turns. Core: no locks, no threads, no clock; the items belong to the caller and are only linked
// here.
// Threading: none; the caller locks.
#pragma once

#include <velo/base/time.hpp>

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace velo::messenger {

namespace lane_detail {

template <class T>
struct Hook {
  T* before = nullptr;
  T* after = nullptr;
};

/// First in, first out, and out from anywhere. An item is in at most one list.
template <class T>
class List {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  T* front() const noexcept { return first_; }
  void push_back(T& item) noexcept {
    item.hook = {last_, nullptr};
    (last_ == nullptr ? first_ : last_->hook.after) = &item;
    last_ = &item;
  }
  void erase(T& item) noexcept {
    (item.hook.before == nullptr ? first_ : item.hook.before->hook.after) = item.hook.after;
    (item.hook.after == nullptr ? last_ : item.hook.after->hook.before) = item.hook.before;
    item.hook = {};
  }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
};

struct Lane;

}  // namespace lane_detail

/// One request's place. Its owner keeps it where it is from enter() until it was finished() or came
/// out again.
struct LaneItem {
  enum class State : std::uint8_t { outside, queued, running };

  lane_detail::Hook<LaneItem> hook;
  lane_detail::Lane* lane = nullptr;
  State state = State::outside;
};

namespace lane_detail {

/// Idle: nothing queued, nothing running. Ready: something queued may run. Busy: all others.
struct Lane {
  enum class State : std::uint8_t { idle, ready, busy };

  explicit Lane(std::uint64_t k) noexcept : key(k) {}

  Hook<Lane> hook;
  const std::uint64_t key;
  List<LaneItem> queue;
  std::size_t depth = 0;
  std::size_t running = 0;
  TimePoint idle_since;
  State state = State::idle;
};

}  // namespace lane_detail

class LaneSet {
 public:
  struct Options {
    std::size_t width = 1;                  ///< of one lane that run at once
    std::size_t max_concurrent = SIZE_MAX;  ///< of all lanes
    std::size_t max_depth = 1;              ///< of one lane that wait; at least 1
    std::size_t lanes_max = 1;
    Duration idle_ttl = Duration::zero();
    bool displace_oldest = false;
  };
  enum class Admission : std::uint8_t { queued, lane_full, too_many_lanes };
  struct Entered {
    Admission admission;
    LaneItem* displaced = nullptr;  ///< out again, to make room
    bool created = false;           ///< the lane began with it
  };

  explicit LaneSet(const Options& options) noexcept : options_(options) {}

  /// To the end of its lane. Other than `queued`: it stays outside.
  Entered enter(std::uint64_t key, LaneItem& item, TimePoint now);
  /// What is to run now, if anything; it counts as running from here on.
  LaneItem* next() noexcept;
  /// One that next() gave has ended.
  void finished(LaneItem& item, TimePoint now) noexcept;
  /// Takes one out that still waits; false when it does not.
  bool remove(LaneItem& item, TimePoint now) noexcept;
  /// Takes out everything that waits, lane by lane in the order in which they last changed state.
  std::vector<LaneItem*> remove_all(TimePoint now);
  /// Forgets lanes that are idle for idle_ttl or longer; when the next one will be, or never().
  TimePoint reap(TimePoint now);

  bool any_idle() const noexcept { return !idle_.empty(); }
  std::size_t lanes() const noexcept { return lanes_.size(); }
  std::size_t queued() const noexcept { return queued_; }
  std::size_t running() const noexcept { return running_; }

 private:
  using Lane = lane_detail::Lane;

  lane_detail::List<Lane>& list_of(const Lane& lane) noexcept;
  /// Puts the lane into the list where it belongs; `again`: at its end even if it is there already.
  void place(Lane& lane, TimePoint now, bool again = false) noexcept;
  void take_out(LaneItem& item) noexcept;

  Options options_;
  std::unordered_map<std::uint64_t, Lane> lanes_;
  lane_detail::List<Lane> idle_;  ///< idle for longest first
  lane_detail::List<Lane> ready_;
  lane_detail::List<Lane> busy_;
  std::size_t queued_ = 0;
  std::size_t running_ = 0;
};

}  // namespace velo::messenger
