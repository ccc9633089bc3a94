// SPDX-License-Identifier: Apache-2.0
// Writing JSON text.

#include <velo/codec/base64.hpp>
#include <velo/codec/json.hpp>

#include <charconv>
#include <cmath>

#include "utf8.hpp"

namespace velo::codec::json {

void Writer::new_line() {
  out_ += '\n';
  out_.append(std::size_t{depth_} * 2, ' ');
}

void Writer::before_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (comma_) out_ += ',';
  if (pretty_ && depth_ != 0) new_line();
}

void Writer::literal(std::string_view text) {
  before_value();
  out_ += text;
  comma_ = true;
}

void Writer::signed_integer(std::int64_t value) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  literal({buffer, static_cast<std::size_t>(end - buffer)});
}

void Writer::unsigned_integer(std::uint64_t value) {
  char buffer[24];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  literal({buffer, static_cast<std::size_t>(end - buffer)});
}

void Writer::big_integer(BigInteger value) {
  DecimalBuffer buffer;
  literal(to_decimal(value, buffer));
}

template <class Float>
void Writer::put_real(Float value) {
  if (!std::isfinite(value)) return nil();
  char buffer[40];
  auto* end = std::to_chars(buffer, buffer + 32, value).ptr;
  if (std::string_view(buffer, end).find_first_of(".e") == std::string_view::npos) {
    *end++ = '.';
    *end++ = '0';
  }
  literal({buffer, static_cast<std::size_t>(end - buffer)});
}

void Writer::real(float value) { put_real(value); }

void Writer::real(double value) { put_real(value); }

void Writer::quoted(std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  out_ += '"';
  std::size_t from = 0;
  const auto replace = [&](std::size_t at, std::string_view with) {
    out_.append(text, from, at - from);
    out_ += with;
    from = at + 1;
  };
  std::size_t valid = utf8::valid_prefix(text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == valid) {
      replace(i, "\xef\xbf\xbd");
      valid = i + 1 + utf8::valid_prefix(text.substr(i + 1));
      continue;
    }
    const char c = text[i];
    if (c == '"') replace(i, "\\\"");
    if (c == '\\') replace(i, "\\\\");
    if (static_cast<std::uint8_t>(c) >= 0x20) continue;
    if (c == '\n') {
      replace(i, "\\n");
    } else if (c == '\r') {
      replace(i, "\\r");
    } else if (c == '\t') {
      replace(i, "\\t");
    } else {
      const auto code = static_cast<std::uint8_t>(c);
      const char escape[6] = {'\\', 'u', '0', '0', hex[code >> 4U], hex[code & 0xfU]};
      replace(i, {escape, sizeof escape});
    }
  }
  out_.append(text, from);
  out_ += '"';
}

void Writer::string(std::string_view value) {
  before_value();
  quoted(value);
  comma_ = true;
}

void Writer::bytes(ByteSpan value) {
  before_value();
  out_ += '"';
  append_base64(out_, value);
  out_ += '"';
  comma_ = true;
}

void Writer::begin_array(std::size_t /*count*/) {
  before_value();
  out_ += '[';
  ++depth_;
  comma_ = false;
}

void Writer::begin_map(std::size_t /*count*/) {
  before_value();
  out_ += '{';
  ++depth_;
  comma_ = false;
}

void Writer::close(char bracket) {
  --depth_;
  if (pretty_ && comma_) new_line();
  out_ += bracket;
  comma_ = true;
}

void Writer::key(std::string_view name) {
  before_value();
  quoted(name);
  out_ += pretty_ ? ": " : ":";
  comma_ = true;
  after_key_ = true;
}

void Writer::key(std::int64_t value) { key(std::to_string(value)); }

void Writer::key(std::uint64_t value) { key(std::to_string(value)); }

}  // namespace velo::codec::json

namespace velo::codec::write_detail {
template void write_struct(json::Writer&, const void*, std::span<const FieldWriter<json::Writer>>);
}  // namespace velo::codec::write_detail
