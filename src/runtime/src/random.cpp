// SPDX-License-Identifier: Apache-2.0
// xoshiro256** (Blackman and Vigna), seeded per thread with SplitMix64; and getrandom().

#include "random.hpp"

#include "clock.hpp"

#include <velo/base/check.hpp>

#include <sys/random.h>

#include <array>
#include <bit>
#include <cerrno>

namespace velo::runtime {
namespace random_detail {

struct ThreadState {
  std::uint64_t owner = 0;
  std::array<std::uint64_t, 4> words{};
};

static ThreadState& thread_state() noexcept {
  thread_local ThreadState state;
  return state;
}

static std::uint64_t split_mix(std::uint64_t& state) noexcept {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

static std::uint64_t next_owner() noexcept {
  static std::atomic<std::uint64_t> owners{0};
  return owners.fetch_add(1, std::memory_order_relaxed) + 1;
}

static std::uint64_t system_seed() noexcept {
  std::uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) == static_cast<ssize_t>(sizeof seed)) return seed;
  // Only where a sandbox forbids getrandom: worlds of one process must differ all the same.
  return static_cast<std::uint64_t>(monotonic_now().nanoseconds()) ^ (next_owner() << 56);
}

}  // namespace random_detail

SeededRandom::SeededRandom(std::optional<std::uint64_t> seed)
    : owner_(random_detail::next_owner()),
      seed_(seed.has_value() ? *seed : random_detail::system_seed()) {}

std::uint64_t SeededRandom::next() noexcept {
  auto& [owner, s] = random_detail::thread_state();
  if (owner != owner_) [[unlikely]] {
    owner = owner_;
    const std::uint64_t index = threads_.fetch_add(1, std::memory_order_relaxed);
    // Streams of different threads start far apart: the index is spread over all bits before it
    // meets the seed.
    std::uint64_t spread = index;
    std::uint64_t state = seed_ ^ (index == 0 ? 0 : random_detail::split_mix(spread));
    for (std::uint64_t& word : s) word = random_detail::split_mix(state);
  }
  const std::uint64_t result = std::rotl(s[1] * 5, 7) * 9;
  const std::uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = std::rotl(s[3], 45);
  return result;
}

std::uint64_t SystemRandom::next() noexcept {
  std::uint64_t drawn = 0;
  ssize_t got = 0;
  do {
    got = ::getrandom(&drawn, sizeof drawn, 0);
  } while (got < 0 && errno == EINTR);
  // Anything else in its place could be guessed.
  VELO_CHECK(got == static_cast<ssize_t>(sizeof drawn));
  return drawn;
}

}  // namespace velo::runtime
