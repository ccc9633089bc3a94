// SPDX-License-Identifier: Apache-2.0
// EventHandle: the name of one event, which any machine can await: the worker that owns it, its
// slot there, and the slot's generation. A handle says nothing of whether the event still exists;
// those of an earlier run of its owner never match (the worker's id and the first generation are
// random).
// Threading: value types.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/codec/int128.hpp>

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace velo {

class EventHandle {
 public:
  /// Of the index: nobody but the owner can await it.
  static constexpr std::uint32_t local_bit = std::uint32_t{1} << 31;

  constexpr EventHandle() noexcept = default;
  constexpr EventHandle(WorkerId system, std::uint32_t index, std::uint32_t generation) noexcept
      : system_(system), index_(index), generation_(generation) {}
  /// As the public velo writes it: the owner's worker id in the upper half, index, generation.
  static constexpr EventHandle from_u128(codec::U128 value) noexcept {
    const std::uint64_t low = codec::low_half(value);
    return {WorkerId(codec::high_half(value)), static_cast<std::uint32_t>(low >> 32),
            static_cast<std::uint32_t>(low)};
  }
  constexpr codec::U128 to_u128() const noexcept {
    return codec::u128_from_halves(system_.value(),
                                   std::uint64_t{index_} << 32 | std::uint64_t{generation_});
  }

  /// The owner.
  constexpr WorkerId system() const noexcept { return system_; }
  /// With the local flag.
  constexpr std::uint32_t index() const noexcept { return index_; }
  constexpr std::uint32_t slot() const noexcept { return index_ & ~local_bit; }
  constexpr bool local_only() const noexcept { return (index_ & local_bit) != 0; }
  constexpr std::uint32_t generation() const noexcept { return generation_; }
  constexpr bool valid() const noexcept { return system_.valid() && generation_ != 0; }

  /// "0123456789abcdef-00000001-0000002a": owner, index, generation.
  std::string to_string() const;
  /// That form, or the decimal number that the wire has; velo::Errc::invalid_argument otherwise.
  static Result<EventHandle> parse(std::string_view text);

  friend constexpr auto operator<=>(const EventHandle&, const EventHandle&) noexcept = default;

 private:
  WorkerId system_;
  std::uint32_t index_ = 0;
  std::uint32_t generation_ = 0;
};

}  // namespace velo

template <>
struct std::hash<velo::EventHandle> {
  std::size_t operator()(const velo::EventHandle& handle) const noexcept {
    const std::uint64_t low = std::uint64_t{handle.index()} << 32 | handle.generation();
    return handle.system().value() ^ (low * 0x9e3779b97f4a7c15U);
  }
};
