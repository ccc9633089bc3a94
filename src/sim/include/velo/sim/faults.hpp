// SPDX-License-Identifier: Apache-2.0
// Faults as values: what goes wrong, when, to whom and for how long. A FaultPlan is a plain vector,
// so it can be printed, edited, parsed, cut in half and applied again. Not the means of applying it
// (see Simulation::apply) nor of making a failing one small (see shrink.hpp).
// Threading: value types and pure functions.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace velo::sim {

/// The numbers are part of the trace hash: never renumber.
enum class FaultKind : std::uint8_t {
  reset = 1,              ///< all connections between a and b
  reset_one = 2,          ///< one random connection, of a (or of anyone)
  partition = 3,          ///< nothing passes between a and b
  partition_one_way = 4,  ///< nothing passes from a to b
  split = 5,              ///< nothing passes between nodes below a and the others
  delay = 6,              ///< `amount` ns more between a and b, either way
  pause = 7,              ///< a runs nothing; its kernel still receives
  slow_reader = 8,        ///< a reads at most `amount` bytes per millisecond of each stream
  crash = 9,              ///< a dies; its connections are reset; restarts with its files
  crash_wiped = 10,       ///< the same, but its files are lost
  power_off = 11,         ///< a vanishes without a word to its peers; restarts with its files
  wall_clock_jump = 12,   ///< a's wall clock jumps by `amount` ns
  clock_drift = 13,       ///< a's clock runs fast by `amount` parts per million
  loss = 14,  ///< of a million segments between a and b `amount` reset their connection; as many
              ///< datagrams are lost
  bandwidth = 15,       ///< between a and b at most `amount` bytes per second, each way
  power_off_torn = 16,  ///< power_off, and appends that were not flushed are torn (see SimOptions)
};

constexpr std::uint32_t any_node = UINT32_MAX;

struct Fault {
  Duration at{0};  ///< since the plan was applied
  FaultKind kind = FaultKind::reset;
  std::uint32_t a = any_node;  ///< index of a node
  std::uint32_t b = any_node;
  Duration duration{0};  ///< zero: for good (a crashed node does not restart)
  std::int64_t amount = 0;

  Fault() = default;
  Fault(Duration when, FaultKind what, std::uint32_t node_a = any_node,
        std::uint32_t node_b = any_node, Duration how_long = Duration::zero(),
        std::int64_t how_much = 0)
      : at(when), kind(what), a(node_a), b(node_b), duration(how_long), amount(how_much) {}

  friend bool operator==(const Fault&, const Fault&) = default;
};

using FaultPlan = std::vector<Fault>;

struct FaultPlanOptions {
  std::uint32_t nodes = 1;                           ///< faults name nodes below this
  std::size_t faults = 10;                           ///< how many
  Duration span = std::chrono::seconds(60);          ///< they start within this
  Duration duration_max = std::chrono::seconds(10);  ///< each lasts a millisecond to this
  std::vector<FaultKind> kinds;                      ///< drawn from evenly; empty: all kinds
  FaultPlanOptions() = default;
};

/// The same plan for the same arguments, on every machine and compiler; in order of time.
FaultPlan random_fault_plan(std::uint64_t seed, const FaultPlanOptions& options);

/// One fault every `interval`, of one kind, until `span`; "any" nodes.
FaultPlan periodic_faults(FaultKind kind, Duration interval, Duration span);

std::string_view fault_kind_name(FaultKind kind) noexcept;
/// "1.5s partition 0 3 for 2s", "0s delay 1 any for 0.25s amount 4000000": time, kind, a, b, then
/// duration and amount where they are not 0. Negative times are written as 0, which they mean.
std::string to_string(const Fault& fault);
/// A fault per line.
std::string to_string(const FaultPlan& plan);

/// What to_string() writes gives the same fault again. Errc::invalid_argument says what was
/// expected; times beyond limits::fault_time_max are refused.
Result<Fault> parse_fault(std::string_view text);
/// Lines; empty ones and what follows a '#' are skipped. An error names the line. More than
/// limits::plan_faults_max faults or limits::plan_bytes_max bytes: Errc::overloaded.
Result<FaultPlan> parse_fault_plan(std::string_view text);

}  // namespace velo::sim
