// SPDX-License-Identifier: Apache-2.0
// Which of several transports to use for a peer, and why: an order over the candidates with a
// reason for each. The user's order comes first, then nearness, then the order of the builder; a
// measured round trip overrules the last two only when it is clearly shorter, and what is in use is
// given up for it later than it was won. Core: values in, values out; `now` is an argument.
// Threading: pure functions.
#pragma once

#include <velo/base/time.hpp>
#include <velo/messenger/paths.hpp>
#include <velo/transport/reach.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::messenger {

/// What is known of one transport towards one peer. Its place in the list is the builder's order.
struct PathOption {
  std::string_view key;
  /// Why the peer's entry cannot be used (none, unintelligible, not visible); nothing: it can.
  std::optional<std::string> refused;
  transport::Reach reach;
  std::optional<Duration> round_trip;
  /// In a row; what happened last, when, and when it may be tried again.
  std::uint32_t failures = 0;
  std::string failure;
  TimePoint failed_at;
  TimePoint again_at;

  PathOption() = default;
};

struct RankedPath {
  std::size_t option = 0;  ///< in the list that was given
  bool usable = false;     ///< rejected for good otherwise
  bool waiting = false;    ///< usable, and left alone for now because it failed
  std::string reason;

  RankedPath() = default;
};

/// The best first; those that wait after those that do not, rejected ones last. `in_use` is the key
/// of the path that requests travel on; `forced` one that the user asked for by name.
std::vector<RankedPath> rank_paths(const std::vector<PathOption>& options, const PathPolicy& policy,
                                   std::string_view in_use, std::string_view forced, TimePoint now);

/// "1.1 us", "3 ms", "2 s": short, for people.
std::string short_duration(Duration duration);

}  // namespace velo::messenger
