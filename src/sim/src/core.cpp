// SPDX-License-Identifier: Apache-2.0
// The simulation's loop, and the lives of its nodes.

#include "core.hpp"

#include "node_impl.hpp"

#include <velo/base/check.hpp>

#include <algorithm>
#include <utility>

namespace velo::sim::detail {

namespace core_detail {

/// The low bits of an event's order make it unique, the others are random.
constexpr std::uint64_t sequence_mask = (std::uint64_t{1} << 40) - 1;

enum Stream : std::uint64_t {
  order_stream = 1,
  network_stream,
  fault_stream,
  user_stream,
  clock_stream
};

}  // namespace core_detail

// ---- resources ----

Resource::Resource(Core& core) noexcept : core_(&core), next_(core.resources) {
  if (next_ != nullptr) next_->previous_ = this;
  core.resources = this;
}

void Resource::leave_core() noexcept {
  if (core_ == nullptr) return;
  if (previous_ != nullptr) previous_->next_ = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  if (core_->resources == this) core_->resources = next_;
  previous_ = next_ = nullptr;
  core_ = nullptr;
}

void Resource::arm(Event& event, std::int64_t at) {
  retain();
  core_->schedule(event, at);
}

void Resource::disarm(Event& event) noexcept {
  core_->cancel(event);
  release();
}

void Action::fire() {
  const auto self = core_.actions.extract(id_);
  core_.in_kernel = false;
  body_();
}

// ---- time ----

Core::Core(std::uint64_t the_seed, const SimOptions& the_options)
    : seed(the_seed),
      options(the_options),
      order_random(derive(the_seed, core_detail::order_stream)),
      network_random(derive(the_seed, core_detail::network_stream)),
      fault_random(derive(the_seed, core_detail::fault_stream)),
      user_random(derive(the_seed, core_detail::user_stream)),
      links(the_options) {
  VELO_CHECK(options.segment_bytes_max != 0 && options.send_window_bytes != 0);
}

Core::~Core() {
  for (const auto& node : nodes) node->die(false);
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) (*node)->take_service().reset();
  while (!actions.empty()) {
    const auto action = actions.extract(actions.begin());
    if (action.mapped()->scheduled()) queue.remove(*action.mapped());
  }
  for (const Ref<Resource>& resource : all_resources()) {
    resource->simulation_ended();
    resource->leave_core();
  }
  for (const auto& node : nodes) node->bury_tasks();
}

void Core::schedule(Event& event, std::int64_t at) {
  const std::uint64_t random = order_random.next() & ~core_detail::sequence_mask;
  queue.push(event, std::max(at, now), random | (sequence++ & core_detail::sequence_mask));
}

bool Core::step(std::int64_t limit) {
  VELO_CHECK(!stepping);  // a node's task must not drive the simulation
  if (queue.empty() || queue.next_at() > limit) return false;
  if (queue.next_at() > now) {
    now = queue.next_at();
    instant_began = log.count();
  } else if (log.count() - instant_began > options.events_per_instant_max) {
    stalled = true;
    return false;
  }
  stepping = in_kernel = true;
  queue.pop().fire();
  in_kernel = false;
  if (direct != nullptr) std::exchange(direct, nullptr)->run_turn();
  stepping = false;
  return true;
}

void Core::later(std::int64_t at, std::move_only_function<void()> body) {
  const std::uint64_t id = sequence;
  const auto placed = actions.emplace(id, std::make_unique<Action>(*this, id, std::move(body)));
  schedule(*placed.first->second, at);
}

void Core::trace(const NodeImpl& node, TraceKind kind, std::uint64_t id, std::uint64_t length) {
  log.add(now, node.index(), kind, id, length);
}

// ---- nodes ----

void Core::make_address(Machine& machine) {
  const std::size_t number = machines.size();
  machine.host = "10." + std::to_string((number >> 16) & 255U) + "." +
                 std::to_string((number >> 8) & 255U) + "." + std::to_string(number & 255U);
  machines_by_host.emplace(machine.host, &machine);
}

