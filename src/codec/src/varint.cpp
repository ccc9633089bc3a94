// SPDX-License-Identifier: Apache-2.0
// Unsigned LEB128.

#include <velo/codec/varint.hpp>

namespace velo::codec {

EncodedVarint encode_varint(std::uint64_t value) noexcept {
  EncodedVarint out{};
  while (value >= 0x80) {
    out.bytes[out.size++] = static_cast<std::byte>(value | 0x80U);
    value >>= 7U;
  }
  out.bytes[out.size++] = static_cast<std::byte>(value);
  return out;
}

DecodedVarint decode_varint(ByteSpan data, VarintForm form) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto byte = std::to_integer<std::uint64_t>(data[i]);
    // The tenth byte holds bit 63 only and ends the number.
    if (i + 1 == varint_bytes_max && byte > 1) return {VarintStatus::malformed, 0, 0};
    value |= (byte & 0x7fU) << (7 * i);
    if (byte >= 0x80) continue;
    if (form == VarintForm::minimal && byte == 0 && i != 0) return {VarintStatus::malformed, 0, 0};
    return {VarintStatus::complete, i + 1, value};
  }
  return {VarintStatus::incomplete, 0, 0};
}

}  // namespace velo::codec
