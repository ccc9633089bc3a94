// SPDX-License-Identifier: Apache-2.0
// A node's clock, life and death.

#include "node_impl.hpp"

#include <velo/sim/limits.hpp>

#include "graveyard.hpp"

#include <algorithm>
#include <utility>

namespace velo::sim::detail {

namespace node_impl_detail {
/// Instants beyond this (146 years) are as good as never, and sums with them do not overflow.
constexpr std::int64_t distant = INT64_MAX / 2;
}  // namespace node_impl_detail

// ---- clock ----

void NodeClock::start(std::int64_t offset, std::int64_t wall_offset,
                      std::int32_t drift_ppm) noexcept {
  base_global_ = core_.now;
  base_local_ = core_.now + offset;
  offset_ = offset;
  wall_offset_ = wall_offset;
  drift_ppm_ = drift_ppm;
}

void NodeClock::set_drift(std::int32_t drift_ppm) noexcept {
  base_local_ = local(core_.now);
  base_global_ = core_.now;
  drift_ppm_ = drift_ppm;
}

void NodeClock::jump_wall(std::int64_t by) noexcept {
  constexpr std::int64_t most = limits::wall_clock_offset_max.count();
  by = std::clamp(by, -2 * most, 2 * most);
  wall_offset_ = std::clamp(wall_offset_ + by, -most, most);
}

std::int64_t NodeClock::local(std::int64_t global_at) const noexcept {
  const std::int64_t since = global_at - base_global_;
  if (drift_ppm_ == 0) return base_local_ + since;
  return base_local_ + since +
         static_cast<std::int64_t>(static_cast<__int128>(since) * drift_ppm_ / 1'000'000);
}

std::int64_t NodeClock::global(std::int64_t local_at) const noexcept {
  if (local_at > node_impl_detail::distant) return node_impl_detail::distant;
  const std::int64_t since = local_at - base_local_;
  if (since <= 0 || drift_ppm_ == 0) return base_global_ + since;
  auto at = base_global_ + static_cast<std::int64_t>(static_cast<__int128>(since) * 1'000'000 /
                                                     (1'000'000 + drift_ppm_));
  while (local(at) < local_at) ++at;
  return at;
}

// ---- node ----

NodeImpl::NodeImpl(Core& core, Machine& machine, std::string name, std::uint32_t index,
                   std::uint32_t incarnation, const NodeOptions& options)
    : name_(std::move(name)),
      index_(index),
      incarnation_(incarnation),
      machine_(machine),
      clock_(core),
      random_(derive(derive(derive(core.seed, name_), index), incarnation)),
      network_(core, *this),
      files_(core, *this),
      pool_(core, *this) {
  credentials_.user = options.user;
  credentials_.group = options.group;
  // Another process after each restart.
  credentials_.process = static_cast<std::int32_t>(1 + index + (incarnation << 16));
  for (std::size_t i = 0; i < options.shards; ++i) {
    shards_.push_back(std::make_unique<ShardImpl>(core, *this));
  }
}

NodeImpl::~NodeImpl() = default;

void NodeImpl::resume() {
  if (!std::exchange(paused_, false)) return;
  for (const auto& one : shards_) one->resume();
  pool_.resume();
}

void NodeImpl::die(bool silently) {
  alive_ = false;
  silent_ = silently;
  paused_ = false;
  bury_tasks();
}

void NodeImpl::bury_tasks() {
  std::vector<Task0> dead;
  for (const auto& one : shards_) one->vanish(dead);
  pool_.vanish(dead);
  bury(std::move(dead));
}

}  // namespace velo::sim::detail
