// SPDX-License-Identifier: Apache-2.0
// Making fault plans, and showing them.

#include <velo/sim/faults.hpp>

#include "rng.hpp"

#include <algorithm>
#include <array>

namespace velo::sim {

namespace faults_detail {

constexpr std::array all_kinds{
    FaultKind::reset,       FaultKind::reset_one,
    FaultKind::partition,   FaultKind::partition_one_way,
    FaultKind::split,       FaultKind::delay,
    FaultKind::pause,       FaultKind::slow_reader,
    FaultKind::crash,       FaultKind::crash_wiped,
    FaultKind::power_off,   FaultKind::wall_clock_jump,
    FaultKind::clock_drift, FaultKind::loss,
    FaultKind::bandwidth,   FaultKind::power_off_torn,
};

static std::int64_t draw_amount(FaultKind kind, detail::SimRandom& random) {
  switch (kind) {
    case FaultKind::delay: return static_cast<std::int64_t>(1'000'000 + random.pick(500'000'000));
    case FaultKind::slow_reader: return static_cast<std::int64_t>(1 + random.pick(65'536));
    case FaultKind::wall_clock_jump:
      return static_cast<std::int64_t>(random.pick(7'200'000'000'001)) - 3'600'000'000'000;
    case FaultKind::clock_drift: return static_cast<std::int64_t>(random.pick(2001)) - 1000;
    case FaultKind::loss: return static_cast<std::int64_t>(1'000 + random.pick(100'000));
    case FaultKind::bandwidth: return static_cast<std::int64_t>(10'000 + random.pick(1'000'000));
    default: return 0;
  }
}

}  // namespace faults_detail

FaultPlan random_fault_plan(std::uint64_t seed, const FaultPlanOptions& options) {
  detail::SimRandom random(detail::derive(seed, 0x666175));
  std::vector<FaultKind> kinds = options.kinds;
  if (kinds.empty()) kinds.assign(faults_detail::all_kinds.begin(), faults_detail::all_kinds.end());
  const std::uint32_t nodes = std::max<std::uint32_t>(options.nodes, 1);
  const auto span = static_cast<std::uint64_t>(std::max<std::int64_t>(options.span.count(), 0));
  constexpr std::int64_t shortest = 1'000'000;
  const auto longest = static_cast<std::uint64_t>(
      std::max<std::int64_t>(options.duration_max.count() - shortest, 0));
  FaultPlan plan;
  for (std::size_t i = 0; i < options.faults; ++i) {
    Fault fault;
    fault.at = Duration(random.pick(span + 1));
    fault.kind = kinds[random.pick(kinds.size())];
    fault.a = static_cast<std::uint32_t>(random.pick(nodes));
    fault.b = static_cast<std::uint32_t>(random.pick(nodes));
    // Between a node and itself nothing can be cut: then it is between the node and everyone.
    if (fault.b == fault.a) fault.b = any_node;
    fault.duration = Duration(shortest + static_cast<std::int64_t>(random.pick(longest + 1)));
    fault.amount = faults_detail::draw_amount(fault.kind, random);
    const auto later = [](const Fault& x, const Fault& y) { return x.at < y.at; };
    plan.insert(std::upper_bound(plan.begin(), plan.end(), fault, later), fault);
  }
  return plan;
}

FaultPlan periodic_faults(FaultKind kind, Duration interval, Duration span) {
  FaultPlan plan;
  if (interval <= Duration::zero()) return plan;
  for (Duration at = interval; at <= span; at += interval) plan.emplace_back(at, kind);
  return plan;
}

std::string_view fault_kind_name(FaultKind kind) noexcept {
  switch (kind) {
    case FaultKind::reset: return "reset";
    case FaultKind::reset_one: return "reset_one";
    case FaultKind::partition: return "partition";
    case FaultKind::partition_one_way: return "partition_one_way";
    case FaultKind::split: return "split";
    case FaultKind::delay: return "delay";
    case FaultKind::pause: return "pause";
    case FaultKind::slow_reader: return "slow_reader";
    case FaultKind::crash: return "crash";
    case FaultKind::crash_wiped: return "crash_wiped";
    case FaultKind::power_off: return "power_off";
    case FaultKind::wall_clock_jump: return "wall_clock_jump";
    case FaultKind::clock_drift: return "clock_drift";
    case FaultKind::loss: return "loss";
    case FaultKind::bandwidth: return "bandwidth";
    case FaultKind::power_off_torn: return "power_off_torn";
  }
  return "unknown";
}

}  // namespace velo::sim
