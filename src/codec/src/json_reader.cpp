// SPDX-License-Identifier: Apache-2.0
// Reading JSON text: RFC 8259 and nothing more.

#include <velo/codec/base64.hpp>
#include <velo/codec/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "utf8.hpp"

namespace velo::codec::json {
namespace json_reader_detail {

static bool is_digit(std::uint8_t c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace json_reader_detail

void Reader::skip_space() noexcept {
  while (pos_ != end_ && (*pos_ == ' ' || *pos_ == '\n' || *pos_ == '\r' || *pos_ == '\t')) ++pos_;
  mark_ = pos_;
}

Kind Reader::peek() {
  skip_space();
  if (pos_ == end_) return Kind::invalid;
  switch (*pos_) {
    case '{': return Kind::map;
    case '[': return Kind::array;
    case '"': return Kind::string;
    case 't':
    case 'f': return Kind::boolean;
    case 'n': return Kind::nil;
    default: break;
  }
  if (*pos_ != '-' && !json_reader_detail::is_digit(*pos_)) return Kind::invalid;
  const std::uint8_t* at = pos_ + 1;
  while (at != end_ && json_reader_detail::is_digit(*at)) ++at;
  const bool fraction = at != end_ && (*at == '.' || *at == 'e' || *at == 'E');
  return fraction ? Kind::real : Kind::integer;
}

bool Reader::fail_syntax(const char* expected) {
  mark_ = pos_;
  if (pos_ == end_) return fail_end();
  return fail(Errc::malformed, fmt::format("expected {}", expected));
}

bool Reader::fail_kind(const char* expected) {
  const Kind found = peek();
  return found == Kind::invalid ? fail_syntax(expected) : fail_type(expected, found);
}

bool Reader::literal(std::string_view text) {
  const std::string_view rest(reinterpret_cast<const char*>(pos_), remaining());
  if (!rest.starts_with(text)) return fail_syntax("a value");
  pos_ += text.size();
  return true;
}

bool Reader::try_nil() { return peek() == Kind::nil && literal("null"); }

bool Reader::read_nil() { return peek() == Kind::nil ? literal("null") : fail_kind("null"); }

bool Reader::read_boolean(bool& value) {
  if (peek() != Kind::boolean) return fail_kind("boolean");
  value = *pos_ == 't';
  return literal(value ? "true" : "false");
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`; the caller has looked at the kind.
bool Reader::number_token(std::string_view& text, bool& integral) {
  const std::uint8_t* const from = pos_;
  const auto digits = [this] {
    const std::uint8_t* const first = pos_;
    while (pos_ != end_ && json_reader_detail::is_digit(*pos_)) ++pos_;
    return pos_ != first;
  };
  const auto accept = [this](char c) {
    if (pos_ == end_ || *pos_ != c) return false;
    ++pos_;
    return true;
  };
  integral = true;
  accept('-');
  if (!accept('0') && !digits()) return fail_syntax("a digit");
  if (accept('.')) {
    integral = false;
    if (!digits()) return fail_syntax("a digit");
  }
  if (accept('e') || accept('E')) {
    integral = false;
    if (!accept('+')) accept('-');
    if (!digits()) return fail_syntax("a digit");
  }
  if (pos_ != end_ && json_reader_detail::is_digit(*pos_)) return fail_syntax("no leading zero");
  text = {reinterpret_cast<const char*>(from), static_cast<std::size_t>(pos_ - from)};
  return true;
}

bool Reader::integer_token(BigInteger& value) {
  if (peek() != Kind::integer) return fail_kind("integer");
  std::string_view text;
  bool integral = false;
  if (!number_token(text, integral)) return false;
  if (!parse_decimal(text, value)) {
    return fail(Errc::out_of_range, "the integer has more than 128 bits");
  }
  return true;
}

bool Reader::read_big_integer(BigInteger& value, bool /*has_sign*/) { return integer_token(value); }

bool Reader::read_signed(std::int64_t& value) {
  BigInteger big;
  if (!integer_token(big)) return false;
  const U128 max = static_cast<std::uint64_t>(INT64_MAX) + std::uint64_t{big.negative};
  if (big.magnitude > max) return fail_out_of_range(big);
  const std::uint64_t bits = low_half(big.magnitude);
  value = static_cast<std::int64_t>(big.negative ? std::uint64_t{0} - bits : bits);
  return true;
}

bool Reader::read_unsigned(std::uint64_t& value) {
  BigInteger big;
  if (!integer_token(big)) return false;
  if (big.negative || big.magnitude > UINT64_MAX) return fail_out_of_range(big);
  value = low_half(big.magnitude);
  return true;
}

bool Reader::read_real(double& value) {
  const Kind kind = peek();
  if (kind != Kind::integer && kind != Kind::real) return fail_kind("number");
  std::string_view text;
  bool integral = false;
  if (!number_token(text, integral)) return false;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc()) return fail(Errc::out_of_range, "the number does not fit a double");
  return true;
}

bool Reader::read_string(std::string_view& value) {
  if (peek() != Kind::string) return fail_kind("string");
  const std::uint8_t* at = ++pos_;
  while (at != end_ && *at != '"' && *at != '\\' && *at >= 0x20) ++at;
  const std::string_view plain(reinterpret_cast<const char*>(pos_),
                               static_cast<std::size_t>(at - pos_));
  const std::size_t valid = utf8::valid_prefix(plain);
  if (valid != plain.size()) {
    pos_ += valid;
    return fail_syntax("UTF-8");
  }
  pos_ = at;
  if (at == end_) return fail_end();
  if (*at == '"') {
    ++pos_;
    value = plain;
    return true;
  }
  scratch_.assign(plain);
  return read_escaped(value);
}

/// The rest of a string from its first escape on; what came before is in scratch_.
bool Reader::read_escaped(std::string_view& value) {
  while (pos_ != end_) {
    const std::uint8_t c = *pos_;
    if (c == '"') {
      ++pos_;
      value = scratch_;
      return true;
    }
    if (c < 0x20) return fail_syntax("no control character in a string");
    if (c == '\\') {
      ++pos_;
      if (!read_escape()) return false;
      continue;
    }
    const std::uint8_t* at = pos_;
    while (at != end_ && *at != '"' && *at != '\\' && *at >= 0x20) ++at;
    const std::string_view plain(reinterpret_cast<const char*>(pos_),
                                 static_cast<std::size_t>(at - pos_));
    const std::size_t valid = utf8::valid_prefix(plain);
    pos_ += valid;
    if (valid != plain.size()) return fail_syntax("UTF-8");
    scratch_ += plain;
  }
  return fail_end();
}

bool Reader::read_escape() {
  if (pos_ == end_) return fail_end();
  constexpr std::string_view letters = "\"\\/bfnrt";
  constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
  const std::size_t letter = letters.find(static_cast<char>(*pos_));
  if (letter != std::string_view::npos) {
    scratch_ += meanings[letter];
    ++pos_;
    return true;
  }
  if (*pos_ != 'u') return fail_syntax("an escape");
  ++pos_;
  std::uint32_t unit = 0;
  if (!read_hex4(unit)) return false;
  if (unit >= 0xdc00 && unit < 0xe000) return fail_syntax("no lone low surrogate");
  if (unit >= 0xd800 && unit < 0xdc00) {
    std::uint32_t low = 0;
    if (remaining() < 2 || pos_[0] != '\\' || pos_[1] != 'u') {
      return fail_syntax("a low surrogate");
    }
    pos_ += 2;
    if (!read_hex4(low)) return false;
    if (low < 0xdc00 || low >= 0xe000) return fail_syntax("a low surrogate");
    unit = 0x10000 + ((unit - 0xd800) << 10U) + (low - 0xdc00);
  }
  utf8::append(scratch_, unit);
  return true;
}

bool Reader::read_hex4(std::uint32_t& unit) {
  if (remaining() < 4) return fail_end();
  const auto* const text = reinterpret_cast<const char*>(pos_);
  const auto parsed = std::from_chars(text, text + 4, unit, 16);
  if (parsed.ec != std::errc() || parsed.ptr != text + 4) return fail_syntax("four hex digits");
  pos_ += 4;
  return true;
}

bool Reader::read_bytes(std::vector<std::byte>& value) {
  if (peek() == Kind::string) {
    std::string_view text;
    if (!read_string(text)) return false;
    Result<std::vector<std::byte>> decoded = from_base64(text);
    if (!decoded) return fail(Errc::malformed, "the string is not base64");
    value = std::move(*decoded);
    return true;
  }
  Sequence sequence;
  if (peek() != Kind::array) return fail_kind("bytes");
  if (!enter_array(sequence)) return false;
  value.clear();
  while (next_item(sequence)) {
    std::uint64_t number = 0;
    if (!read_unsigned(number)) return in_index(value.size());
    if (number > UINT8_MAX) {
      fail_out_of_range({number, false});
      return in_index(value.size());
    }
    value.push_back(static_cast<std::byte>(number));
  }
  return !failed();
}

bool Reader::read_bytes(Bytes& value) {
  std::vector<std::byte> bytes;
  if (!read_bytes(bytes)) return false;
  value = Bytes::own(std::move(bytes));
  return true;
}

bool Reader::read_bytes_exact(std::span<std::byte> value) {
  std::vector<std::byte> bytes;
  if (!read_bytes(bytes)) return false;
  if (bytes.size() != value.size()) {
    return fail(Errc::out_of_range,
                fmt::format("expected exactly {} bytes, found {}", value.size(), bytes.size()));
  }
  std::copy(bytes.begin(), bytes.end(), value.begin());
  return true;
}

bool Reader::enter_array(Sequence& sequence) {
  if (peek() != Kind::array) return fail_kind("array");
  ++pos_;
  sequence = {};
  return enter();
}

bool Reader::enter_map(Sequence& sequence) {
  if (peek() != Kind::map) return fail_kind("map");
  ++pos_;
  sequence = {};
  return enter();
}

/// Steps to the next item, or over the closing bracket.
bool Reader::next_in(Sequence& sequence, char bracket) {
  if (failed()) return false;
  skip_space();
  if (pos_ == end_) return fail_end();
  if (*pos_ == bracket) {
    ++pos_;
    --depth_;
    return false;
  }
  if (!std::exchange(sequence.fresh, false)) {
    if (*pos_ != ',') return fail_syntax(bracket == ']' ? "',' or ']'" : "',' or '}'");
    ++pos_;
  }
  return true;
}

bool Reader::next_item(Sequence& sequence) { return next_in(sequence, ']'); }

bool Reader::next_key(Sequence& sequence, std::string_view& key) {
  if (!next_in(sequence, '}')) return false;
  if (peek() != Kind::string) return fail_syntax("a key");
  const std::uint8_t* const start = mark_;
  if (!read_string(key)) return false;
  skip_space();
  if (pos_ == end_ || *pos_ != ':') return fail_syntax("':'");
  ++pos_;
  mark_ = start;
  return true;
}

bool Reader::next_key(Sequence& sequence, std::int64_t& key) {
  std::string_view text;
  if (!next_key(sequence, text)) return false;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), key);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) return true;
  return fail(Errc::wrong_type, "expected an integer as key");
}

bool Reader::next_key(Sequence& sequence, std::uint64_t& key) {
  std::string_view text;
  if (!next_key(sequence, text)) return false;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), key);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) return true;
  return fail(Errc::wrong_type, "expected an integer as key");
}

bool Reader::skip() {  // NOLINT(misc-no-recursion): at most depth_max levels
  Sequence sequence;
  std::string_view text;
  bool flag = false;
  switch (peek()) {
    case Kind::nil: return read_nil();
    case Kind::boolean: return read_boolean(flag);
    case Kind::integer:
    case Kind::real: return number_token(text, flag);
    case Kind::string: return read_string(text);
    case Kind::array:
      if (!enter_array(sequence)) return false;
      while (next_item(sequence)) {
        if (!skip()) return false;
      }
      return !failed();
    case Kind::map:
      if (!enter_map(sequence)) return false;
      while (next_key(sequence, text)) {
        if (!skip()) return false;
      }
      return !failed();
    default: return fail_kind("a value");
  }
}

bool Reader::finish() {
  if (failed()) return false;
  skip_space();
  return pos_ == end_ || fail(Errc::trailing_bytes, "text follows the value");
}

}  // namespace velo::codec::json

namespace velo::codec::read_detail {
template bool read_struct(json::Reader&, void*, std::span<const FieldReader<json::Reader>>);
template bool read_enumerator(json::Reader&, std::span<const traits::EnumEntry>, std::uint64_t&);
}  // namespace velo::codec::read_detail
