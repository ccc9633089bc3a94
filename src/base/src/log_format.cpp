// SPDX-License-Identifier: Apache-2.0
// The text and JSON forms of a log line: escaping, quoting, times, and cutting at the length limit.

#include "log_format.hpp"

#include "utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

namespace velo::log_format {

bool LineBuffer::put(std::string_view text) noexcept {
  // close() may already have used some of the reserve.
  if (truncated_ || size_ + text.size() > data_.size() - close_bytes_max) {
    truncated_ = true;
    return false;
  }
  std::memcpy(data_.data() + size_, text.data(), text.size());
  size_ += text.size();
  return true;
}

void LineBuffer::close(std::string_view text) noexcept {
  const std::size_t count = std::min(text.size(), data_.size() - size_);
  std::memcpy(data_.data() + size_, text.data(), count);
  size_ += count;
}

std::string_view level_name(log::Level level) noexcept {
  switch (level) {
    case log::Level::trace: return "trace";
    case log::Level::debug: return "debug";
    case log::Level::info: return "info";
    case log::Level::warn: return "warn";
    case log::Level::error: return "error";
    case log::Level::off: return "off";
  }
  return "unknown";
}

namespace log_format_detail {

enum class Style : std::uint8_t { message, quoted, json };

template <class... Arguments>
static bool put_formatted(LineBuffer& line, fmt::format_string<Arguments...> format,
                          Arguments&&... arguments) {
  std::array<char, 64> text;
  const auto result =
      fmt::format_to_n(text.data(), text.size(), format, std::forward<Arguments>(arguments)...);
  return line.put({text.data(), std::min(result.size, text.size())});
}

static bool put_ascii(LineBuffer& line, unsigned char byte, Style style) {
  switch (byte) {
    case '\n': return line.put("\\n");
    case '\r': return line.put("\\r");
    case '\t': return line.put("\\t");
    case '\\': return line.put("\\\\");
    case '"': return line.put(style == Style::message ? "\"" : "\\\"");
    default: break;
  }
  if (byte >= 0x20 && byte != 0x7f) return line.put(static_cast<char>(byte));
  return style == Style::json ? put_formatted(line, "\\u{:04x}", byte)
                              : put_formatted(line, "\\x{:02x}", byte);
}

/// As much of `text` as fits.
static bool put_escaped(LineBuffer& line, std::string_view text, Style style) {
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    const std::size_t count = utf8::sequence_bytes(text);
    bool fits = false;
    if (count == 0) {
      fits = style == Style::json ? line.put("\\ufffd") : put_formatted(line, "\\x{:02x}", byte);
    } else if (count == 1) {
      fits = put_ascii(line, byte, style);
    } else if (byte == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0) {
      // The C1 controls, which terminals obey like escape sequences.
      fits = put_formatted(line, "\\u{:04x}", static_cast<unsigned char>(text[1]));
    } else {
      fits = line.put(text.substr(0, count));
    }
    if (!fits) return false;
    text.remove_prefix(std::max<std::size_t>(count, 1));
  }
  return true;
}

/// A key or value of the text form: bare if nothing in it could be mistaken, else in quotes.
static void put_word(LineBuffer& line, std::string_view text) {
  const bool bare = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
  if (bare) {
    put_escaped(line, text, Style::message);
  } else if (line.put('"')) {
    put_escaped(line, text, Style::quoted);
    line.close("\"");
  }
}

static void put_json_string(LineBuffer& line, std::string_view text) {
  if (!line.put('"')) return;
  put_escaped(line, text, Style::json);
  line.close("\"");
}

/// RFC 3339, in UTC, to the microsecond.
static void put_time(LineBuffer& line, WallTime time) {
  using std::chrono::days;
  using std::chrono::floor;
  const std::chrono::sys_time<Duration> instant{Duration(time.unix_nanoseconds)};
  const auto midnight = floor<days>(instant);
  const std::chrono::year_month_day date(midnight);
  const std::chrono::hh_mm_ss clock(floor<std::chrono::microseconds>(instant - midnight));
  put_formatted(line, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                clock.subseconds().count());
}

static void put_duration(LineBuffer& line, Duration duration) {
  const auto count = static_cast<double>(duration.count());
  const double size = std::fabs(count);
  if (size < 1e3) {
    put_formatted(line, "{}ns", duration.count());
  } else if (size < 1e6) {
    put_formatted(line, "{:.6g}us", count / 1e3);
  } else if (size < 1e9) {
    put_formatted(line, "{:.6g}ms", count / 1e6);
  } else {
    put_formatted(line, "{:.9g}s", count / 1e9);
  }
}

static void put_text_value(LineBuffer& line, const log::Field& field) {
  switch (field.kind()) {
    case log::Field::Kind::text: return put_word(line, field.text());
    case log::Field::Kind::boolean: line.put(field.boolean() ? "true" : "false"); return;
    case log::Field::Kind::integer: put_formatted(line, "{}", field.integer()); return;
    case log::Field::Kind::natural: put_formatted(line, "{}", field.natural()); return;
    case log::Field::Kind::real: put_formatted(line, "{}", field.real()); return;
    case log::Field::Kind::duration: return put_duration(line, field.duration());
    case log::Field::Kind::error: return put_word(line, field.error().to_string());
  }
}

static void put_json_value(LineBuffer& line, const log::Field& field) {
  switch (field.kind()) {
    case log::Field::Kind::text: return put_json_string(line, field.text());
    case log::Field::Kind::boolean: line.put(field.boolean() ? "true" : "false"); return;
    case log::Field::Kind::integer:
    case log::Field::Kind::duration: put_formatted(line, "{}", field.integer()); return;
    case log::Field::Kind::natural: put_formatted(line, "{}", field.natural()); return;
    case log::Field::Kind::real:
      if (std::isfinite(field.real())) {
        put_formatted(line, "{}", field.real());
      } else {
        put_formatted(line, "\"{}\"", field.real());  // JSON has no numbers for these
      }
      return;
    case log::Field::Kind::error: return put_json_string(line, field.error().to_string());
  }
}

/// Whether the value can be cut short and still be one.
static bool may_be_cut(const log::Field& field) noexcept {
  return field.kind() == log::Field::Kind::text || field.kind() == log::Field::Kind::error;
}

}  // namespace log_format_detail

