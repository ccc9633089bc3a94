// SPDX-License-Identifier: Apache-2.0
// The public face of a simulation.

#include <velo/sim/simulation.hpp>

#include "core.hpp"
#include "node_impl.hpp"

#include <fmt/format.h>

#include <utility>

namespace velo::sim {

namespace simulation_detail {
static constinit thread_local TraceListener* innermost = nullptr;
}

TraceListener::TraceListener(Sink sink)
    : sink_(std::move(sink)), outer_(std::exchange(simulation_detail::innermost, this)) {}

TraceListener::~TraceListener() { simulation_detail::innermost = outer_; }

Simulation::Simulation(std::uint64_t seed, const SimOptions& options)
    : core_(std::make_unique<detail::Core>(seed, options)) {
  if (TraceListener* listener = simulation_detail::innermost) {
    on_trace([this, listener](const TraceRecord& record) { listener->sink_(*this, record); });
  }
}

Simulation::~Simulation() = default;

std::uint64_t Simulation::seed() const noexcept { return core_->seed; }

// ---- nodes ----

SimNode& Simulation::add_node(std::string name, const NodeOptions& options, Boot boot) {
  return core_->add_node(std::move(name), options, std::move(boot));
}

std::size_t Simulation::node_count() const noexcept { return core_->slots.size(); }

SimNode& Simulation::node(std::size_t index) noexcept { return *core_->slots[index].current; }

SimNode* Simulation::find_node(std::string_view name) noexcept {
  for (const auto& slot : core_->slots) {
    if (slot.current->name() == name) return slot.current;
  }
  return nullptr;
}

// ---- driving ----

TimePoint Simulation::now() const noexcept { return TimePoint(Duration(core_->now)); }

TimePoint Simulation::begin_run(Duration limit) noexcept {
  core_->stalled = false;
  core_->instant_began = core_->log.count();
  return now() + limit;
}

bool Simulation::step_before(TimePoint deadline) { return core_->step(deadline.nanoseconds()); }

void Simulation::end_run(TimePoint deadline) noexcept {
  if (core_->stalled || deadline == TimePoint::never() || deadline < now()) return;
  core_->now = deadline.nanoseconds();
}

bool Simulation::step() { return step_before(begin_run(Duration::max())); }

void Simulation::run_for(Duration duration) {
  const TimePoint deadline = begin_run(duration);
  while (step_before(deadline)) {
  }
  end_run(deadline);
}

bool Simulation::run_until_idle(Duration limit) {
  const TimePoint deadline = begin_run(limit);
  while (step_before(deadline)) {
  }
  if (core_->queue.empty()) return true;
  end_run(deadline);
  return false;
}

bool Simulation::run_until_quiet(Duration limit) {
  const TimePoint deadline = begin_run(limit);
  while (core_->queue.size() != core_->waiting_timers) {
    if (step_before(deadline)) continue;
    end_run(deadline);
    return false;
  }
  return true;
}

bool Simulation::stalled() const noexcept { return core_->stalled; }

// ---- the trace ----

std::uint64_t Simulation::trace_hash() const noexcept { return core_->log.hash(); }
std::uint64_t Simulation::event_count() const noexcept { return core_->log.count(); }
void Simulation::on_trace(TraceSink sink) { core_->log.set_sink(std::move(sink)); }

std::string Simulation::describe(const TraceRecord& record) const {
  const std::string name = record.node < core_->slots.size()
                               ? core_->slots[record.node].current->name()
                               : std::string("-");
  const std::int64_t at = record.at.nanoseconds();
  return fmt::format("{}.{:09} {} {} {} {}", at / 1'000'000'000, at % 1'000'000'000, name,
                     trace_kind_name(record.kind), record.id, record.length);
}

SimStats Simulation::stats() const noexcept {
  SimStats stats = core_->stats;
  stats.connections_open = core_->connections.size();
  return stats;
}

Random& Simulation::random() noexcept { return core_->user_random; }

// ---- faults ----

void Simulation::apply(const FaultPlan& plan) {
  for (const Fault& fault : plan) {
    core_->later((now() + fault.at).nanoseconds(),
                 [core = core_.get(), fault] { core->inject(fault); });
  }
}

void Simulation::inject(const Fault& fault) { core_->inject(fault); }

void Simulation::partition(const SimNode& a, const SimNode& b) {
  inject(Fault(Duration::zero(), FaultKind::partition, a.index(), b.index()));
}

void Simulation::partition_one_way(const SimNode& from, const SimNode& to) {
  inject(Fault(Duration::zero(), FaultKind::partition_one_way, from.index(), to.index()));
}

void Simulation::isolate(const SimNode& a) {
  inject(Fault(Duration::zero(), FaultKind::partition, a.index(), any_node));
}

void Simulation::heal() {
  core_->links.clear_rules();
  core_->paths_changed();
}

void Simulation::reset_connections(const SimNode& a) {
  inject(Fault(Duration::zero(), FaultKind::reset, a.index(), any_node));
}

void Simulation::reset_connections(const SimNode& a, const SimNode& b) {
  inject(Fault(Duration::zero(), FaultKind::reset, a.index(), b.index()));
}

void Simulation::pause(SimNode& node) { static_cast<detail::NodeImpl&>(node).pause(); }
void Simulation::resume(SimNode& node) { static_cast<detail::NodeImpl&>(node).resume(); }

void Simulation::slow_reader(SimNode& node, std::uint32_t bytes_per_millisecond) {
  static_cast<detail::NodeImpl&>(node).set_read_limit(bytes_per_millisecond);
}

void Simulation::crash(SimNode& node, CrashKind kind) {
  core_->crash(static_cast<detail::NodeImpl&>(node), kind);
}

SimNode& Simulation::restart(const SimNode& node, DiskFate disk) {
  return core_->restart(node.index(), disk);
}

void Simulation::set_link(const SimNode& from, const SimNode& to, const LinkOptions& link) {
  core_->links.set(from.index(), to.index(), link);
}

}  // namespace velo::sim
