// SPDX-License-Identifier: Apache-2.0
// Alarm: one timer of a shard that any thread may move to an earlier time.
// Threading: at() and stop() from any thread; it rings on the shard.
#pragma once

#include <velo/base/world.hpp>

#include <functional>
#include <memory>
#include <mutex>

namespace velo::streaming {

class Alarm {
 public:
  Alarm(Shard& shard, std::move_only_function<void()> ring)
      : shard_(shard), ring_(std::move(ring)) {}

  /// Rings at that time; at the earlier one when another was asked for. Then nothing is asked for
  /// any longer.
  static void at(const std::shared_ptr<Alarm>& alarm, TimePoint when);
  /// Never rings again.
  static void stop(const std::shared_ptr<Alarm>& alarm);

 private:
  static void arm(const std::shared_ptr<Alarm>& alarm);
  static void on_timer(void* argument);

  Shard& shard_;
  std::mutex mutex_;
  TimePoint wanted_ = TimePoint::never();
  bool stopped_ = false;
  // On the shard only.
  std::move_only_function<void()> ring_;
  TimePoint armed_at_ = TimePoint::never();
  Shard::TimerId timer_ = 0;
  std::shared_ptr<Alarm>* node_ = nullptr;
};

}  // namespace velo::streaming
