// SPDX-License-Identifier: Apache-2.0
// MessagePack: described C++ values to bytes and back, and the writer and reader beneath for code
// that needs them. Not a document model (json_value.hpp has one).
// Threading: functions are thread-safe; a Writer or Reader belongs to one thread.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/codec/input.hpp>
#include <velo/codec/read.hpp>
#include <velo/codec/write.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace velo::codec::msgpack {

namespace detail {

template <class T>
T big_endian(T value) noexcept {
  if constexpr (std::endian::native == std::endian::big || sizeof(T) == 1) {
    return value;
  } else if constexpr (sizeof(T) == 2) {
    return __builtin_bswap16(value);
  } else if constexpr (sizeof(T) == 4) {
    return __builtin_bswap32(value);
  } else {
    return __builtin_bswap64(value);
  }
}

}  // namespace detail

/// Appends MessagePack to a buffer of its own; the first 512 bytes need no allocation. Lengths are
/// below 2^32.
class Writer {
 public:
  static constexpr bool human_readable = false;

  Writer() noexcept : begin_(inline_), pos_(inline_), end_(inline_ + sizeof inline_) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void nil() { put_tag(0xc0); }
  void boolean(bool value) { put_tag(value ? 0xc3 : 0xc2); }
  /// The shortest form.
  void signed_integer(std::int64_t value) {
    if (value >= 0) return unsigned_integer(static_cast<std::uint64_t>(value));
    if (value >= -32) return put_tag(static_cast<std::uint8_t>(value));
    negative(value);
  }
  void unsigned_integer(std::uint64_t value) {
    if (value < 0x80) return put_tag(static_cast<std::uint8_t>(value));
    large(value);
  }
  /// Always `bin` of 16 bytes, big endian, two's complement: what the public velo's encoder makes
  /// of 128-bit integers.
  void big_integer(BigInteger value);
  void real(float value) { put(0xca, std::bit_cast<std::uint32_t>(value)); }
  void real(double value) { put(0xcb, std::bit_cast<std::uint64_t>(value)); }
  void string(std::string_view value) {
    if (value.size() < 32) {
      reserve(32);
      *pos_++ = static_cast<std::uint8_t>(0xa0 | value.size());
    } else {
      long_string(value.size());
    }
    append(value.data(), value.size());
  }
  void bytes(ByteSpan value);
  void extension(std::int8_t type, ByteSpan value);
  /// `count` values follow.
  void begin_array(std::size_t count) {
    if (count < 16) return put_tag(static_cast<std::uint8_t>(0x90 | count));
    long_container(0xdc, count);
  }
  void end_array() noexcept {}
  /// `count` keys, each with its value, follow.
  void begin_map(std::size_t count) {
    if (count < 16) return put_tag(static_cast<std::uint8_t>(0x80 | count));
    long_container(0xde, count);
  }
  void end_map() noexcept {}
  void key(std::string_view name) { string(name); }
  void key(std::int64_t value) { signed_integer(value); }
  void key(std::uint64_t value) { unsigned_integer(value); }
  /// Inserts a value that is already MessagePack.
  void raw(ByteSpan encoded) {
    reserve(encoded.size());
    append(encoded.data(), encoded.size());
  }

  std::size_t size() const noexcept { return static_cast<std::size_t>(pos_ - begin_); }
  /// What was written; valid until the next write.
  ByteSpan span() const noexcept { return {reinterpret_cast<const std::byte*>(begin_), size()}; }
  /// What was written, in a block of exactly its size, or without a copy once it outgrew the inline
  /// buffer.
  Bytes take() &&;
  /// Forgets what was written and keeps the memory.
  void clear() noexcept { pos_ = begin_; }

 private:
  void reserve(std::size_t count) {
    if (static_cast<std::size_t>(end_ - pos_) < count) [[unlikely]]
      grow(count);
  }
  void grow(std::size_t count);
  void append(const void* data, std::size_t size) noexcept {
    if (size != 0) std::memcpy(pos_, data, size);
    pos_ += size;
  }
  void put_tag(std::uint8_t tag) {
    reserve(1);
    *pos_++ = tag;
  }
  template <std::unsigned_integral T>
  void put(std::uint8_t tag, T value) {
    reserve(1 + sizeof value);
    *pos_++ = tag;
    const T swapped = detail::big_endian(value);
    std::memcpy(pos_, &swapped, sizeof swapped);
    pos_ += sizeof swapped;
  }
  void negative(std::int64_t value);
  void large(std::uint64_t value);
  void long_string(std::size_t size);
  void long_container(std::uint8_t tag16, std::size_t count);

  std::uint8_t* begin_;
  std::uint8_t* pos_;
  std::uint8_t* end_;
  std::optional<BytesBuilder> heap_;
  std::uint8_t inline_[512];  // NOLINT: left uninitialised on purpose
};

/// Reads MessagePack from memory that outlives it. Every length is checked against what remains
/// before anything is allocated. All read functions return false once one has failed.
class Reader : public Input {
 public:
  static constexpr bool human_readable = false;

  explicit Reader(ByteSpan data) noexcept : Input(as_text(data)) {}
  /// Large Bytes members share the block of `data` (4096 bytes and up); smaller ones are copied.
  explicit Reader(const Bytes& data) noexcept : Input(data.text()), owner_(&data) {}

  /// The kind of the next value; Kind::invalid at the end.
  Kind peek() const noexcept;
  /// Consumes a nil, if that is next.
  bool try_nil() noexcept {
    if (pos_ == end_ || *pos_ != 0xc0) return false;
    ++pos_;
    return true;
  }

