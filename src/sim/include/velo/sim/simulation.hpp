// SPDX-License-Identifier: Apache-2.0
// Simulation: many nodes, each a World, in one thread under one virtual clock; a seed decides every
// latency, order and fault, so that the same seed replays the same run to the same trace hash, in
// any process and with any compiler. It does not simulate CPU time, and nothing in it may read a
// real clock, block, or start a thread.
// Threading: everything from the one thread that made it; several simulations may run in several threads.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/op.hpp>
#include <velo/base/task.hpp>
#include <velo/sim/faults.hpp>
#include <velo/sim/node.hpp>
#include <velo/sim/options.hpp>
#include <velo/sim/trace.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace velo::sim {

namespace detail {
struct Core;
}

/// The "main" of a node: makes its services and returns what owns them. Runs at each start, on no
/// executor; what it returned is destroyed after a crash, when the node is dead already.
using Boot = std::function<std::shared_ptr<void>(SimNode&)>;

enum class CrashKind : std::uint8_t {
  process,  ///< killed; the kernel resets its connections
  power,  ///< gone without a word; peers learn it by their own time-outs, or when the node is back
};
enum class DiskFate : std::uint8_t { kept, wiped };

class Simulation;

/// While it lives, every Simulation that is made on this thread shows it its trace, unless
/// on_trace() is called: for tracing what a Scenario does inside run(). The innermost one counts;
/// it outlives the simulations made under it.
class TraceListener {
 public:
  using Sink = std::function<void(const Simulation&, const TraceRecord&)>;
  explicit TraceListener(Sink sink);
  TraceListener(const TraceListener&) = delete;
  TraceListener& operator=(const TraceListener&) = delete;
  ~TraceListener();

 private:
  friend class Simulation;
  Sink sink_;
  TraceListener* outer_;
};

struct SimStats {
  std::uint64_t connections_opened = 0;
  std::uint64_t connections_open = 0;  ///< not yet ended on both sides
  std::uint64_t segments = 0;
  std::uint64_t stream_bytes = 0;
  std::uint64_t resets = 0;  ///< injected, by faults or loss
  std::uint64_t datagrams = 0;
  std::uint64_t datagrams_lost = 0;
  std::uint64_t crashes = 0;
};

/// A test of your own service, under a hundred seeds of packet boundaries, orders and faults:
///
///     for (std::uint64_t seed = 1; seed <= 100; ++seed) {
///       velo::sim::Simulation sim(seed);
///       std::shared_ptr<Counter> counter;                       // your service; takes a
///       velo::World& auto& server = sim.add_node("server", {}, [&](velo::sim::SimNode& node) {
///         counter = std::make_shared<Counter>(node, node.endpoint(7000));
///         return counter;                                       // destroyed when the node crashes
///       });
///       auto& client = sim.add_node("client");
///       CounterClient user(client, server.endpoint(7000));
///       velo::sim::FaultPlanOptions faults;
///       faults.nodes = 2;
///       sim.apply(velo::sim::random_fault_plan(seed, faults));
///       ASSERT_TRUE(sim.run_until([&] { return user.done(); }, std::chrono::minutes(5)))
///           << "seed " << seed;
///     }
///
/// Tasks and timers that are pending when their node crashes, or when the Simulation is destroyed,
/// never run; memory that only they own stays allocated (and reachable) until the process ends. To
/// free all of it, destroy your services first and then call run_until_quiet().
class Simulation {
 public:
  explicit Simulation(std::uint64_t seed, const SimOptions& options = SimOptions());
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;
  /// Nodes die; what `Boot` returned is destroyed in reverse order. Streams and the like may
  /// outlive it, and are inert.
  ~Simulation();

  std::uint64_t seed() const noexcept;

  // ---- nodes ----

  /// Nodes are numbered from 0. With `boot`, it runs inside this call and at each restart.
  SimNode& add_node(std::string name, const NodeOptions& options = NodeOptions(), Boot boot = {});
  std::size_t node_count() const noexcept;
  /// The latest incarnation.
  SimNode& node(std::size_t index) noexcept;
  /// Null if there is none of that name.
  SimNode* find_node(std::string_view name) noexcept;

