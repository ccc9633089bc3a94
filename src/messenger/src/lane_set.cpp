// SPDX-License-Identifier: Apache-2.0
// Lanes: who waits, who runs, and which lane is next.

#include "lane_set.hpp"

#include <velo/base/check.hpp>

namespace velo::messenger {

lane_detail::List<LaneSet::Lane>& LaneSet::list_of(const Lane& lane) noexcept {
  if (lane.state == Lane::State::idle) return idle_;
  return lane.state == Lane::State::ready ? ready_ : busy_;
}

void LaneSet::place(Lane& lane, TimePoint now, bool again) noexcept {
  Lane::State state = Lane::State::busy;
  if (lane.depth > 0 && lane.running < options_.width) {
    state = Lane::State::ready;
  } else if (lane.depth == 0 && lane.running == 0) {
    state = Lane::State::idle;
  }
  if (state == lane.state && !again) return;
  list_of(lane).erase(lane);
  lane.state = state;
  if (state == Lane::State::idle) lane.idle_since = now;
  list_of(lane).push_back(lane);
}

LaneSet::Entered LaneSet::enter(std::uint64_t key, LaneItem& item, TimePoint now) {
  VELO_DCHECK(item.state == LaneItem::State::outside);
  auto found = lanes_.find(key);
  const bool created = found == lanes_.end();
  if (found == lanes_.end()) {
    if (lanes_.size() >= options_.lanes_max) {
      if (idle_.empty()) return {Admission::too_many_lanes};
      Lane& oldest = *idle_.front();
      idle_.erase(oldest);
      lanes_.erase(oldest.key);
    }
    found = lanes_.try_emplace(key, key).first;
    idle_.push_back(found->second);
  }
  Lane& lane = found->second;
  Entered entered{Admission::queued, nullptr, created};
  if (lane.depth >= options_.max_depth) {
    if (!options_.displace_oldest) return {Admission::lane_full};
    entered.displaced = lane.queue.front();
    take_out(*entered.displaced);
    entered.displaced->state = LaneItem::State::outside;
    entered.displaced->lane = nullptr;
  }
  lane.queue.push_back(item);
  item.lane = &lane;
  item.state = LaneItem::State::queued;
  ++lane.depth;
  ++queued_;
  place(lane, now);
  return entered;
}

void LaneSet::take_out(LaneItem& item) noexcept {
  item.lane->queue.erase(item);
  --item.lane->depth;
  --queued_;
}

LaneItem* LaneSet::next() noexcept {
  if (running_ >= options_.max_concurrent || ready_.empty()) return nullptr;
  Lane& lane = *ready_.front();
  LaneItem& item = *lane.queue.front();
  take_out(item);
  item.state = LaneItem::State::running;
  ++lane.running;
  ++running_;
  place(lane, TimePoint(), true);
  return &item;
}

void LaneSet::finished(LaneItem& item, TimePoint now) noexcept {
  VELO_DCHECK(item.state == LaneItem::State::running);
  Lane& lane = *item.lane;
  item.state = LaneItem::State::outside;
  item.lane = nullptr;
  --lane.running;
  --running_;
  place(lane, now);
}

bool LaneSet::remove(LaneItem& item, TimePoint now) noexcept {
  if (item.state != LaneItem::State::queued) return false;
  Lane& lane = *item.lane;
  take_out(item);
  item.state = LaneItem::State::outside;
  item.lane = nullptr;
  place(lane, now);
  return true;
}

std::vector<LaneItem*> LaneSet::remove_all(TimePoint now) {
  std::vector<LaneItem*> items;
  items.reserve(queued_);
  for (lane_detail::List<Lane>* list : {&ready_, &busy_}) {
    for (Lane* lane = list->front(); lane != nullptr;) {
      Lane* const following = lane->hook.after;
      while (LaneItem* item = lane->queue.front()) {
        items.push_back(item);
        (void)remove(*item, now);
      }
      lane = following;
    }
  }
  return items;
}

TimePoint LaneSet::reap(TimePoint now) {
  while (!idle_.empty()) {
    Lane& lane = *idle_.front();
    const TimePoint over = lane.idle_since + options_.idle_ttl;
    if (over > now) return over;
    idle_.erase(lane);
    lanes_.erase(lane.key);
  }
  return TimePoint::never();
}

}  // namespace velo::messenger
