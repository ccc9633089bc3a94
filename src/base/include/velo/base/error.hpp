// SPDX-License-Identifier: Apache-2.0
// What went wrong, as a value: a code (room and number), whether a retry can help, and a short
// context for people. Each room has its own `enum class Errc : std::uint16_t` and a `make_error`
// overload; this header has base's.
// Threading: value types; functions are thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace velo {

/// The room that decided the error. The numbers cross the wire: never renumber.
enum class Room : std::uint8_t {
  base = 0,
  codec = 1,
  runtime = 2,
  transport = 3,
  discovery = 4,
  messenger = 5,
  events = 6,
  streaming = 7,
  rendezvous = 8,
  queue = 9,
  bus = 10,
  store = 11,
  node = 12,
  p2p = 13,
  crypto = 14,
  sim = 15,
  user = 63,
};

/// Whether doing the same again can help.
enum class Retry : std::uint8_t {
  never = 0,      ///< the request itself is at fault
  later = 1,      ///< the same peer may answer after a while
  elsewhere = 2,  ///< another peer may answer now
};

struct ErrorCode {
  Room room = Room::base;
  std::uint16_t value = 0;

  friend constexpr bool operator==(ErrorCode, ErrorCode) noexcept = default;
};

/// Codes that are not specific to a room.
enum class Errc : std::uint16_t {
  invalid_argument = 1,   ///< the caller passed something that can never work
  not_found = 2,          ///< the named thing does not exist
  already_exists = 3,     ///< the named thing exists
  cancelled = 4,          ///< the caller gave up, or dropped the operation
  deadline_exceeded = 5,  ///< the time given ran out
  would_deadlock = 6,     ///< a blocking wait on a thread that must not block
  overloaded = 7,         ///< a named limit is reached
  shutting_down = 8,      ///< the object is being closed
  unsupported = 9,        ///< known, but not offered here
  internal = 10,          ///< a defect of ours, or an exception from user code
  io = 11,                ///< the operating system refused
  permission_denied = 12,
};

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, Retry retry, std::string context = {})
      : code_(code), retry_(retry), context_(std::move(context)) {}

  ErrorCode code() const noexcept { return code_; }
  Retry retry() const noexcept { return retry_; }
  const std::string& context() const noexcept { return context_; }

  /// What was asked for is certain not to have been done, not even in part: it may be asked for
  /// again, of anybody, without being done twice. False where that is not known. Decided where the
  /// operation ended; never crosses the wire.
  bool without_effect() const noexcept { return without_effect_; }
  void mark_without_effect() noexcept { without_effect_ = true; }

  /// "room.name: context", for logs and people.
  std::string to_string() const;

  /// Compares with any room's enumerator: `error.is(velo::Errc::cancelled)`.
  template <class E>
  bool is(E value) const noexcept {
    return code_ == error_code(value);
  }

  friend bool operator==(const Error& a, const Error& b) noexcept { return a.code_ == b.code_; }

 private:
  ErrorCode code_;
  Retry retry_;
  bool without_effect_ = false;
  std::string context_;
};

constexpr ErrorCode error_code(Errc value) noexcept {
  return {Room::base, static_cast<std::uint16_t>(value)};
}

/// An error of base with the retry class that its code usually has.
Error make_error(Errc value, std::string context = {});

/// The code's name as "room.name"; "room.<number>" when no room registered a name for it.
std::string error_code_name(ErrorCode code);

std::string_view room_name(Room room) noexcept;

/// Gives a room's codes names; called by the room's own static table at first use. Thread-safe,
/// idempotent.
using ErrorNames = std::string_view (*)(std::uint16_t value) noexcept;
void register_error_names(Room room, ErrorNames names) noexcept;

/// A value or an Error. std::expected of libstdc++ 12 is not [[nodiscard]]; this is.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Error error) : std::expected<T, Error>(std::unexpected(std::move(error))) {}  // NOLINT
};

template <>
class [[nodiscard]] Result<void> : public std::expected<void, Error> {
 public:
  using std::expected<void, Error>::expected;
  Result(Error error) : std::expected<void, Error>(std::unexpected(std::move(error))) {}  // NOLINT
};

}  // namespace velo