Machine& Core::machine_of(const std::string& name) {
  if (!name.empty()) {
    const auto found = machines_by_name.find(name);
    if (found != machines_by_name.end()) return *found->second;
  }
  Machine& machine = *machines.emplace_back(std::make_unique<Machine>());
  machine.first_node = static_cast<std::uint32_t>(slots.size());
  make_address(machine);
  if (!name.empty()) machines_by_name.emplace(name, &machine);
  return machine;
}

Machine* Core::find_machine(const NodeImpl& from, const std::string& host) const noexcept {
  if (host == "::1" || host.starts_with("127.") || host == from.host()) return &from.machine();
  const auto found = machines_by_host.find(host);
  return found == machines_by_host.end() ? nullptr : found->second;
}

NodeImpl& Core::add_node(std::string name, const NodeOptions& node_options, Boot boot) {
  const auto index = static_cast<std::uint32_t>(slots.size());
  Machine& machine = machine_of(node_options.machine);
  NodeOptions with_clock = node_options;
  with_clock.shards = std::max<std::size_t>(node_options.shards, 1);
  SimRandom random(derive(derive(seed, core_detail::clock_stream), index));
  const std::int64_t offset_max = options.clock_offset_max.count();
  if (offset_max > 0) {
    const auto bound = static_cast<std::uint64_t>(offset_max);
    with_clock.clock_offset += Duration(random.pick(bound + 1));
    with_clock.wall_clock_offset +=
        Duration(static_cast<std::int64_t>(random.pick(2 * bound + 1)) - offset_max);
  }
  if (options.clock_drift_ppm_max > 0) {
    const auto bound = static_cast<std::uint64_t>(options.clock_drift_ppm_max);
    with_clock.clock_drift_ppm +=
        static_cast<std::int32_t>(random.pick(2 * bound + 1)) - options.clock_drift_ppm_max;
  }
  slots.push_back(Slot{nullptr, std::move(with_clock), std::move(boot)});
  return boot_node(index, 0, machine, std::move(name));
}

NodeImpl& Core::boot_node(std::uint32_t index, std::uint32_t incarnation, Machine& machine,
                          std::string name) {
  const NodeOptions& node_options = slots[index].options;
  NodeImpl& node = *nodes.emplace_back(std::make_unique<NodeImpl>(
      *this, machine, std::move(name), index, incarnation, node_options));
  node.node_clock().start(node_options.clock_offset.count(), node_options.wall_clock_offset.count(),
                          node_options.clock_drift_ppm);
  slots[index].current = &node;
  trace(node, TraceKind::boot, incarnation, 0);
  if (!slots[index].boot) return node;
  const Boot boot = slots[index].boot;
  const Executor::Scope no_executor(nullptr);
  std::shared_ptr<void> service = boot(node);
  if (node.alive()) node.own(std::move(service));
  return node;
}

std::vector<Ref<Resource>> Core::all_resources() {
  std::vector<Ref<Resource>> all;
  for (Resource* resource = resources; resource != nullptr; resource = resource->next_) {
    all.emplace_back(resource);
  }
  return all;
}

void Core::crash(NodeImpl& node, CrashKind kind, bool tear) {
  if (!node.alive()) return;
  const bool silent = kind == CrashKind::power;
  trace(node, TraceKind::crash, node.incarnation(), silent);
  ++stats.crashes;
  node.die(silent);
  if (options.torn_appends || tear) node.machine().disk.tear(now, options, fault_random);
  for (const Ref<Resource>& resource : all_resources()) resource->node_crashed(node, silent);
  // Not here: the crash may come from within a function of the service.
  if (auto service = node.take_service()) {
    later(now, [this, &node, owned = std::move(service)]() mutable {
      trace(node, TraceKind::cleanup, node.incarnation(), 0);
      owned.reset();
    });
  }
}

NodeImpl& Core::restart(std::uint32_t index, DiskFate disk) {
  NodeImpl& old = current(index);
  crash(old, CrashKind::process);
  Machine& machine = old.machine();
  if (disk == DiskFate::wiped) {
    machine.disk.files.clear();
    machine.disk.folders.clear();
  }
  old.answer_again();
  NodeImpl& fresh = boot_node(index, old.incarnation() + 1, machine, old.name());
  paths_changed();
  return fresh;
}

void Core::paths_changed() {
  for (const Ref<Resource>& resource : all_resources()) resource->paths_changed();
}

}  // namespace velo::sim::detail
