// SPDX-License-Identifier: Apache-2.0
// Rows that come in parts, until they are whole. Only parts whose signature was checked come here,
// so that nobody can spoil another's; how much all of them hold is bounded, in all and per address,
// and for how long. A core: time is an argument.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/time.hpp>
#include <velo/discovery/backends/multicast/limits.hpp>
#include <velo/discovery/backends/multicast/message.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace velo::discovery::multicast {

struct AnnouncerId {
  RawKey key{};
  std::uint64_t number = 0;
  friend auto operator<=>(const AnnouncerId&, const AnnouncerId&) = default;
};
using SourceId = std::array<std::uint8_t, 16>;

class Assembler {
 public:
  /// What parts cost besides their bytes.
  static constexpr std::size_t part_overhead = 128;
  static constexpr std::size_t row_overhead = 512;

  enum class Outcome : std::uint8_t {
    incomplete,
    whole,    ///< `row` is it, and nothing of it is held any more
    refused,  ///< no room
    broken,   ///< whole, and not what it said
    late,     ///< of what the announcer has replaced since
  };
  Outcome take(const AnnouncerId& from, const SourceId& source, const Statement& said,
               TimePoint now, Row& row);
  void expire(TimePoint now);
  TimePoint wake() const noexcept {
    return ends_.empty() ? TimePoint::never() : ends_.begin()->first;
  }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  using Key = std::pair<AnnouncerId, Row::Key>;
  struct Begun {
    std::uint64_t digest = 0;
    std::uint64_t sequence = 0;  ///< the latest statement's
    SourceId source{};
    TimePoint end;
    std::map<std::uint8_t, Bytes> parts;
    std::uint8_t count = 0;
    std::size_t bytes = 0;
  };
  using Rows = std::map<Key, Begun>;

  void drop(Rows::iterator begun);
  bool charge(Begun& begun, std::size_t bytes);

  Rows begun_;
  std::set<std::pair<TimePoint, Key>> ends_;
  std::map<SourceId, std::size_t> by_source_;
  std::size_t bytes_ = 0;
};

}  // namespace velo::discovery::multicast