void format_text(LineBuffer& line, const Record& record) {
  using namespace log_format_detail;  // NOLINT(google-build-using-namespace)
  if (record.time) {
    put_time(line, *record.time);
    line.put(' ');
  }
  put_formatted(line, "{:<5} {}: ", level_name(record.level), room_name(record.room));
  put_escaped(line, record.message, Style::message);
  for (const log::Field& field : record.fields) {
    const std::size_t before = line.size();
    line.put(' ');
    put_word(line, field.key());
    line.put('=');
    const std::size_t value = line.size();
    const bool key_fits = !line.truncated();
    if (key_fits) put_text_value(line, field);
    if (!line.truncated()) continue;
    if (!key_fits || line.size() == value || !may_be_cut(field)) line.rewind(before);
    break;
  }
  line.close(line.truncated() ? " [truncated]\n" : "\n");
}

void format_json(LineBuffer& line, const Record& record) {
  using namespace log_format_detail;  // NOLINT(google-build-using-namespace)
  line.put('{');
  if (record.time) {
    line.put("\"time\":\"");
    put_time(line, *record.time);
    line.put("\",");
  }
  put_formatted(line, R"("level":"{}","room":"{}","message":)", level_name(record.level),
                room_name(record.room));
  put_json_string(line, record.message);
  bool first = true;
  for (const log::Field& field : record.fields) {
    if (line.truncated()) break;
    const std::size_t before = line.size();
    line.put(first ? ",\"fields\":{" : ",");
    line.put('"');
    put_escaped(line, field.key(), Style::json);
    line.put(field.kind() == log::Field::Kind::duration ? "_ns\":" : "\":");
    const std::size_t value = line.size();
    const bool key_fits = !line.truncated();
    if (key_fits) put_json_value(line, field);
    if (line.truncated() && (!key_fits || line.size() == value || !may_be_cut(field))) {
      line.rewind(before);
      break;
    }
    first = false;
  }
  if (!first) line.close("}");
  line.close(line.truncated() ? ",\"truncated\":true}\n" : "}\n");
}

}  // namespace velo::log_format