  bool read_nil();
  bool read_boolean(bool& value);
  bool read_signed(std::int64_t& value) {
    mark_ = pos_;
    if (pos_ != end_ && (*pos_ < 0x80 || *pos_ >= 0xe0)) {
      value = static_cast<std::int8_t>(*pos_++);
      return true;
    }
    return read_signed_long(value);
  }
  bool read_unsigned(std::uint64_t& value) {
    mark_ = pos_;
    if (pos_ != end_ && *pos_ < 0x80) {
      value = *pos_++;
      return true;
    }
    return read_unsigned_long(value);
  }
  /// An integer, or 16 bytes of `bin` as Writer::big_integer has them, of which the type says
  /// whether they have a sign.
  bool read_big_integer(BigInteger& value, bool has_sign);
  /// Also from integers.
  bool read_real(double& value);
  /// A view into the input. UTF-8 is not checked.
  bool read_string(std::string_view& value) {
    mark_ = pos_;
    if (pos_ != end_ && (*pos_ & 0xe0U) == 0xa0) {
      const std::size_t size = *pos_ & 0x1fU;
      if (remaining() > size) {
        value = {reinterpret_cast<const char*>(pos_ + 1), size};
        pos_ += 1 + size;
        return true;
      }
    }
    return read_string_long(value);
  }
  // Byte strings: `bin`, or as the public velo writes them an array of integers 0..255, or `str`.
  bool read_bytes(Bytes& value);
  bool read_bytes(std::vector<std::byte>& value);
  /// Errc::out_of_range unless there are exactly `value.size()` bytes.
  bool read_bytes_exact(std::span<std::byte> value);
  bool read_extension(std::int8_t& type, ByteSpan& value);

  bool enter_array(Sequence& sequence);
  bool enter_map(Sequence& sequence);
  /// False at the end of the array or map, which leaves it, or after a failure.
  bool next_item(Sequence& sequence) noexcept {
    if (failed()) return false;
    if (sequence.left == 0) {
      --depth_;
      return false;
    }
    --sequence.left;
    return true;
  }
  bool next_key(Sequence& sequence, std::string_view& key) {
    return next_item(sequence) && read_string(key);
  }
  bool next_key(Sequence& sequence, std::int64_t& key) {
    return next_item(sequence) && read_signed(key);
  }
  bool next_key(Sequence& sequence, std::uint64_t& key) {
    return next_item(sequence) && read_unsigned(key);
  }
  /// Integer keys become decimal text, valid until the next call.
  bool next_key_text(Sequence& sequence, std::string_view& key);
  /// Steps over one value, however nested (up to depth_max), without recursion.
  bool skip();
  /// Whether the whole input was read; Errc::trailing_bytes if not.
  bool finish();

 private:
  bool fail_kind(const char* expected);
  bool need(std::size_t count) { return remaining() >= count || fail_end(); }
  template <class T>
  bool take(T& value);
  bool take_length(std::uint8_t tag, std::uint8_t tag8, std::size_t& size);
  bool integer_bits(std::uint64_t& bits, bool& negative);
  bool read_signed_long(std::int64_t& value);
  bool read_unsigned_long(std::uint64_t& value);
  bool read_string_long(std::string_view& value);
  bool count_of(std::uint8_t fix, std::uint8_t tag16, const char* expected, std::size_t each,
                Sequence& sequence);
  bool byte_string(ByteSpan& value);
  bool byte_array(std::span<std::byte> value);
  bool byte_array_size(std::size_t& size);
  bool skip_one(std::uint64_t& children);
  bool skip_bytes(std::size_t count);

  const Bytes* owner_ = nullptr;
  DecimalBuffer key_text_{};
};

}  // namespace velo::codec::msgpack

namespace velo::codec {

namespace read_detail {
extern template bool read_struct(msgpack::Reader&, void*,
                                 std::span<const FieldReader<msgpack::Reader>>);
extern template bool read_enumerator(msgpack::Reader&, std::span<const traits::EnumEntry>,
                                     std::uint64_t&);
}  // namespace read_detail
namespace write_detail {
extern template void write_struct(msgpack::Writer&, const void*,
                                  std::span<const FieldWriter<msgpack::Writer>>);
}  // namespace write_detail

/// Appends `value`.
template <class T>
void to_msgpack(msgpack::Writer& writer, const T& value) {
  write_value(writer, value);
}

template <class T>
Bytes to_msgpack(const T& value) {
  msgpack::Writer writer;
  write_value(writer, value);
  return std::move(writer).take();
}

namespace msgpack::detail {
template <class T>
Result<T> decode(Reader& reader) {
  static_assert(std::is_default_constructible_v<T>,
                "decoding starts from a default-constructed value");
  Result<T> result{T()};
  if (!read_value(reader, *result) || !reader.finish()) result = reader.error();
  return result;
}
}  // namespace msgpack::detail

/// One value and nothing after it. Codes of codec::Errc; the context names the path and the byte.
template <class T>
Result<T> from_msgpack(ByteSpan data) {
  msgpack::Reader reader(data);
  return msgpack::detail::decode<T>(reader);
}

/// The same, but Bytes members of 4096 bytes and more share the block of `data` instead of copying.
template <class T>
Result<T> from_msgpack(const Bytes& data) {
  msgpack::Reader reader(data);
  return msgpack::detail::decode<T>(reader);
}

}  // namespace velo::codec

namespace velo {
using codec::from_msgpack;
using codec::to_msgpack;
}  // namespace velo
