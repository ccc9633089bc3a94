// SPDX-License-Identifier: Apache-2.0
// What each kind of fault does to a simulation, and how it ends.

#include <velo/sim/limits.hpp>

#include "connection.hpp"
#include "core.hpp"
#include "node_impl.hpp"

#include <algorithm>

namespace velo::sim::detail {

NodeImpl* Core::pick_node(std::uint32_t index) noexcept {
  if (index != any_node) {
    if (index >= slots.size() || !current(index).alive()) return nullptr;
    return &current(index);
  }
  const auto alive = static_cast<std::uint64_t>(
      std::count_if(slots.begin(), slots.end(), [](const Slot& s) { return s.current->alive(); }));
  if (alive == 0) return nullptr;
  std::uint64_t skip = fault_random.pick(alive);
  for (const Slot& slot : slots) {
    if (slot.current->alive() && skip-- == 0) return slot.current;
  }
  return nullptr;
}

void Core::add_rule(NodeRange a, NodeRange b, bool both_ways, Links::Effect effect,
                    std::int64_t amount, Duration duration) {
  const Links::RuleId forth = links.add_rule(a, b, effect, amount);
  const Links::RuleId back = both_ways ? links.add_rule(b, a, effect, amount) : 0;
  if (duration <= Duration::zero()) return;
  later(after(duration), [this, forth, back] {
    const bool removed_forth = links.remove_rule(forth);
    const bool removed_back = links.remove_rule(back);
    if (removed_forth || removed_back) paths_changed();
  });
}

void Core::reset_between(std::uint32_t a, std::uint32_t b) {
  const NodeRange first = NodeRange::of(a);
  const NodeRange second = NodeRange::of(b);
  for (Connection* connection : connections) {
    const std::uint32_t client = connection->node(client_side).index();
    const std::uint32_t server = connection->node(server_side).index();
    if ((first.has(client) && second.has(server)) || (first.has(server) && second.has(client))) {
      connection->reset();
    }
  }
}

void Core::reset_one(std::uint32_t a) {
  const NodeRange range = NodeRange::of(a);
  auto touches = [&](const Connection* connection) {
    return range.has(connection->node(client_side).index()) ||
           range.has(connection->node(server_side).index());
  };
  const auto count =
      static_cast<std::uint64_t>(std::count_if(connections.begin(), connections.end(), touches));
  if (count == 0) return;
  std::uint64_t skip = fault_random.pick(count);
  for (Connection* connection : connections) {
    if (touches(connection) && skip-- == 0) return connection->reset();
  }
}

namespace inject_detail {

static void crash_and_return(Core& core, const Fault& fault) {
  NodeImpl* node = core.pick_node(fault.a);
  if (node == nullptr) return;
  const bool torn = fault.kind == FaultKind::power_off_torn;
  const bool silent = torn || fault.kind == FaultKind::power_off;
  core.crash(*node, silent ? CrashKind::power : CrashKind::process, torn);
  if (fault.duration <= Duration::zero()) return;
  const DiskFate disk = fault.kind == FaultKind::crash_wiped ? DiskFate::wiped : DiskFate::kept;
  core.later(core.after(fault.duration), [&core, node, disk] {
    if (&core.current(node->index()) == node) core.restart(node->index(), disk);
  });
}

/// Does `begin` to a node now and `end` to the same run of it later.
template <class Begin, class End>
static void for_a_while(Core& core, const Fault& fault, Begin begin, End end) {
  NodeImpl* node = core.pick_node(fault.a);
  if (node == nullptr) return;
  begin(*node);
  if (fault.duration <= Duration::zero()) return;
  core.later(core.after(fault.duration), [node, end] { end(*node); });
}

static void split(Core& core, const Fault& fault) {
  const auto count = static_cast<std::uint32_t>(core.slots.size());
  if (count < 2) return;
  std::uint32_t first = fault.a;
  if (first == any_node) first = 1 + static_cast<std::uint32_t>(core.fault_random.pick(count - 1));
  if (first == 0) return;
  core.add_rule(NodeRange{0, first - 1}, NodeRange{first, any_node}, true, Links::Effect::block, 0,
                fault.duration);
}

static void worsen(Core& core, const Fault& fault, bool both_ways, Links::Effect effect,
                   std::int64_t amount = 0) {
  const NodeImpl* node = fault.a == any_node ? core.pick_node(any_node) : nullptr;
  const NodeRange from = NodeRange::of(node != nullptr ? node->index() : fault.a);
  core.add_rule(from, NodeRange::of(fault.b), both_ways, effect, amount, fault.duration);
}

}  // namespace inject_detail

void Core::inject(const Fault& fault) {
  log.add(now, fault.a, TraceKind::fault, static_cast<std::uint64_t>(fault.kind), fault.b);
  switch (fault.kind) {
    case FaultKind::reset: return reset_between(fault.a, fault.b);
    case FaultKind::reset_one: return reset_one(fault.a);
    case FaultKind::partition:
      return inject_detail::worsen(*this, fault, true, Links::Effect::block);
    case FaultKind::partition_one_way:
      return inject_detail::worsen(*this, fault, false, Links::Effect::block);
    case FaultKind::delay:
      return inject_detail::worsen(
          *this, fault, true, Links::Effect::delay,
          std::clamp<std::int64_t>(fault.amount, 0, limits::delay_max.count()));
    case FaultKind::loss:
      return inject_detail::worsen(*this, fault, true, Links::Effect::loss,
                                   std::clamp<std::int64_t>(fault.amount, 0, 1'000'000));
    case FaultKind::bandwidth:
      return inject_detail::worsen(*this, fault, true, Links::Effect::bandwidth,
                                   std::max(fault.amount, limits::bandwidth_min));
    case FaultKind::split: return inject_detail::split(*this, fault);
    case FaultKind::crash:
    case FaultKind::crash_wiped:
    case FaultKind::power_off:
    case FaultKind::power_off_torn: return inject_detail::crash_and_return(*this, fault);
    case FaultKind::pause:
      return inject_detail::for_a_while(
          *this, fault, [](NodeImpl& node) { node.pause(); },
          [](NodeImpl& node) { node.resume(); });
    case FaultKind::slow_reader: {
      const auto limit =
          static_cast<std::uint32_t>(std::clamp<std::int64_t>(fault.amount, 1, UINT32_MAX));
      return inject_detail::for_a_while(
          *this, fault, [limit](NodeImpl& node) { node.set_read_limit(limit); },
          [](NodeImpl& node) { node.set_read_limit(0); });
    }
    case FaultKind::wall_clock_jump:
      if (NodeImpl* node = pick_node(fault.a)) node->node_clock().jump_wall(fault.amount);
      return;
    case FaultKind::clock_drift: {
      const auto ppm = static_cast<std::int32_t>(std::clamp<std::int64_t>(
          fault.amount, -limits::clock_drift_ppm_max, limits::clock_drift_ppm_max));
      return inject_detail::for_a_while(
          *this, fault, [ppm](NodeImpl& node) { node.set_clock_drift(ppm); },
          [](NodeImpl& node) { node.set_clock_drift(0); });
    }
  }
}

}  // namespace velo::sim::detail
