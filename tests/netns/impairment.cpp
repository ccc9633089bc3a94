// SPDX-License-Identifier: Apache-2.0
// The decision about a packet.

#include "impairment.hpp"

#include <algorithm>

namespace velo::netns {

Fate Impairment::decide(TimePoint now, std::size_t bytes) {
  ++counts_.packets;
  // All draws of a packet, whatever becomes of it: a cut does not shift those of later ones.
  const bool lost = happens(options_.loss);
  const bool doubled = happens(options_.duplicate);
  const bool overtakes = happens(options_.reorder);
  const std::uint64_t wobble = random_();
  if (cut_) return ++counts_.cut, Fate();
  if (lost) return ++counts_.lost, Fate();

  TimePoint leaves = now;
  if (options_.bits_per_second != 0) {
    const TimePoint begins = std::max(now, free_at_);
    if (begins - now > options_.queue_max) return ++counts_.overflowed, Fate();
    const std::uint64_t nanoseconds = bytes * 8 * 1'000'000'000 / options_.bits_per_second;
    free_at_ = begins + Duration(static_cast<Duration::rep>(nanoseconds));
    leaves = free_at_;
  }
  const int copies = doubled ? 2 : 1;
  counts_.duplicated += doubled ? 1 : 0;
  if (overtakes) return ++counts_.reordered, Fate{copies, leaves};

  Duration takes = options_.delay;
  if (options_.jitter > Duration::zero()) {
    const auto width = static_cast<std::uint64_t>(2 * options_.jitter.count() + 1);
    takes += Duration(static_cast<Duration::rep>(wobble % width)) - options_.jitter;
  }
  last_arrival_ = std::max(last_arrival_, leaves + std::max(takes, Duration::zero()));
  return Fate{copies, last_arrival_};
}

}  // namespace velo::netns
