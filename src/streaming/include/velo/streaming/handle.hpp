// SPDX-License-Identifier: Apache-2.0
// StreamAnchorHandle: the name of a stream's consuming end, made by its owner and handed to whoever
// shall send: a member of any message, or text. Whoever has it may attach: its local part is drawn
// at random, so that it cannot be guessed.
// Threading: a value.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/codec/describe.hpp>

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace velo {

struct StreamAnchorHandle {
  std::uint64_t hi = 0;  ///< the owner's worker id
  std::uint64_t lo = 0;  ///< bit 63: many-to-one

  static constexpr std::uint64_t many_bit = std::uint64_t{1} << 63U;

  StreamAnchorHandle() = default;
  constexpr StreamAnchorHandle(WorkerId owner, std::uint64_t local) noexcept
      : hi(owner.value()), lo(local) {}

  constexpr WorkerId owner() const noexcept { return WorkerId(hi); }
  constexpr bool many_to_one() const noexcept { return (lo & many_bit) != 0; }
  constexpr bool valid() const noexcept { return hi != 0 && (lo & ~many_bit) != 0; }
  /// 32 hexadecimal digits.
  std::string to_string() const;
  /// velo::Errc::invalid_argument for anything else.
  static Result<StreamAnchorHandle> parse(std::string_view text);

  friend constexpr auto operator<=>(const StreamAnchorHandle&,
                                    const StreamAnchorHandle&) noexcept = default;
};
VELO_DESCRIBE(StreamAnchorHandle, hi, lo);

}  // namespace velo
