// SPDX-License-Identifier: Apache-2.0
// A shard's timer that other threads move.

#include "alarm.hpp"

#include <utility>

namespace velo::streaming {

void Alarm::at(const std::shared_ptr<Alarm>& alarm, TimePoint when) {
  {
    const std::lock_guard lock(alarm->mutex_);
    if (alarm->stopped_ || when >= alarm->wanted_) return;
    alarm->wanted_ = when;
  }
  post(alarm->shard_, [alarm] { arm(alarm); });
}

void Alarm::stop(const std::shared_ptr<Alarm>& alarm) {
  {
    const std::lock_guard lock(alarm->mutex_);
    if (std::exchange(alarm->stopped_, true)) return;
  }
  post(alarm->shard_, [alarm] { arm(alarm); });
}

void Alarm::arm(const std::shared_ptr<Alarm>& alarm) {
  TimePoint wanted;
  {
    const std::lock_guard lock(alarm->mutex_);
    wanted = alarm->stopped_ ? TimePoint::never() : alarm->wanted_;
  }
  if (wanted == alarm->armed_at_) return;
  if (alarm->node_ != nullptr) {
    alarm->shard_.cancel_timer(alarm->timer_);
    delete std::exchange(alarm->node_, nullptr);
  }
  alarm->armed_at_ = wanted;
  if (wanted == TimePoint::never()) return;
  alarm->node_ = new std::shared_ptr<Alarm>(alarm);
  alarm->timer_ = alarm->shard_.start_timer(wanted, Task0{&Alarm::on_timer, alarm->node_});
}

void Alarm::on_timer(void* argument) {
  const std::unique_ptr<std::shared_ptr<Alarm>> owned(
      static_cast<std::shared_ptr<Alarm>*>(argument));
  Alarm& alarm = **owned;
  alarm.node_ = nullptr;
  alarm.armed_at_ = TimePoint::never();
  {
    const std::lock_guard lock(alarm.mutex_);
    if (alarm.stopped_) return;
    alarm.wanted_ = TimePoint::never();
  }
  alarm.ring_();
}

}  // namespace velo::streaming
