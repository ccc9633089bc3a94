// SPDX-License-Identifier: Apache-2.0
// Core: the state of one simulation: virtual time, queue, trace, machines, nodes, links, and
// everything that outlives an event. What happens to nodes and connections is decided in their own
// files.
// Threading: one thread.
#pragma once

#include <velo/base/network.hpp>
#include <velo/sim/simulation.hpp>

#include "event_queue.hpp"
#include "executors.hpp"
#include "links.hpp"
#include "ref.hpp"
#include "rng.hpp"
#include "trace_log.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace velo::sim::detail {

class Connection;
class DatagramState;
class NodeImpl;
struct Machine;

/// What user code holds a handle of (a connection, a listener, a lock), and what therefore may
/// outlive its node and the simulation. Counted: handles, scheduled events and queued callbacks
/// each hold a reference.
class Resource {
 public:
  explicit Resource(Core& core) noexcept;
  Resource(const Resource&) = delete;
  Resource& operator=(const Resource&) = delete;
  /// By release() only.
  virtual ~Resource() { leave_core(); }

  /// The node is dead already.
  virtual void node_crashed(NodeImpl& node, bool silent) = 0;
  /// A partition healed, or a machine is back.
  virtual void paths_changed() {}
  /// Cancels all events; core() is null afterwards.
  virtual void simulation_ended() = 0;

  void retain() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) delete this;
  }
  void leave_core() noexcept;

 protected:
  Core& core() const noexcept { return *core_; }
  bool has_core() const noexcept { return core_ != nullptr; }
  /// Schedules one of the object's own events, which then holds a reference; `settle` takes it over
  /// in fire().
  void arm(Event& event, std::int64_t at);
  void disarm(Event& event) noexcept;

 private:
  Core* core_;
  std::uint32_t references_ = 0;
  Resource* previous_ = nullptr;
  Resource* next_ = nullptr;
  friend struct Core;
};

/// An action of the simulation itself: a fault's start or end, a clean-up.
class Action final : public Event {
 public:
  Action(Core& core, std::uint64_t id, std::move_only_function<void()> body)
      : core_(core), id_(id), body_(std::move(body)) {}
  void fire() override;

 private:
  Core& core_;
  std::uint64_t id_;
  std::move_only_function<void()> body_;
};

struct Core {
  Core(std::uint64_t the_seed, const SimOptions& the_options);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core();

  // ---- time ----
  void schedule(Event& event, std::int64_t at);
  void cancel(Event& event) noexcept { queue.remove(event); }
  /// Runs one event that is due by `limit`.
  bool step(std::int64_t limit);
  void later(std::int64_t at, std::move_only_function<void()> body);
  /// Now and `duration`; never rather than an overflow.
  std::int64_t after(Duration duration) const noexcept {
    return (TimePoint(Duration(now)) + duration).nanoseconds();
  }
  void trace(const NodeImpl& node, TraceKind kind, std::uint64_t id, std::uint64_t length);

  // ---- nodes ----
  NodeImpl& add_node(std::string name, const NodeOptions& node_options, Boot boot);
  NodeImpl& current(std::uint32_t index) const noexcept { return *slots[index].current; }
  Machine& machine_of(const std::string& name);
  Machine* find_machine(const NodeImpl& from, const std::string& host) const noexcept;
  /// With `tear`, unflushed appends are torn whatever the options say.
  void crash(NodeImpl& node, CrashKind kind, bool tear = false);
  NodeImpl& restart(std::uint32_t index, DiskFate disk);
  void paths_changed();

  // ---- faults ----
  void inject(const Fault& fault);
  /// From a to b, or both ways, for a time; without one for good.
  void add_rule(NodeRange a, NodeRange b, bool both_ways, Links::Effect effect, std::int64_t amount,
                Duration duration);
  void reset_between(std::uint32_t a, std::uint32_t b);
  void reset_one(std::uint32_t a);
  /// `index`, or with any_node a random node that is alive; null if there is none.
  NodeImpl* pick_node(std::uint32_t index) noexcept;

  struct Slot {
    NodeImpl* current = nullptr;
    NodeOptions options;
    Boot boot;
  };

  std::uint64_t seed;
  SimOptions options;
  std::int64_t now = 0;
  std::uint64_t sequence = 0;
  SimRandom order_random;
  SimRandom network_random;
  SimRandom fault_random;
  SimRandom user_random;
  EventQueue queue;
  std::size_t waiting_timers = 0;
  TraceLog log;
  SimStats stats;
  Links links;

  bool stalled = false;
  std::uint64_t instant_began = 0;  ///< the event count when `now` became what it is
  bool stepping = false;
  bool in_kernel = false;       ///< an event that is not user code is firing
  ShardImpl* direct = nullptr;  ///< the shard whose turn follows the firing event at once

  std::deque<Timer> timers;
  std::vector<std::uint32_t> free_timers;
  std::map<std::uint64_t, std::unique_ptr<Action>> actions;
  std::vector<Connection*> connections;  ///< not yet ended; the order is part of the run
  std::uint64_t next_connection = 1;
  Resource* resources = nullptr;
  /// By group and port, in the order of joining.
  std::map<NetAddress, std::vector<DatagramState*>> groups;

  std::vector<std::unique_ptr<Machine>> machines;
  std::map<std::string, Machine*> machines_by_name;
  std::map<std::string, Machine*, std::less<>> machines_by_host;
  std::vector<std::unique_ptr<NodeImpl>> nodes;  ///< every incarnation
  std::vector<Slot> slots;

 private:
  NodeImpl& boot_node(std::uint32_t index, std::uint32_t incarnation, Machine& machine,
                      std::string name);
  std::vector<Ref<Resource>> all_resources();
  void make_address(Machine& machine);
};

}  // namespace velo::sim::detail
