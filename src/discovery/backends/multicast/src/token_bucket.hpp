// SPDX-License-Identifier: Apache-2.0
// So many a second, and a burst: a rate that is enforced without a timer.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/time.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace velo::discovery::multicast {

class TokenBucket {
 public:
  TokenBucket(std::size_t per_second, std::size_t burst) noexcept
      : per_second_(static_cast<std::int64_t>(per_second)),
        burst_(static_cast<std::int64_t>(burst) * unit),
        tokens_(burst_) {}

  /// Takes `count` if `left` would remain.
  bool take(TimePoint now, std::size_t count = 1, std::size_t left = 0) noexcept {
    if (now > filled_) {
      const std::int64_t passed =
          std::min<std::int64_t>((now - filled_).count(), std::int64_t{60'000'000'000});
      tokens_ = std::min(burst_, tokens_ + passed * per_second_);
      filled_ = now;
    }
    const std::int64_t wanted = static_cast<std::int64_t>(count) * unit;
    if (tokens_ - wanted < static_cast<std::int64_t>(left) * unit) return false;
    tokens_ -= wanted;
    return true;
  }
  TimePoint used() const noexcept { return filled_; }

 private:
  static constexpr std::int64_t unit =
      1'000'000'000;  ///< of a token, per nanosecond and per second
  std::int64_t per_second_;
  std::int64_t burst_;
  std::int64_t tokens_;
  TimePoint filled_;
};

}  // namespace velo::discovery::multicast
