// SPDX-License-Identifier: Apache-2.0
// JSON (RFC 8259): described C++ values to text and back, and the writer and reader beneath for
// code that needs them. Strict: UTF-8 is checked, nothing is tolerated. Integers are exact up to
// 128 bits, never doubles. Of duplicate keys the last wins. Not a document model (json_value.hpp
// has one).
// Threading: functions are thread-safe; a Writer or Reader belongs to one thread.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/codec/input.hpp>
#include <velo/codec/read.hpp>
#include <velo/codec/write.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace velo::codec {

enum class JsonStyle : std::uint8_t {
  compact,  ///< one line, no spaces
  pretty,   ///< two spaces of indentation
};

namespace json {

/// Appends JSON to a string. Commas, colons and indentation are its business.
class Writer {
 public:
  static constexpr bool human_readable = true;

  explicit Writer(JsonStyle style = JsonStyle::compact) noexcept
      : pretty_(style == JsonStyle::pretty) {}

  void nil() { literal("null"); }
  void boolean(bool value) { literal(value ? "true" : "false"); }
  void signed_integer(std::int64_t value);
  void unsigned_integer(std::uint64_t value);
  void big_integer(BigInteger value);
  // The shortest text that reads back the same, with a point or an exponent; null for NaN and
  // infinities.
  void real(float value);
  void real(double value);
  /// Bytes that are not UTF-8 become U+FFFD.
  void string(std::string_view value);
  /// base64, as a string.
  void bytes(ByteSpan value);
  void begin_array(std::size_t count);
  void end_array() { close(']'); }
  void begin_map(std::size_t count);
  void end_map() { close('}'); }
  void key(std::string_view name);
  void key(std::int64_t value);
  void key(std::uint64_t value);

  std::string take() && { return std::move(out_); }

 private:
  void literal(std::string_view text);
  void before_value();
  void new_line();
  void close(char bracket);
  void quoted(std::string_view text);
  template <class Float>
  void put_real(Float value);

  std::string out_;
  std::uint32_t depth_ = 0;
  bool pretty_;
  bool comma_ = false;      ///< something precedes at this level
  bool after_key_ = false;  ///< the next value stands on its key's line
};

/// Reads JSON from memory that outlives it, token by token, without building a document.
class Reader : public Input {
 public:
  static constexpr bool human_readable = true;

  explicit Reader(std::string_view text) noexcept : Input(text) {}

  /// The kind of the next value; Kind::bytes and Kind::extension never occur.
  Kind peek();
  bool try_nil();

  bool read_nil();
  bool read_boolean(bool& value);
  bool read_signed(std::int64_t& value);
  bool read_unsigned(std::uint64_t& value);
  bool read_big_integer(BigInteger& value, bool has_sign = true);
  bool read_real(double& value);
  /// A view into the input or into the reader: valid until the next read.
  bool read_string(std::string_view& value);
  // Byte strings: base64, or as the public velo writes them an array of integers 0..255.
  bool read_bytes(Bytes& value);
  bool read_bytes(std::vector<std::byte>& value);
  /// Errc::out_of_range unless there are exactly `value.size()` bytes.
  bool read_bytes_exact(std::span<std::byte> value);

  bool enter_array(Sequence& sequence);
  bool enter_map(Sequence& sequence);
  /// False at the end of the array or map, which leaves it, or after a failure.
  bool next_item(Sequence& sequence);
  bool next_key(Sequence& sequence, std::string_view& key);
  bool next_key(Sequence& sequence, std::int64_t& key);
  bool next_key(Sequence& sequence, std::uint64_t& key);
  bool next_key_text(Sequence& sequence, std::string_view& key) { return next_key(sequence, key); }
  /// Steps over one value, which is checked like one that is read.
  bool skip();
  /// Whether only white space is left; Errc::trailing_bytes if not.
  bool finish();

 private:
  void skip_space() noexcept;
  bool fail_kind(const char* expected);
  bool fail_syntax(const char* expected);
  bool literal(std::string_view text);
  bool number_token(std::string_view& text, bool& integral);
  bool integer_token(BigInteger& value);
  bool next_in(Sequence& sequence, char bracket);
  bool read_escaped(std::string_view& value);
  bool read_escape();
  bool read_hex4(std::uint32_t& unit);
  void append_utf8(std::uint32_t code_point);

  std::string scratch_;
};

}  // namespace json

namespace read_detail {
extern template bool read_struct(json::Reader&, void*, std::span<const FieldReader<json::Reader>>);
extern template bool read_enumerator(json::Reader&, std::span<const traits::EnumEntry>,
                                     std::uint64_t&);
}  // namespace read_detail
namespace write_detail {
extern template void write_struct(json::Writer&, const void*,
                                  std::span<const FieldWriter<json::Writer>>);
}  // namespace write_detail

template <class T>
std::string to_json(const T& value, JsonStyle style = JsonStyle::compact) {
  json::Writer writer(style);
  write_value(writer, value);
  return std::move(writer).take();
}

/// One value and nothing but white space around it. Codes of codec::Errc; the context names the
/// path and the byte.
template <class T>
Result<T> from_json(std::string_view text) {
  static_assert(std::is_default_constructible_v<T>,
                "decoding starts from a default-constructed value");
  json::Reader reader(text);
  Result<T> result{T()};
  if (!read_value(reader, *result) || !reader.finish()) result = reader.error();
  return result;
}

}  // namespace velo::codec

namespace velo {
using codec::from_json;
using codec::JsonStyle;
using codec::to_json;
}  // namespace velo
