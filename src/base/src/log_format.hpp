// SPDX-License-Identifier: Apache-2.0
// Turns one log record into one line of bounded length, as text or JSON. Pure: the time is an
// argument.
// Threading: value types.
#pragma once

#include <velo/base/log.hpp>

#include <array>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace velo::log_format {

/// The characters of a line. What does not fit is refused, and so is all that follows it, except
/// what close() adds: that has a reserve of its own, so that a cut line can still be ended
/// properly.
class LineBuffer {
 public:
  bool put(std::string_view text) noexcept;
  bool put(char character) noexcept { return put(std::string_view(&character, 1)); }
  void close(std::string_view text) noexcept;

  bool truncated() const noexcept { return truncated_; }
  std::size_t size() const noexcept { return size_; }
  void rewind(std::size_t size) noexcept { size_ = size; }
  std::string_view view() const noexcept { return {data_.data(), size_}; }

 private:
  static constexpr std::size_t close_bytes_max = 64;

  std::array<char, log::line_bytes_max> data_;
  std::size_t size_ = 0;
  bool truncated_ = false;
};

struct Record {
  std::optional<WallTime> time;
  log::Level level;
  Room room;
  std::string_view message;
  std::initializer_list<log::Field> fields;
};

/// Appends the line, with its newline. Control characters, line ends and invalid UTF-8 are escaped.
void format_text(LineBuffer& line, const Record& record);
void format_json(LineBuffer& line, const Record& record);

std::string_view level_name(log::Level level) noexcept;

}  // namespace velo::log_format
