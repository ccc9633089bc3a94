// SPDX-License-Identifier: Apache-2.0
// Reading MessagePack: every tag, every length checked against what remains before it is believed.

#include <velo/codec/msgpack.hpp>

#include <fmt/format.h>

namespace velo::codec::msgpack {
namespace msgpack_reader_detail {

static Kind kind_of(std::uint8_t tag) noexcept {
  if (tag < 0x80 || tag >= 0xe0) return Kind::integer;
  if (tag < 0x90) return Kind::map;
  if (tag < 0xa0) return Kind::array;
  if (tag < 0xc0) return Kind::string;
  switch (tag) {
    case 0xc0: return Kind::nil;
    case 0xc1: return Kind::invalid;
    case 0xc2:
    case 0xc3: return Kind::boolean;
    case 0xc4:
    case 0xc5:
    case 0xc6: return Kind::bytes;
    case 0xca:
    case 0xcb: return Kind::real;
    case 0xd9:
    case 0xda:
    case 0xdb: return Kind::string;
    case 0xdc:
    case 0xdd: return Kind::array;
    case 0xde:
    case 0xdf: return Kind::map;
    default: break;
  }
  if (tag >= 0xcc && tag <= 0xd3) return Kind::integer;
  return Kind::extension;
}

}  // namespace msgpack_reader_detail

Kind Reader::peek() const noexcept {
  return pos_ == end_ ? Kind::invalid : msgpack_reader_detail::kind_of(*pos_);
}

bool Reader::fail_kind(const char* expected) {
  mark_ = pos_;
  if (pos_ == end_) return fail_end();
  if (*pos_ == 0xc1) return fail(Errc::malformed, "the byte 0xc1 starts no value");
  return fail_type(expected, peek());
}

template <class T>
bool Reader::take(T& value) {
  if (!need(sizeof value)) return false;
  T raw;
  std::memcpy(&raw, pos_, sizeof raw);
  value = detail::big_endian(raw);
  pos_ += sizeof raw;
  return true;
}

/// The length behind `tag`, of which `tag8`, `tag8` + 1 and `tag8` + 2 are the forms with 8, 16 and
/// 32 bits.
bool Reader::take_length(std::uint8_t tag, std::uint8_t tag8, std::size_t& size) {
  std::uint8_t size8 = 0;
  std::uint16_t size16 = 0;
  std::uint32_t size32 = 0;
  ++pos_;
  const bool taken = tag == tag8 ? take(size8) : tag == tag8 + 1 ? take(size16) : take(size32);
  size = std::size_t{size8} + size16 + size32;
  return taken;
}

bool Reader::read_nil() { return try_nil() || fail_kind("null"); }

bool Reader::read_boolean(bool& value) {
  mark_ = pos_;
  if (peek() != Kind::boolean) return fail_kind("boolean");
  value = *pos_++ == 0xc3;
  return true;
}

bool Reader::integer_bits(std::uint64_t& bits, bool& negative) {
  mark_ = pos_;
  if (peek() != Kind::integer) return fail_kind("integer");
  const std::uint8_t tag = *pos_++;
  if (tag < 0x80 || tag >= 0xe0) {
    bits = static_cast<std::uint64_t>(static_cast<std::int8_t>(tag));
    negative = tag >= 0xe0;
    return true;
  }
  const bool has_sign = tag >= 0xd0;
  std::uint8_t bits8 = 0;
  std::uint16_t bits16 = 0;
  std::uint32_t bits32 = 0;
  switch (tag) {
    case 0xcc:
    case 0xd0:
      if (!take(bits8)) return false;
      bits = has_sign ? static_cast<std::uint64_t>(static_cast<std::int8_t>(bits8)) : bits8;
      break;
    case 0xcd:
    case 0xd1:
      if (!take(bits16)) return false;
      bits = has_sign ? static_cast<std::uint64_t>(static_cast<std::int16_t>(bits16)) : bits16;
      break;
    case 0xce:
    case 0xd2:
      if (!take(bits32)) return false;
      bits = has_sign ? static_cast<std::uint64_t>(static_cast<std::int32_t>(bits32)) : bits32;
      break;
    default:
      if (!take(bits)) return false;
      break;
  }
  negative = has_sign && static_cast<std::int64_t>(bits) < 0;
  return true;
}

bool Reader::read_signed_long(std::int64_t& value) {
  std::uint64_t bits = 0;
  bool negative = false;
  if (!integer_bits(bits, negative)) return false;
  if (!negative && bits > static_cast<std::uint64_t>(INT64_MAX)) {
    return fail_out_of_range({bits, false});
  }
  value = static_cast<std::int64_t>(bits);
  return true;
}

bool Reader::read_unsigned_long(std::uint64_t& value) {
  bool negative = false;
  if (!integer_bits(value, negative)) return false;
  return !negative || fail_out_of_range({std::uint64_t{0} - value, true});
}

bool Reader::read_big_integer(BigInteger& value, bool has_sign) {
  if (peek() == Kind::bytes) {
    std::array<std::uint64_t, 2> halves{};
    if (!read_bytes_exact(std::as_writable_bytes(std::span(halves)))) return false;
    const U128 bits =
        u128_from_halves(detail::big_endian(halves[0]), detail::big_endian(halves[1]));
    const bool negative = has_sign && (bits >> 127) != 0;
    value = {negative ? U128{0} - bits : bits, negative};
    return true;
  }
  std::uint64_t bits = 0;
  bool negative = false;
  if (!integer_bits(bits, negative)) return false;
  value = {negative ? std::uint64_t{0} - bits : bits, negative};
  return true;
}

bool Reader::read_real(double& value) {
  mark_ = pos_;
  const Kind kind = peek();
  if (kind == Kind::integer) {
    std::uint64_t bits = 0;
    bool negative = false;
    if (!integer_bits(bits, negative)) return false;
    value =
        negative ? static_cast<double>(static_cast<std::int64_t>(bits)) : static_cast<double>(bits);
    return true;
  }
  if (kind != Kind::real) return fail_kind("number");
  if (*pos_++ == 0xca) {
    std::uint32_t bits = 0;
    if (!take(bits)) return false;
    value = std::bit_cast<float>(bits);
    return true;
  }
  std::uint64_t bits = 0;
  if (!take(bits)) return false;
  value = std::bit_cast<double>(bits);
  return true;
}

bool Reader::read_string_long(std::string_view& value) {
  mark_ = pos_;
  if (peek() != Kind::string) return fail_kind("string");
  std::size_t size = *pos_ & 0x1fU;
  if (*pos_ < 0xc0) {
    ++pos_;
  } else if (!take_length(*pos_, 0xd9, size)) {
    return false;
  }
  if (!need(size)) return false;
  value = {reinterpret_cast<const char*>(pos_), size};
  pos_ += size;
  return true;
}

/// The number of items of an array or map, each of which takes at least `each` bytes.
bool Reader::count_of(std::uint8_t fix, std::uint8_t tag16, const char* expected, std::size_t each,
                      Sequence& sequence) {
  mark_ = pos_;
  if (pos_ == end_) return fail_end();
  const std::uint8_t tag = *pos_;
  std::size_t count = tag & 0x0fU;
  if ((tag & 0xf0U) == fix) {
    ++pos_;
  } else if (tag == tag16 || tag == tag16 + 1) {
    if (!take_length(tag, static_cast<std::uint8_t>(tag16 - 1), count)) return false;
  } else {
    return fail_kind(expected);
  }
  if (count > remaining() / each) {
    return fail(Errc::malformed, fmt::format("{} of {} elements, but {} bytes remain", expected,
                                             count, remaining()));
  }
  sequence = {static_cast<std::uint32_t>(count), true};
  return enter();
}

bool Reader::enter_array(Sequence& sequence) { return count_of(0x90, 0xdc, "array", 1, sequence); }

bool Reader::enter_map(Sequence& sequence) { return count_of(0x80, 0xde, "map", 2, sequence); }

bool Reader::next_key_text(Sequence& sequence, std::string_view& key) {
  if (!next_item(sequence)) return false;
  if (peek() != Kind::integer) return read_string(key);
  BigInteger number;
  if (!read_big_integer(number, true)) return false;
  key = to_decimal(number, key_text_);
  return true;
}

bool Reader::skip_bytes(std::size_t count) {
  if (!need(count)) return false;
  pos_ += count;
  return true;
}

/// Steps over one value but not its children.
bool Reader::skip_one(std::uint64_t& children) {
  children = 0;
  Sequence sequence;
  switch (peek()) {
    case Kind::nil:
    case Kind::boolean: return skip_bytes(1);
    case Kind::integer: {
      std::uint64_t bits = 0;
      bool negative = false;
      return integer_bits(bits, negative);
    }
    case Kind::real: return skip_bytes(*pos_ == 0xca ? 5 : 9);
    case Kind::string:
    case Kind::bytes: {
      ByteSpan view;
      return byte_string(view);
    }
    case Kind::extension: {
      std::int8_t type = 0;
      ByteSpan view;
      return read_extension(type, view);
    }
    case Kind::array:
      if (!enter_array(sequence)) return false;
      children = sequence.left;
      return true;
    case Kind::map:
      if (!enter_map(sequence)) return false;
      children = std::uint64_t{sequence.left} * 2;
      return true;
    case Kind::invalid: break;
  }
  return fail_kind("value");
}

bool Reader::skip() {
  std::array<std::uint64_t, depth_max> left;  // NOLINT: written before it is read
  const std::uint32_t outside = depth_;
  std::uint64_t children = 0;
  if (!skip_one(children)) return false;
  if (depth_ > outside) left[0] = children;
  while (depth_ > outside) {
    std::uint64_t& here = left[depth_ - outside - 1];
    if (here == 0) {
      --depth_;
      continue;
    }
    --here;
    const std::uint32_t before = depth_;
    if (!skip_one(children)) return false;
    if (depth_ > before) left[before - outside] = children;
  }
  return true;
}

bool Reader::finish() {
  if (failed()) return false;
  if (pos_ == end_) return true;
  mark_ = pos_;
  return fail(Errc::trailing_bytes, fmt::format("{} bytes follow the value", remaining()));
}

}  // namespace velo::codec::msgpack

namespace velo::codec::read_detail {
template bool read_struct(msgpack::Reader&, void*, std::span<const FieldReader<msgpack::Reader>>);
template bool read_enumerator(msgpack::Reader&, std::span<const traits::EnumEntry>, std::uint64_t&);
}  // namespace velo::codec::read_detail
