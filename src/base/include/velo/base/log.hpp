// SPDX-License-Identifier: Apache-2.0
// Structured log lines: a level per room, a message, and key/value fields; as text or JSON, one
// write per line, to stderr unless a sink is set. Not for data (see metrics) and not in cores,
// which return what happened instead. Nothing here reads a clock: lines carry a time once the
// composition gave set_clock() its World's.
// Threading: any thread. The settings are the process's own: only compositions and tests change
// them.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace velo::log {

enum class Level : std::uint8_t { trace, debug, info, warn, error, off };
enum class Format : std::uint8_t { text, json };

/// A line with its newline is never longer; what does not fit is cut off and the line marked as
/// truncated.
constexpr std::size_t line_bytes_max = 8192;

/// One key and its value. Borrows its strings: build it in the call that writes the line.
class Field {
 public:
  enum class Kind : std::uint8_t { text, boolean, integer, natural, real, duration, error };

  Field(std::string_view key, std::string_view value) noexcept
      : key_(key), kind_(Kind::text), value_{.text = value} {}
  Field(std::string_view key, std::same_as<bool> auto value) noexcept
      : key_(key), kind_(Kind::boolean), value_{.natural = value ? 1U : 0U} {}
  Field(std::string_view key, std::signed_integral auto value) noexcept
      : key_(key), kind_(Kind::integer), value_{.integer = value} {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  Field(std::string_view key, T value) noexcept
      : key_(key), kind_(Kind::natural), value_{.natural = value} {}
  Field(std::string_view key, double value) noexcept
      : key_(key), kind_(Kind::real), value_{.real = value} {}
  template <class Rep, class Period>
  Field(std::string_view key, std::chrono::duration<Rep, Period> value) noexcept
      : key_(key),
        kind_(Kind::duration),
        value_{.integer = std::chrono::duration_cast<Duration>(value).count()} {}
  Field(std::string_view key, const Error& value) noexcept
      : key_(key), kind_(Kind::error), value_{.error = &value} {}

  std::string_view key() const noexcept { return key_; }
  Kind kind() const noexcept { return kind_; }
  std::string_view text() const noexcept { return value_.text; }
  bool boolean() const noexcept { return value_.natural != 0; }
  std::int64_t integer() const noexcept { return value_.integer; }
  std::uint64_t natural() const noexcept { return value_.natural; }
  double real() const noexcept { return value_.real; }
  Duration duration() const noexcept { return Duration(value_.integer); }
  const Error& error() const noexcept { return *value_.error; }

 private:
  union Value {
    std::string_view text;
    std::int64_t integer;
    std::uint64_t natural;
    double real;
    const Error* error;
  };

  std::string_view key_;
  Kind kind_;
  Value value_;
};

/// Sets levels from "info,messenger=debug": a bare level is every room's, room=level is one room's,
/// whatever the order; rooms that the text leaves open get the initial level, warn.
/// Errc::invalid_argument names the part that is wrong, and then nothing changes.
Result<void> configure(std::string_view spec);

/// configure($VELO_LOG) and the format of $VELO_LOG_FORMAT (text or json), each where it is set.
Result<void> configure_from_environment();

void set_level(Room room, Level level) noexcept;
Level level(Room room) noexcept;
void set_format(Format format) noexcept;

/// Gives lines a time. `clock` is called on any thread that logs; an empty one takes the time away
/// again.
void set_clock(std::function<WallTime()> clock);

/// Takes lines, without their newline, instead of stderr; called by any thread, possibly several at
/// once. What a sink logs itself is dropped. An empty sink stands for stderr. Returns the sink that
/// was set before.
using Sink = std::function<void(std::string_view line)>;
Sink set_sink(Sink sink);

/// Collects the lines of its lifetime in place of the sink, for tests. One at a time.
class Capture {
 public:
  Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture();
  std::vector<std::string> lines() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  Sink previous_;
};

namespace log_detail {
constexpr std::size_t rooms_max = 64;
extern constinit std::array<std::atomic<Level>, rooms_max> levels;
}  // namespace log_detail

/// Whether a line would be written: one relaxed load.
inline bool enabled(Room room, Level level) noexcept {
  const auto index = static_cast<std::size_t>(room) % log_detail::rooms_max;
  return level >= log_detail::levels[index].load(std::memory_order_relaxed);
}

/// Writes the line whatever the room's level is; the macros ask enabled() first. A line that stderr
/// does not take is lost.
void write(Level level, Room room, std::string_view message,
           std::initializer_list<Field> fields) noexcept;

}  // namespace velo::log

/// VELO_LOG_INFO(messenger, "peer connected", {"peer", id.to_string()}, {"transport", "tcp"}): the
/// arguments are evaluated only if the room's level lets the line through.
#define VELO_LOG_AT(level, room, message, ...)                                                   \
  do {                                                                                           \
    if (::velo::log::enabled(::velo::Room::room, ::velo::log::Level::level)) [[unlikely]] {      \
      ::velo::log::write(::velo::log::Level::level, ::velo::Room::room, message, {__VA_ARGS__}); \
    }                                                                                            \
  } while (false)

#define VELO_LOG_TRACE(room, ...) VELO_LOG_AT(trace, room, __VA_ARGS__)
#define VELO_LOG_DEBUG(room, ...) VELO_LOG_AT(debug, room, __VA_ARGS__)
#define VELO_LOG_INFO(room, ...) VELO_LOG_AT(info, room, __VA_ARGS__)
#define VELO_LOG_WARN(room, ...) VELO_LOG_AT(warn, room, __VA_ARGS__)
#define VELO_LOG_ERROR(room, ...) VELO_LOG_AT(error, room, __VA_ARGS__)
