// SPDX-License-Identifier: Apache-2.0
// NodeId: the persistent identity of a node: the SHA-256 of its public key (SubjectPublicKeyInfo in
// DER). Not an InstanceId, which is one run of one messenger.
// Threading: value type.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace velo {

class NodeId {
 public:
  constexpr NodeId() noexcept = default;
  constexpr explicit NodeId(const std::array<std::uint8_t, 32>& bytes) noexcept : bytes_(bytes) {}
  /// Of a public key's SubjectPublicKeyInfo in DER.
  static NodeId of(ByteSpan public_key_der);
  /// 64 hexadecimal digits; Errc::invalid_argument otherwise.
  static Result<NodeId> parse(std::string_view text);

  constexpr const std::array<std::uint8_t, 32>& bytes() const noexcept { return bytes_; }
  bool valid() const noexcept { return *this != NodeId(); }
  /// 64 lower-case hexadecimal digits.
  std::string to_string() const;
  friend constexpr auto operator<=>(const NodeId&, const NodeId&) noexcept = default;

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

}  // namespace velo

template <>
struct std::hash<velo::NodeId> {
  std::size_t operator()(const velo::NodeId& id) const noexcept {
    std::size_t value = 0;
    for (std::size_t i = 0; i < sizeof(value); ++i) value = value << 8 | id.bytes().at(i);
    return value;
  }
};
