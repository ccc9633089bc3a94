// SPDX-License-Identifier: Apache-2.0
// A timer that is cancelled with its owner. Not a clock, and not for more than one time at once.
// Threading: on its shard's thread only.
#pragma once

#include <velo/base/world.hpp>

#include <functional>
#include <optional>
#include <utility>

namespace velo {

class ShardTimer {
 public:
  using Work = std::move_only_function<void()>;

  explicit ShardTimer(Shard& shard) noexcept : shard_(shard) {}
  ShardTimer(const ShardTimer&) = delete;
  ~ShardTimer() { cancel(); }

  /// Replaces what it waited for. `work` may destroy the timer.
  void start(Duration delay, Work work) { start_at(shard_.now() + delay, std::move(work)); }
  void start_at(TimePoint at, Work work) {
    cancel();
    work_ = std::move(work);
    id_ = shard_.start_timer(at, Task0{[](void* argument) {
                                         auto& self = *static_cast<ShardTimer*>(argument);
                                         self.id_.reset();
                                         Work due = std::exchange(self.work_, nullptr);
                                         due();
                                       },
                                       this});
  }
  void cancel() noexcept {
    if (id_) shard_.cancel_timer(*id_);
    id_.reset();
    work_ = nullptr;
  }
  bool running() const noexcept { return id_.has_value(); }

 private:
  Shard& shard_;
  std::optional<Shard::TimerId> id_;
  Work work_;
};

}  // namespace velo
