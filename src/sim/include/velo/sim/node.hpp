// SPDX-License-Identifier: Apache-2.0
// SimNode: one run of one simulated process, and the World that its services live in. After a crash
// it is dead for ever; a restart makes a new SimNode of the same index. Not thread-safe, not
// movable; the Simulation owns it.
// Threading: the one thread that drives the simulation.
#pragma once

#include <velo/base/executor.hpp>
#include <velo/base/files.hpp>
#include <velo/base/network.hpp>
#include <velo/base/world.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace velo::sim {

/// What a dead node's parts do: posted tasks still run, so that destructors can clean up, but
/// nothing reaches the outside: timers never fire, streams fail, connecting never ends, listening
/// and files are refused.
class SimNode : public World {
 public:
  virtual const std::string& name() const noexcept = 0;
  /// The same for every incarnation; the node's number in traces and faults.
  virtual std::uint32_t index() const noexcept = 0;
  /// 0 for the first run.
  virtual std::uint32_t incarnation() const noexcept = 0;
  virtual bool alive() const noexcept = 0;
  /// Numeric address of the node's machine, "10.0.x.y".
  virtual const std::string& host() const noexcept = 0;

  Endpoint endpoint(std::uint16_t port) const { return Endpoint::tcp(host(), port); }

  /// Runs `function` on shard 0, when the simulation is driven next.
  template <class F>
  void post(F function) {
    velo::post(shard(0), std::move(function));
  }
};

}  // namespace velo::sim
