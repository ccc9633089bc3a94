// SPDX-License-Identifier: Apache-2.0
// What an emulated link does to each packet: how long it takes, and whether it is lost, doubled, or
// overtakes others. The packets themselves, time and the choice of the seed are others' business.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/time.hpp>

#include <cstddef>
#include <cstdint>
#include <random>

namespace velo::netns {

/// Of one direction. Shares are in thousandths of the packets.
struct ImpairmentOptions {
  Duration delay{0};
  Duration jitter{0};  ///< each packet takes up to so much more or less; without overtaking
  std::uint32_t loss = 0;
  std::uint32_t duplicate = 0;
  std::uint32_t reorder = 0;          ///< go at once, past those that are still under way
  std::uint64_t bits_per_second = 0;  ///< 0: as fast as they come
  Duration queue_max =
      std::chrono::seconds(1);  ///< a packet that would wait longer to leave is lost

  ImpairmentOptions() = default;
};

struct ImpairmentCounts {
  std::uint64_t packets = 0;  ///< that came to the link
  std::uint64_t lost = 0;
  std::uint64_t cut = 0;  ///< lost because the link was cut off
  std::uint64_t overflowed = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
};

/// When the copies of a packet arrive.
struct Fate {
  int copies = 0;  ///< 0: never
  TimePoint arrival;
};

class Impairment {
 public:
  Impairment(const ImpairmentOptions& options, std::uint64_t seed)
      : options_(options), random_(seed) {}

  Fate decide(TimePoint now, std::size_t bytes);
  void set_cut(bool cut) noexcept { cut_ = cut; }
  const ImpairmentCounts& counts() const noexcept { return counts_; }

 private:
  bool happens(std::uint32_t thousandths) { return random_() % 1000 < thousandths; }

  ImpairmentOptions options_;
  std::mt19937_64 random_;
  ImpairmentCounts counts_;
  TimePoint free_at_;       ///< when the packets before have left
  TimePoint last_arrival_;  ///< of those that keep their order
  bool cut_ = false;
};

}  // namespace velo::netns
