// SPDX-License-Identifier: Apache-2.0
// The processes of a soak as its driver sees them: started, harmed, read, and asked to end. It is
// no node itself.
// Threading: the main thread.
#pragma once

#include "child_processes.hpp"
#include "signals.hpp"
#include "soak.hpp"
#include "soak_memory.hpp"
#include "soak_oracle.hpp"
#include "temporary_directory.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace velo::cli {

struct SoakFaults {
  std::uint64_t killed = 0;
  std::uint64_t cut = 0;
  std::uint64_t frozen = 0;
};

class SoakCluster {
 public:
  SoakCluster(const SoakOptions& options, Signals& signals)
      : options_(options), signals_(signals) {}
  SoakCluster(const SoakCluster&) = delete;
  SoakCluster& operator=(const SoakCluster&) = delete;

  /// Exit code; a failure was printed.
  int start();
  /// Waits, reads what the processes wrote, notices which ended. The signal that asked to end.
  std::optional<int> turn(Duration patience);

  // Faults. Workers are numbered from 0; the first one is never killed, so that its memory can be
  // judged as the hub's can.
  /// SIGKILL, and another one in its place.
  int kill_worker(std::size_t worker);
  /// Of the hub (0) or a worker (from 1): every connection that it has.
  void cut(std::size_t member);
  void freeze(std::size_t member, Duration duration);

  /// Nothing is frozen, nobody begins anything any longer, every item was given to somebody; then
  /// they end. What did not happen in time is added to complaints().
  std::optional<int> settle();

  void sample();
  std::size_t workers() const noexcept { return workers_.size(); }
  double seconds() const noexcept;
  SoakOracle& oracle() noexcept { return oracle_; }
  const SoakFaults& faults() const noexcept { return faults_; }
  std::vector<std::string>& complaints() noexcept { return complaints_; }
  std::vector<MemoryTrend> memory() const;

 private:
  using Instant = std::chrono::steady_clock::time_point;
  struct Member {
    std::size_t child = 0;
    std::uint64_t number = 0;  ///< 0: the hub
    std::string log;
    std::optional<SoakReader> reader;
    bool ready = false;
    bool quiet = false;
    bool gone = false;  ///< killed by us, or its end was noticed
    std::optional<Instant> thaws;
  };

  Result<void> spawn(Member& member);
  Result<void> replace(Member& member);
  void read(Member& member);
  void thaw_due(bool all);
  void notice_ends();
  template <class Done>
  std::optional<int> wait_until(Duration patience, const Done& done, const std::string& what);

  const SoakOptions& options_;
  Signals& signals_;
  std::optional<TemporaryDirectory> directory_;
  ChildProcesses processes_;
  Member hub_;
  std::string hub_id_;
  std::vector<Member> workers_;
  std::uint64_t next_number_ = 0;
  SoakOracle oracle_;
  SoakFaults faults_;
  std::vector<std::string> complaints_;
  std::vector<MemorySample> hub_memory_;
  std::vector<MemorySample> worker_memory_;
  Instant started_ = std::chrono::steady_clock::now();
};

}  // namespace velo::cli
