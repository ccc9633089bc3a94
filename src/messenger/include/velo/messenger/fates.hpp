// SPDX-License-Identifier: Apache-2.0
// The books: how many sends of each pattern began, are in flight, and ended which way; and what the
// receiving side counted. Each end is counted where it is decided, so `sent == in_flight + sum of
// ends` is a check, not a definition.
// Threading: value types; a snapshot is exact when nothing is being sent.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace velo {

/// The one end of a send.
enum class Fate : std::uint8_t {
  written = 0,       ///< fire: handed to the operating system
  acknowledged = 1,  ///< sync: the handler ended, well or with an error of its own
  handled = 2,       ///< unary: likewise
  rejected = 3,      ///< no handler ran
  expired = 4,       ///< the deadline passed; it may have been handled
  cancelled = 5,     ///< the caller gave up; it may have been handled
  unknown = 6,       ///< the connection died after writing; it may have been handled
};
constexpr std::size_t fate_count = 7;
std::string_view fate_name(Fate fate) noexcept;

struct PatternBooks {
  std::uint64_t sent = 0;
  std::uint64_t in_flight = 0;
  std::array<std::uint64_t, fate_count> ends{};

  std::uint64_t ended() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : ends) sum += count;
    return sum;
  }
  std::uint64_t operator[](Fate fate) const noexcept {
    return ends[static_cast<std::size_t>(fate)];
  }
  bool balanced() const noexcept { return sent == in_flight + ended(); }
};

/// What arrived here, and what became of it.
struct ReceivedBooks {
  std::uint64_t requests = 0;  ///< well-formed requests, velo's own excepted
  std::uint64_t running = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;  ///< the handler returned an error or threw
  std::uint64_t rejected =
      0;  ///< unknown handler, wrong kind, overload, draining, undecodable headers
  std::uint64_t abandoned = 0;  ///< expired or cancelled, whatever the handler still did
  std::uint64_t malformed = 0;  ///< frames that were no message; not in `requests`

  bool balanced() const noexcept {
    return requests == running + succeeded + failed + rejected + abandoned;
  }
};

struct Books {
  PatternBooks fire;
  PatternBooks sync;
  PatternBooks unary;
  ReceivedBooks received;

  bool balanced() const noexcept {
    return fire.balanced() && sync.balanced() && unary.balanced() && received.balanced();
  }
};

}  // namespace velo
