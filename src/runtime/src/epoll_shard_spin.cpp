// SPDX-License-Identifier: Apache-2.0
// What a spinning I/O thread looks at by itself.

#include "epoll_shard.hpp"

#include <velo/base/check.hpp>
#include <velo/base/limits.hpp>

#include <algorithm>

#include "clock.hpp"

namespace velo::runtime {
namespace epoll_shard_spin_detail {

/// Lets the other thread of the core run, and leaves the loop without a wrong guess.
static void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace epoll_shard_spin_detail

bool EpollShard::add_poll_source(PollSource& source) {
  VELO_DCHECK(may_touch());
  // Between two calls of run_once() an external shard sleeps, however it is set.
  if (settings_.spin <= Duration::zero() || settings_.external) return false;
  if (sources_.size() >= velo::limits::poll_sources_max) return false;
  sources_.push_back(&source);
  return true;
}

void EpollShard::remove_poll_source(PollSource& source) noexcept {
  VELO_DCHECK(may_touch());
  const auto found = std::find(sources_.begin(), sources_.end(), &source);
  if (found == sources_.end()) return;
  if (telling_sources_) {
    *found = nullptr;
  } else {
    sources_.erase(found);
  }
}

/// How many events there are, or nothing when the time to spin is over.
std::optional<int> EpollShard::spin() noexcept {
  if (++turns_without_poll_ > turns_per_poll_max) {
    const int count = poll_without_blocking();
    if (count > 0 || has_queued_work() || stopping()) return count;
  }
  const TimePoint until = monotonic_now() + settings_.spin;
  do {
    if (!sources_.empty()) {
      for (int look = 0; look < looks_per_poll; ++look) {
        if (sources_have_come() || has_queued_work()) return 0;
        epoll_shard_spin_detail::relax();
      }
    }
    const int count = poll_without_blocking();
    if (count > 0 || has_queued_work() || stopping()) return count;
  } while (monotonic_now() < until);
  return std::nullopt;
}

bool EpollShard::sources_have_come() const noexcept {
  return std::any_of(sources_.begin(), sources_.end(),
                     [](const PollSource* source) { return source->has_come(); });
}

bool EpollShard::arm_sources() noexcept {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i]->before_sleep()) continue;
    disarm_sources(i + 1);
    return false;
  }
  return true;
}

void EpollShard::disarm_sources(std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) sources_[i]->after_sleep();
}

std::size_t EpollShard::take_from_sources() {
  std::size_t taken = 0;
  telling_sources_ = true;
  // By index: what is added meanwhile may move the others.
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i] == nullptr || !sources_[i]->has_come()) continue;
    sources_[i]->take();
    ++taken;
  }
  telling_sources_ = false;
  std::erase(sources_, nullptr);
  return taken;
}

}  // namespace velo::runtime
