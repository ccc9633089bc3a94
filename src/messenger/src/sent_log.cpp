// SPDX-License-Identifier: Apache-2.0
// What was sent and not answered.

#include "sent_log.hpp"

#include <velo/messenger/limits.hpp>

#include <algorithm>
#include <utility>

namespace velo::messenger {

void SentLog::erase(std::unordered_map<std::uint64_t, Kept>::iterator at) {
  memory_.remove(at->second.send.bytes());
  kept_.erase(at);
}

void SentLog::add(PendingSend send, std::uint32_t lane, Bytes origin) {
  const std::lock_guard lock(mutex_);
  if (kept_.size() >= limits::kept_requests_max) return;
  if (!memory_.add(send.bytes(), Lane::requests)) return;
  Kept kept;
  kept.order = ++next_;
  kept.origin = std::move(origin);
  kept.lane = lane;
  const std::uint64_t key = send.id.local();
  kept.send = std::move(send);
  kept_.insert_or_assign(key, std::move(kept));
}

bool SentLog::sent(MessageId id, Pattern pattern, std::uint32_t lane) {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(id.local());
  if (found != kept_.end()) found->second.sent = true;
  if (pattern != Pattern::fire) return false;
  if (found == kept_.end()) ++unkept_;
  ++fires_;
  fire_lanes_ |= 1U << lane;
  return !std::exchange(confirming_, true);
}

void SentLog::remove(MessageId id) {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(id.local());
  if (found != kept_.end()) erase(found);
}

std::uint32_t SentLog::begin_confirmation() {
  const std::lock_guard lock(mutex_);
  fires_ = 0;
  confirming_lanes_ = std::exchange(fire_lanes_, 0);
  unkept_covered_ = unkept_;
  for (auto& [key, kept] : kept_) {
    if (kept.sent && kept.send.pattern == Pattern::fire) kept.covered = true;
  }
  return confirming_lanes_;
}

bool SentLog::confirmed() {
  const std::lock_guard lock(mutex_);
  for (auto at = kept_.begin(); at != kept_.end();) {
    const auto next = std::next(at);
    if (at->second.covered) erase(at);
    at = next;
  }
  unkept_ -= std::exchange(unkept_covered_, 0);
  confirming_ = fires_ != 0;
  return confirming_;
}

void SentLog::confirmation_failed() {
  const std::lock_guard lock(mutex_);
  confirming_ = false;
  fire_lanes_ |= std::exchange(confirming_lanes_, 0);
}

std::uint64_t SentLog::take_unkept() {
  const std::lock_guard lock(mutex_);
  unkept_covered_ = 0;
  return std::exchange(unkept_, 0);
}

std::vector<SentLog::Kept> SentLog::take_all() {
  std::vector<Kept> all;
  {
    const std::lock_guard lock(mutex_);
    all.reserve(kept_.size());
    for (auto& [key, kept] : kept_) all.push_back(std::move(kept));
    kept_.clear();
    memory_.clear();
  }
  std::sort(all.begin(), all.end(), [](const Kept& a, const Kept& b) { return a.order < b.order; });
  return all;
}

void SentLog::prune(const std::function<bool(MessageId)>& alive) {
  const std::lock_guard lock(mutex_);
  if (kept_.size() < prune_at_) return;
  for (auto at = kept_.begin(); at != kept_.end();) {
    const auto next = std::next(at);
    const PendingSend& send = at->second.send;
    if (send.pattern != Pattern::fire && !alive(send.id)) erase(at);
    at = next;
  }
  prune_at_ = std::max<std::size_t>(256, 2 * kept_.size());
}

std::size_t SentLog::size() {
  const std::lock_guard lock(mutex_);
  return kept_.size();
}

}  // namespace velo::messenger
