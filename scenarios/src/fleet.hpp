// SPDX-License-Identifier: Apache-2.0
// Fleet: simulated nodes with a messenger each, which know each other, come back after crashes as
// new instances, and whose promises are checked while the simulation runs. What they say to each
// other is decided elsewhere (see traffic.hpp).
// Threading: the one thread that drives the simulation.
#pragma once

#include "ledger.hpp"

#include <velo/messenger/messenger.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/media.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::scenarios {

class Fleet;

/// The ways between its nodes, where there are several.
using Media = std::vector<std::shared_ptr<transport::Medium>>;

struct FleetOptions {
  std::uint32_t nodes = 5;
  std::size_t shards = 1;
  std::size_t calls_max = 0;  ///< 0: the messenger's own
  /// All on one machine, and reachable by TCP and by shared memory.
  bool several_ways = false;
  sim::SimOptions sim;
  LedgerOptions ledger;
  /// One messenger's books are checked every so many events.
  std::uint32_t events_per_check = 16;
  FleetOptions() = default;
};

/// Runs `function` on the node's first shard after `delay`; never, if the node is dead by then.
template <class F>
void after(World& world, Duration delay, F function) {
  struct Node {
    F function;
    explicit Node(F&& f) : function(std::move(f)) {}
  };
  auto* node = new Node(std::move(function));
  world.shard(0).start_timer(world.clock().now() + delay, Task0{[](void* argument) {
                                                                  const std::unique_ptr<Node> owned(
                                                                      static_cast<Node*>(argument));
                                                                  owned->function();
                                                                },
                                                                node});
}

/// One incarnation of a node: its messenger and its handlers.
class Member {
 public:
  Member(Fleet& fleet, sim::SimNode& node);
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member();

  Place place() const noexcept { return {node_.index(), node_.incarnation()}; }
  sim::SimNode& node() const noexcept { return node_; }
  Messenger& messenger() const noexcept { return *messenger_; }
  /// Lets go of everything; the member is of no use afterwards.
  void close();
  /// Handlers that hold their question learn of its deadline in time.
  void check_held() const;

  bool draining = false;

 private:
  struct Held {
    Context context;
    HandlerDone done;
    std::stop_token stop;
  };
  void add_plain_handlers();
  void add_typed_handlers();
  void add_asynchronous_handlers();
  void add(Handler handler);
  std::optional<Ask> arrived(Context& context, bool in_order);
  Bytes answer(const Ask& ask) const;
  void relay(const Ask& ask, Context context, HandlerDone done);

  Fleet& fleet_;
  sim::SimNode& node_;
  std::unique_ptr<Messenger> messenger_;
  std::vector<Held> held_;
};

class Fleet {
 public:
  Fleet(std::uint64_t seed, const FleetOptions& options, const sim::FaultPlan& plan);
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  sim::Simulation& sim() noexcept { return sim_; }
  Ledger& ledger() noexcept { return ledger_; }
  const FleetOptions& options() const noexcept { return options_; }
  std::uint32_t size() const noexcept { return options_.nodes; }
  /// Empty where there is one way only.
  const Media& media() const noexcept { return media_; }
  /// What the nodes did about their paths, all together; known when they are quiet.
  const PathBooks& paths() const noexcept { return paths_; }
  /// Null while the node is down.
  Member* member(std::uint32_t node) noexcept;
  InstanceId id_of(Place place) const { return ids_[place.node][place.run]; }
  /// The node's latest run, whether it lives or not.
  Place latest(std::uint32_t node) const;

  /// Drives for so long, or until a promise is broken (false).
  bool run_for(Duration duration);
  /// Drives until `done()`; a promise is broken when that takes longer than `limit`.
  template <class P>
  bool run_until(P done, Duration limit, std::string_view what) {
    const bool in_time = sim_.run_until([&] { return check_step() || done(); }, limit);
    if (!in_time) ledger_.fail(std::string(what) + " took too long");
    if (sim_.stalled()) ledger_.fail("the nodes keep each other busy without end");
    return !ledger_.failed();
  }
  /// Ends all faults, brings back who is down, and lets it sink in.
  void heal();
  /// Everybody can talk to everybody again (or to a few, when there are many).
  void prove_reachable();
  /// Nothing is in flight, and all books agree.
  void check_quiet();
  /// Closes all messengers; nothing may be left to do then.
  void close();

  /// For members.
  void joined(Member& member);
  void left(Member& member);
  std::uint64_t drains() const noexcept { return drains_; }
  /// Shuts a messenger down as its user would, checks what became of it, and starts it anew.
  void drain(std::uint32_t node, Duration patience);
  /// Starts again who has drained; outside of the nodes' tasks.
  void revive();

 private:
  struct Drain {
    Place place;
    TimePoint until;
    bool over = false;
  };
  /// True when a promise is broken.
  bool check_step();
  void on_trace(const sim::TraceRecord& record);
  void on_fault(const sim::TraceRecord& record);
  void drained(Place place, const Result<void>& result);
  std::uint64_t probe(std::vector<std::pair<std::uint32_t, std::uint32_t>>& pairs);

  FleetOptions options_;
  sim::FaultPlan plan_;
  std::vector<Member*> members_;
  std::vector<std::vector<InstanceId>> ids_;
  std::vector<Drain> drain_list_;
  std::uint64_t drains_ = 0;
  std::uint32_t until_check_ = 0;
  std::uint32_t next_checked_ = 0;
  bool closing_ = false;
  Media media_;
  PathBooks paths_;
  /// Outlives the simulation, whose nodes report to it to their last.
  Ledger ledger_;
  sim::Simulation sim_;
};

}  // namespace velo::scenarios