  // ---- driving; never from inside a node's task ----

  TimePoint now() const noexcept;
  /// Runs the next event, at whatever time it is due. False if there is none.
  bool step();
  /// Runs events until `predicate()` holds, which is asked after each one. False once `limit` has
  /// passed without it.
  template <class P>
  bool run_until(P predicate, Duration limit) {
    const TimePoint deadline = begin_run(limit);
    while (!predicate()) {
      if (!step_before(deadline)) {
        end_run(deadline);
        return predicate();
      }
    }
    return true;
  }
  void run_for(Duration duration);
  /// Until nothing at all is left to do, timers included. False if `limit` comes first.
  bool run_until_idle(Duration limit);
  /// Until nothing is left but timers that wait.
  bool run_until_quiet(Duration limit);
  /// A run ended because of SimOptions::events_per_instant_max.
  bool stalled() const noexcept;

  /// Drives until the operation ends. Errc::deadline_exceeded after `limit`; the operation is
  /// cancelled then.
  template <class T>
  Result<T> wait(Op<T> op, Duration limit) {
    if (!run_until([&op] { return op.done(); }, limit)) {
      return make_error(Errc::deadline_exceeded, "the simulated operation did not end in time");
    }
    return std::move(op).get();
  }
  /// Starts the task on the node's shard 0 and drives until it ends. After `limit` it is left where
  /// it is.
  template <class T>
  Result<T> wait(SimNode& node, Task<T> task, Duration limit) {
    auto result = std::make_shared<std::optional<Result<T>>>();
    node.post([result, owned = std::move(task)]() mutable {
      start(std::move(owned), [result](Result<T> ended) { result->emplace(std::move(ended)); });
    });
    if (!run_until([&result] { return result->has_value(); }, limit)) {
      return make_error(Errc::deadline_exceeded, "the simulated task did not end in time");
    }
    return std::move(**result);
  }

  // ---- the trace ----

  /// Of all events so far. Equal for equal seeds, options and user code.
  std::uint64_t trace_hash() const noexcept;
  std::uint64_t event_count() const noexcept;
  /// Called at each event, before it happens; an empty sink stops that.
  void on_trace(TraceSink sink);
  /// A line for people: time, node, kind, id, length.
  std::string describe(const TraceRecord& record) const;
  SimStats stats() const noexcept;

  /// For the test's own choices: seeded, and independent of what the simulation draws.
  Random& random() noexcept;

  // ---- faults; from anywhere on the driving thread, inside a node's task too ----

  /// Starts every fault at `now() + fault.at`. Faults of nodes that do not exist (or are down) then
  /// do nothing.
  void apply(const FaultPlan& plan);
  /// Starts one fault now.
  void inject(const Fault& fault);

  void partition(const SimNode& a, const SimNode& b);
  void partition_one_way(const SimNode& from, const SimNode& to);
  void isolate(const SimNode& a);
  /// Ends all partitions, delays, losses and limits of bandwidth that faults began.
  void heal();
  void reset_connections(const SimNode& a);
  void reset_connections(const SimNode& a, const SimNode& b);
  void pause(SimNode& node);
  void resume(SimNode& node);
  /// Bytes per millisecond and stream; 0 ends it.
  void slow_reader(SimNode& node, std::uint32_t bytes_per_millisecond);
  void crash(SimNode& node, CrashKind kind = CrashKind::process);
  /// Of a crashed node; returns the new incarnation. A live one is crashed first.
  SimNode& restart(const SimNode& node, DiskFate disk = DiskFate::kept);
  /// From now on, for streams and datagrams from `from` to `to` (one direction).
  void set_link(const SimNode& from, const SimNode& to, const LinkOptions& link);

 private:
  TimePoint begin_run(Duration limit) noexcept;
  bool step_before(TimePoint deadline);
  void end_run(TimePoint deadline) noexcept;

  std::unique_ptr<detail::Core> core_;
};

}  // namespace velo::sim
