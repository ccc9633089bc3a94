// SPDX-License-Identifier: Apache-2.0
// The W3C trace context as text, and which traces are recorded.

#include <velo/base/trace.hpp>

#include <velo/base/limits.hpp>

#include <algorithm>
#include <span>

namespace velo::trace {
namespace trace_detail {

constexpr std::string_view digits = "0123456789abcdef";
/// 2 of version, 32 of trace, 16 of span, 2 of flags, and a dash between.
constexpr std::size_t parent_chars = 55;
constexpr unsigned sampled_flag = 1;
constexpr unsigned random_flag = 2;

static void append_hex(std::string& text, std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4U];
    text += digits[byte & 15U];
  }
}

/// Lower case alone, as the recommendation wants it.
static bool read_hex(std::string_view text, std::span<std::uint8_t> out) noexcept {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t high = digits.find(text[2 * i]);
    const std::size_t low = digits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    out[i] = static_cast<std::uint8_t>(high << 4U | low);
  }
  return true;
}

static bool is_key_char(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' ||
         c == '/';
}

/// `key` or `tenant@system`.
static bool is_key(std::string_view key) noexcept {
  const std::size_t at = key.find('@');
  const auto part = [](std::string_view text, std::size_t longest, bool digit_first) {
    if (text.empty() || text.size() > longest) return false;
    const char first = text.front();
    const bool letter = first >= 'a' && first <= 'z';
    const bool digit = digit_first && first >= '0' && first <= '9';
    if (!letter && !digit) return false;
    return std::ranges::all_of(text, is_key_char);
  };
  if (at == std::string_view::npos) return part(key, 256, true);
  return part(key.substr(0, at), 241, true) && part(key.substr(at + 1), 14, false);
}

static bool is_value(std::string_view value) noexcept {
  if (value.empty() || value.size() > 256 || value.back() == ' ') return false;
  return std::ranges::all_of(value,
                             [](char c) { return c >= ' ' && c <= '~' && c != ',' && c != '='; });
}

static std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

static bool is_state(std::string_view state) noexcept {
  if (state.size() > limits::trace_state_bytes_max) return false;
  std::size_t members = 0;
  for (;;) {
    const std::size_t comma = state.find(',');
    const std::string_view member = trimmed(state.substr(0, comma));
    if (!member.empty()) {
      const std::size_t equals = member.find('=');
      if (++members > limits::trace_state_members_max || equals == std::string_view::npos)
        return false;
      if (!is_key(member.substr(0, equals)) || !is_value(member.substr(equals + 1))) return false;
    }
    if (comma == std::string_view::npos) return members > 0;
    state.remove_prefix(comma + 1);
  }
}

}  // namespace trace_detail

std::string TraceId::to_string() const {
  std::string text;
  trace_detail::append_hex(text, bytes);
  return text;
}

std::string SpanId::to_string() const {
  std::string text;
  trace_detail::append_hex(text, bytes);
  return text;
}

std::optional<TraceContext> parse_context(std::string_view traceparent,
                                          std::string_view tracestate) {
  using trace_detail::parent_chars;
  if (traceparent.size() < parent_chars) return std::nullopt;
  if (traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-') {
    return std::nullopt;
  }
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  TraceContext context;
  if (!trace_detail::read_hex(traceparent.substr(0, 2), version) ||
      !trace_detail::read_hex(traceparent.substr(3, 32), context.trace.bytes) ||
      !trace_detail::read_hex(traceparent.substr(36, 16), context.span.bytes) ||
      !trace_detail::read_hex(traceparent.substr(53, 2), flags)) {
    return std::nullopt;
  }
  if (version[0] == 0xff || !context.trace.valid() || !context.span.valid()) return std::nullopt;
  if (traceparent.size() > parent_chars && (version[0] == 0 || traceparent[parent_chars] != '-')) {
    return std::nullopt;
  }
  context.sampled = (flags[0] & trace_detail::sampled_flag) != 0;
  context.random = (flags[0] & trace_detail::random_flag) != 0;
  if (trace_detail::is_state(tracestate)) context.state = tracestate;
  return context;
}

std::string to_traceparent(const TraceContext& context) {
  std::string text = "00-";
  text.reserve(trace_detail::parent_chars);
  trace_detail::append_hex(text, context.trace.bytes);
  text += '-';
  trace_detail::append_hex(text, context.span.bytes);
  text += "-0";
  text += trace_detail::digits[(context.sampled ? trace_detail::sampled_flag : 0U) |
                               (context.random ? trace_detail::random_flag : 0U)];
  return text;
}

Sampling::Sampling(double share) noexcept {
  constexpr double all = 72057594037927936.0;  // 2^56
  if (share >= 1) return;
  below_ = share > 0 ? static_cast<std::uint64_t>(share * all) : 0;
}

bool Sampling::samples(const TraceId& trace) const noexcept {
  std::uint64_t drawn = 0;
  for (std::size_t i = 9; i < trace.bytes.size(); ++i) drawn = drawn << 8U | trace.bytes[i];
  return drawn < below_;
}

}  // namespace velo::trace
