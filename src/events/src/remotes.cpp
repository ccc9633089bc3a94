// SPDX-License-Identifier: Apache-2.0
// Waiting for other processes' events, as values.

#include "remotes.hpp"

#include <algorithm>

namespace velo::events {

std::optional<Outcome> Remotes::known(const EventHandle& event) {
  const auto found = known_.find(event);
  if (found == known_.end()) return std::nullopt;
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->outcome;
}

void Remotes::remember(const EventHandle& event, const Outcome& outcome) {
  const auto found = known_.find(event);
  if (found != known_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second);
    return;
  }
  recent_.push_front(Ended{event, outcome});
  known_.emplace(event, recent_.begin());
  if (recent_.size() <= limits::completed_cache_max) return;
  known_.erase(recent_.back().event);
  recent_.pop_back();
}

void Remotes::set_due(const EventHandle& event, Wait& wait, TimePoint due) {
  if (wait.due != TimePoint::never()) due_.erase({wait.due, event});
  wait.due = due;
  if (due != TimePoint::never()) due_.insert({due, event});
}

std::optional<Ask> Remotes::begin_ask(const EventHandle& event, Wait& wait, TimePoint now) {
  if (wait.asking) {
    wait.again = true;
    return std::nullopt;
  }
  wait.asking = true;
  wait.asked = now;
  wait.again = false;
  set_due(event, wait, TimePoint::never());
  Duration patience = limits::answer_patience;
  const TimePoint since = wait.lost == TimePoint::never() ? now : wait.lost;
  patience = std::min(patience, since + times_.patience - now);
  return Ask{event, wait.serial, std::max(patience, limits::repeat_pause_first)};
}

void Remotes::ask_now(const EventHandle& event, Wait& wait, TimePoint now, std::vector<Ask>& asks) {
  if (auto ask = begin_ask(event, wait, now)) asks.push_back(*ask);
}

bool Remotes::wait(Node& node, const EventHandle& event, TimePoint now, std::optional<Ask>& ask) {
  auto found = waits_.find(event);
  if (found == waits_.end()) {
    if (waits_.size() >= limits::remote_awaits_max) return false;
    found = waits_.try_emplace(event).first;
    found->second.serial = ++serials_;
    ask = begin_ask(event, found->second, now);
  } else {
    ++shared_count_;
  }
  node.event = event;
  found->second.waiting.push_back(node);
  return true;
}

bool Remotes::unwait(Node& node) {
  const EventHandle event = node.event;
  node.chain->remove(node);
  const auto found = waits_.find(event);
  if (found == waits_.end() || !found->second.waiting.empty()) return false;
  erase(event);
  return true;
}

void Remotes::erase(const EventHandle& event) {
  const auto found = waits_.find(event);
  if (found == waits_.end()) return;
  set_due(event, found->second, TimePoint::never());
  waits_.erase(found);
}

void Remotes::subscribed(const Ask& ask, TimePoint now, std::vector<Ask>& asks) {
  const auto found = waits_.find(ask.event);
  if (found == waits_.end() || found->second.serial != ask.serial) return;
  Wait& wait = found->second;
  wait.asking = false;
  wait.lost = TimePoint::never();
  wait.pause = limits::repeat_pause_first;
  if (wait.again) return ask_now(ask.event, wait, now, asks);
  set_due(ask.event, wait, now + times_.renewal);
}

void Remotes::unanswered(const Ask& ask, TimePoint now, std::uint64_t draw, std::vector<Ask>& asks,
                         std::vector<Ended>& over) {
  const auto found = waits_.find(ask.event);
  if (found == waits_.end() || found->second.serial != ask.serial) return;
  Wait& wait = found->second;
  wait.asking = false;
  if (wait.lost == TimePoint::never()) wait.lost = wait.asked;
  if (now - wait.lost >= times_.patience) {
    over.push_back(
        {ask.event, Outcome::failed(Errc::owner_lost, "the owner of the event is out of reach")});
    return;
  }
  if (wait.again) return ask_now(ask.event, wait, now, asks);
  const auto longest = static_cast<std::uint64_t>(wait.pause.count());
  const Duration pause(static_cast<std::int64_t>(longest / 2 + draw % (longest / 2 + 1)));
  wait.pause = std::min(wait.pause * 2, limits::repeat_pause_longest);
  set_due(ask.event, wait, std::min(now + pause, wait.lost + times_.patience));
}

Remotes::Wait* Remotes::completed(const EventHandle& event, const Outcome& outcome, TimePoint now,
                                  std::vector<Ask>& asks) {
  if (outcome.is_final()) remember(event, outcome);
  if (outcome.code == error_code(Errc::owner_lost)) ++lost_count_;
  for (const EventHandle& older : older_waits(event)) {
    ask_now(older, waits_.find(older)->second, now, asks);
  }
  const auto found = waits_.find(event);
  return found == waits_.end() ? nullptr : &found->second;
}

std::vector<EventHandle> Remotes::older_waits(const EventHandle& event) const {
  std::vector<EventHandle> older;
  auto it = waits_.lower_bound(EventHandle(event.system(), event.index(), 0));
  for (; it != waits_.end() && it->first < event; ++it) older.push_back(it->first);
  return older;
}

Remotes::Waits::iterator Remotes::first_of(WorkerId owner) {
  return waits_.lower_bound(EventHandle(owner, 0, 0));
}

void Remotes::peer_up(WorkerId owner, TimePoint now, std::vector<Ask>& asks) {
  for (auto it = first_of(owner); it != waits_.end() && it->first.system() == owner; ++it) {
    if (it->second.lost == TimePoint::never() && it->second.asking) continue;  // it is on its way
    it->second.pause = limits::repeat_pause_first;
    ask_now(it->first, it->second, now, asks);
  }
}

void Remotes::peer_down(WorkerId owner, TimePoint now, std::vector<Ask>& asks) {
  for (auto it = first_of(owner); it != waits_.end() && it->first.system() == owner; ++it) {
    if (it->second.lost == TimePoint::never()) it->second.lost = now;
    ask_now(it->first, it->second, now, asks);
  }
}

void Remotes::gone(WorkerId owner, const std::string& why, std::vector<Ended>& over) {
  for (auto it = first_of(owner); it != waits_.end() && it->first.system() == owner; ++it) {
    over.push_back({it->first, Outcome::failed(Errc::owner_lost, why)});
  }
}

void Remotes::sweep(TimePoint now, std::vector<Ask>& asks) {
  while (!due_.empty() && due_.begin()->first <= now) {
    const EventHandle event = due_.begin()->second;
    ask_now(event, waits_.find(event)->second, now, asks);
  }
}

const Chain* Remotes::waiting_for(const EventHandle& event) const noexcept {
  const auto found = waits_.find(event);
  return found == waits_.end() ? nullptr : &found->second.waiting;
}

std::vector<EventHandle> Remotes::all_waits() const {
  std::vector<EventHandle> all;
  for (const auto& [event, wait] : waits_) all.push_back(event);
  return all;
}

}  // namespace velo::events
