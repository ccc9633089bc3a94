// SPDX-License-Identifier: Apache-2.0
// Bytes that are encoded as an array of integers, which is what the public velo makes of a Rust
// Vec<u8>. Not for our own types: plain Bytes are `bin` in MessagePack and base64 in JSON, and
// smaller.
// Threading: value type.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/codec/traits.hpp>

#include <cstdint>

namespace velo::codec {

/// Decodes from an array of integers, `bin`, or a string.
struct IntArrayBytes {
  Bytes bytes;

  friend bool operator==(const IntArrayBytes&, const IntArrayBytes&) = default;
};

template <>
struct Codec<IntArrayBytes> {
  template <class Out>
  static void write(Out& out, const IntArrayBytes& value) {
    out.begin_array(value.bytes.size());
    for (const std::byte byte : value.bytes)
      out.unsigned_integer(std::to_integer<std::uint64_t>(byte));
    out.end_array();
  }
  template <class In>
  static bool read(In& in, IntArrayBytes& value) {
    return in.read_bytes(value.bytes);
  }
};

}  // namespace velo::codec
