// SPDX-License-Identifier: Apache-2.0
// The simulation's random streams: xoshiro256++ seeded through splitmix64. Not for keys outside a
// simulation.
// Threading: one thread per stream.
#pragma once

#include <velo/base/world.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace velo::sim::detail {

/// The finaliser of splitmix64.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

constexpr std::uint64_t derive(std::uint64_t seed, std::uint64_t stream) noexcept {
  return mix(mix(seed + 0x9e3779b97f4a7c15U) ^ mix(stream * 0xd6e8feb86659fd93U + 1));
}

constexpr std::uint64_t derive(std::uint64_t seed, std::string_view name) noexcept {
  for (const char c : name) seed = derive(seed, static_cast<unsigned char>(c));
  return seed;
}

class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) noexcept {
    for (std::uint64_t& word : state_) word = mix(seed += 0x9e3779b97f4a7c15U);
  }

  std::uint64_t next() noexcept override {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// In [0, bound), without a division; the bias of bound / 2^64 does not matter here.
  std::uint64_t pick(std::uint64_t bound) noexcept {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
  bool chance(std::uint32_t per_million) noexcept {
    return per_million != 0 && pick(1'000'000) < per_million;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace velo::sim::detail
