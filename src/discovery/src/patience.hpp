// SPDX-License-Identifier: Apache-2.0
// A function that is called once after a while unless its handle went first.
// Threading: made and destroyed on any thread; called on shard 0, and possibly once more there while the handle is being destroyed elsewhere.
#pragma once

#include <velo/base/executor.hpp>
#include <velo/base/world.hpp>

#include <functional>
#include <memory>
#include <utility>

namespace velo::discovery {

class Patience {
 public:
  /// `world` outlives the handle.
  Patience(World& world, Duration wait, std::move_only_function<void()> then)
      : state_(std::make_shared<State>(world.shard(0), std::move(then))) {
    Shard& shard = state_->shard;
    state_->timer = shard.start_timer(
        shard.now() + wait,
        Task0{[](void* state) { static_cast<State*>(state)->then(); }, state_.get()});
  }
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;
  /// The timer's argument owns nothing: what is posted keeps it until the timer is gone.
  ~Patience() {
    Shard& shard = state_->shard;
    post(shard, [state = std::move(state_)] { state->shard.cancel_timer(state->timer); });
  }

 private:
  struct State {
    State(Shard& s, std::move_only_function<void()> t) : shard(s), then(std::move(t)) {}
    Shard& shard;
    std::move_only_function<void()> then;
    Shard::TimerId timer = 0;
  };
  std::shared_ptr<State> state_;
};

}  // namespace velo::discovery
