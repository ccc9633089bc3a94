// SPDX-License-Identifier: Apache-2.0
// Judges a soak by what its processes wrote down: that each operation ended once, that what was
// said to have happened did, and only once, that no item was lost. Lines in, complaints out.
// Threading: the main thread.
#pragma once

#include "soak_log.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace velo::cli {

struct SoakCounts {
  std::uint64_t begun = 0;
  std::uint64_t ended_well = 0;
  std::uint64_t failed = 0;     ///< its worker was told so
  std::uint64_t cut_short = 0;  ///< its worker was killed
};

class SoakOracle {
 public:
  /// Lines of one process, in the order in which it wrote them.
  void add(std::uint64_t worker, std::span<const SoakLine> lines);
  /// The worker was killed: what it had begun may have any end, or none.
  void killed(std::uint64_t worker);
  /// Items that a sender was told are queued, and that nobody has been given yet.
  std::uint64_t untaken() const noexcept { return untaken_; }

  /// Once everybody is quiet. At most `complaints_max` of each sort.
  std::vector<std::string> judge() const;
  const std::array<SoakCounts, soak_kinds>& counts() const noexcept { return counts_; }
  void finish();

 private:
  enum class Outcome : std::uint8_t { none, well, failed };
  struct Seen {
    std::uint64_t worker = 0;
    std::uint8_t begins = 0;
    std::uint8_t ends = 0;
    std::uint8_t deeds = 0;
    std::uint8_t takes = 0;
    std::uint8_t settlements = 0;
    Outcome outcome = Outcome::none;
    bool bad = false;
    bool said_poisoned = false;  ///< of an event, by who awaited it
    bool was_poisoned = false;   ///< by who completed it
  };
  using Table = std::unordered_map<std::uint64_t, Seen>;

  void note(Seen& seen, const SoakLine& line);
  static std::string wrong(SoakKind kind, const Seen& seen, bool cut_short);

  std::array<Table, soak_kinds> tables_;
  std::map<std::uint64_t, bool> killed_;
  std::uint64_t untaken_ = 0;
  std::array<SoakCounts, soak_kinds> counts_{};
};

}  // namespace velo::cli
