// SPDX-License-Identifier: Apache-2.0
// Unsigned LEB128: seven bits per byte, least significant first, at most ten bytes.
// Not zigzag: signed numbers are the caller's business.
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace velo::codec {

inline constexpr std::size_t varint_bytes_max = 10;

struct EncodedVarint {
  std::array<std::byte, varint_bytes_max> bytes;
  std::size_t size;

  ByteSpan span() const noexcept { return {bytes.data(), size}; }
};

EncodedVarint encode_varint(std::uint64_t value) noexcept;

enum class VarintForm : std::uint8_t {
  any,
  minimal,  ///< a last byte of zero, which adds nothing, is malformed (as in multiformats)
};

enum class VarintStatus : std::uint8_t {
  complete,
  incomplete,  ///< a longer input may be right
  malformed,   ///< no continuation can make it right
};

struct DecodedVarint {
  VarintStatus status;
  std::size_t size;  ///< bytes consumed when complete
  std::uint64_t value;
};

DecodedVarint decode_varint(ByteSpan data, VarintForm form = VarintForm::any) noexcept;

}  // namespace velo::codec
