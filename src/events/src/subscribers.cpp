// SPDX-License-Identifier: Apache-2.0
// Subscriptions, and completions until they are acknowledged, as values.

#include "subscribers.hpp"

#include <algorithm>
#include <string>

namespace velo::events {
namespace subscribers_detail {

/// Where it is, or would be.
static auto place_of(std::vector<Subscribers::Subscription>& all, WorkerId who) {
  return std::ranges::lower_bound(all, who, {}, &Subscribers::Subscription::who);
}

}  // namespace subscribers_detail

Result<void> Subscribers::add(const EventHandle& event, WorkerId who, bool is_public,
                              TimePoint now) {
  // A peer of the public velo does not renew: its subscription lives as long as the event.
  const TimePoint until = is_public ? TimePoint::never() : now + limits::subscription_lease;
  const auto known = by_event_.find(event);
  if (known != by_event_.end()) {
    const auto found = subscribers_detail::place_of(known->second, who);
    if (found != known->second.end() && found->who == who) {
      found->until = until;
      found->is_public = is_public;
      return {};
    }
  }
  if (count_ >= limits::subscriptions_max ||
      (known != by_event_.end() && known->second.size() >= limits::subscribers_per_event_max)) {
    return make_error(Errc::too_many_subscribers, event.to_string());
  }
  auto& all = by_event_[event];
  all.insert(subscribers_detail::place_of(all, who), {who, is_public, until});
  ++count_;
  if (!is_public && next_lease_sweep_ == TimePoint::never()) {
    next_lease_sweep_ = now + limits::subscription_lease;
  }
  return {};
}

void Subscribers::remove(const EventHandle& event, WorkerId who) {
  const auto known = by_event_.find(event);
  if (known == by_event_.end()) return;
  const auto found = subscribers_detail::place_of(known->second, who);
  if (found == known->second.end() || found->who != who) return;
  known->second.erase(found);
  --count_;
  if (known->second.empty()) by_event_.erase(known);
}

std::vector<Notice> Subscribers::completed(const EventHandle& event, const Outcome& outcome,
                                           TimePoint now) {
  std::vector<Notice> notices;
  const auto known = by_event_.find(event);
  if (known == by_event_.end()) return notices;
  const std::vector<Subscription> told = std::move(known->second);
  by_event_.erase(known);
  count_ -= told.size();
  for (const Subscription& one : told) {
    notices.push_back({event, one.who, one.is_public, outcome});
    if (unacknowledged_.size() >= limits::unacknowledged_max) {
      // What waits to be repeated has waited longer than what is on its way.
      if (due_.empty()) continue;
      drop(due_.begin()->second);
    }
    const Key key{one.who, event};
    drop(key);
    Pending& pending = unacknowledged_[key];
    pending.is_public = one.is_public;
    pending.outcome = outcome;
    pending.until = now + limits::completion_patience;
    begin(key, pending, now);
  }
  return notices;
}

void Subscribers::set_stage(Pending& pending, Stage stage) {
  expected_ -= pending.expected() ? 1 : 0;
  pending.stage = stage;
  expected_ += pending.expected() ? 1 : 0;
}

void Subscribers::begin(const Key& key, Pending& pending, TimePoint now) {
  // The end of the sending is the end of one that nobody acknowledges.
  set_stage(pending, pending.is_public ? Stage::leaving : Stage::left);
  constexpr unsigned doublings_max = 4;
  const Duration patience =
      limits::receipt_patience * (1 << std::min(pending.repeated, doublings_max));
  set_due(key, pending, pending.is_public ? TimePoint::never() : now + patience);
}

void Subscribers::set_due(const Key& key, Pending& pending, TimePoint due) {
  if (pending.due != TimePoint::never()) due_.erase({pending.due, key});
  pending.due = due;
  if (due != TimePoint::never()) due_.insert({due, key});
}

void Subscribers::drop(const Key& key) {
  const auto found = unacknowledged_.find(key);
  if (found == unacknowledged_.end()) return;
  expected_ -= found->second.expected() ? 1 : 0;
  set_due(key, found->second, TimePoint::never());
  unacknowledged_.erase(found);
}

void Subscribers::leaving(const Notice& notice) {
  const auto found = unacknowledged_.find({notice.to, notice.event});
  if (found == unacknowledged_.end()) return;
  set_stage(found->second, Stage::leaving);
  set_due(found->first, found->second, TimePoint::never());
}

void Subscribers::left(const Notice& notice, TimePoint now) {
  const Key key{notice.to, notice.event};
  if (notice.is_public) return drop(key);
  const auto found = unacknowledged_.find(key);
  if (found != unacknowledged_.end()) begin(key, found->second, now);
}

void Subscribers::untold(const Notice& notice, TimePoint now, std::uint64_t draw) {
  const auto found = unacknowledged_.find({notice.to, notice.event});
  if (found == unacknowledged_.end()) return;
  if (now >= found->second.until) return drop(Key(found->first));
  lose(found->first, found->second, now, draw);
}

void Subscribers::lose(const Key& key, Pending& pending, TimePoint now, std::uint64_t draw) {
  set_stage(pending, Stage::lost);
  const auto half = static_cast<std::uint64_t>(pending.pause.count()) / 2;
  const Duration pause(static_cast<std::int64_t>(half + draw % (half + 1)));
  pending.pause = std::min(pending.pause * 2, limits::repeat_pause_longest);
  set_due(key, pending, now + pause);
}

bool Subscribers::expects(WorkerId who) const {
  auto it = unacknowledged_.lower_bound({who, EventHandle()});
  for (; it != unacknowledged_.end() && it->first.first == who; ++it) {
    if (it->second.stage == Stage::left) return true;
  }
  return false;
}

void Subscribers::peer_down(WorkerId who, TimePoint now, std::uint64_t draw) {
  auto it = unacknowledged_.lower_bound({who, EventHandle()});
  for (; it != unacknowledged_.end() && it->first.first == who; ++it) {
    if (it->second.stage == Stage::left) lose(it->first, it->second, now, draw);
  }
}

void Subscribers::peer_up(WorkerId who, TimePoint now) {
  auto it = unacknowledged_.lower_bound({who, EventHandle()});
  for (; it != unacknowledged_.end() && it->first.first == who; ++it) {
    it->second.pause = limits::repeat_pause_first;
    if (it->second.stage == Stage::lost) set_due(it->first, it->second, now);
  }
}

std::vector<Notice> Subscribers::sweep(TimePoint now) {
  if (!by_event_.empty() && next_lease_sweep_ <= now) drop_expired(now);
  std::vector<Notice> notices;
  while (!due_.empty() && due_.begin()->first <= now) {
    const Key key = due_.begin()->second;
    Pending& pending = unacknowledged_.find(key)->second;
    if (now >= pending.until) {
      drop(key);
      continue;
    }
    set_stage(pending, Stage::leaving);
    ++pending.repeated;
    begin(key, pending, now);
    notices.push_back({key.second, key.first, pending.is_public, pending.outcome});
  }
  return notices;
}

void Subscribers::drop_expired(TimePoint now) {
  bool leased = false;
  for (auto it = by_event_.begin(); it != by_event_.end();) {
    count_ -= std::erase_if(it->second, [&](const auto& one) { return one.until <= now; });
    for (const Subscription& one : it->second) leased = leased || !one.is_public;
    it = it->second.empty() ? by_event_.erase(it) : std::next(it);
  }
  next_lease_sweep_ = leased ? now + limits::subscription_lease / 2 : TimePoint::never();
}

TimePoint Subscribers::next_due() const noexcept {
  const TimePoint repeat = due_.empty() ? TimePoint::never() : due_.begin()->first;
  return by_event_.empty() ? repeat : std::min(repeat, next_lease_sweep_);
}

std::vector<WorkerId> Subscribers::everybody() const {
  std::set<WorkerId> all;
  for (const auto& [event, subscriptions] : by_event_) {
    for (const Subscription& one : subscriptions) {
      if (!one.is_public) all.insert(one.who);
    }
  }
  return {all.begin(), all.end()};
}

std::vector<WorkerId> Subscribers::of(const EventHandle& event) const {
  std::vector<WorkerId> who;
  const auto known = by_event_.find(event);
  if (known == by_event_.end()) return who;
  for (const Subscription& one : known->second) who.push_back(one.who);
  return who;
}

}  // namespace velo::events
