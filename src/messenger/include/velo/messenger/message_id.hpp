// SPDX-License-Identifier: Apache-2.0
// The 128-bit id of one message: the requester's worker id, and 64 bits that are the requester's
// own business (here: slot index and generation), which is how a reply finds its call and a stale
// one finds none.
// Threading: value type.
#pragma once

#include <velo/base/ids.hpp>

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace velo {

class MessageId {
 public:
  constexpr MessageId() noexcept = default;
  constexpr MessageId(WorkerId requester, std::uint64_t local) noexcept
      : requester_(requester), local_(local) {}
  static constexpr MessageId of_slot(WorkerId requester, std::uint16_t slot,
                                     std::uint64_t generation) noexcept {
    return {requester, std::uint64_t{slot} | generation << 16U};
  }

  constexpr WorkerId requester() const noexcept { return requester_; }
  constexpr std::uint64_t local() const noexcept { return local_; }
  constexpr std::uint16_t slot() const noexcept { return static_cast<std::uint16_t>(local_); }
  /// 48 bits.
  constexpr std::uint64_t generation() const noexcept { return local_ >> 16U; }
  /// Base58 of the 16 bytes as on the wire.
  std::string to_string() const;

  friend constexpr auto operator<=>(const MessageId&, const MessageId&) noexcept = default;

 private:
  WorkerId requester_;
  std::uint64_t local_ = 0;
};

}  // namespace velo

template <>
struct std::hash<velo::MessageId> {
  std::size_t operator()(const velo::MessageId& id) const noexcept {
    return id.local() * 0x9e3779b97f4a7c15ULL ^ id.requester().value();
  }
};
