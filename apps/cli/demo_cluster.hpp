// SPDX-License-Identifier: Apache-2.0
// The coordinator's side of the demo's cluster: its node, the worker processes, how they find each
// other, and the loop in which everything that answers tell is run on the main thread. Not the job:
// see demo_job.hpp.
// Threading: the main thread, except what post_back() hands over.
#pragma once

#include "child_processes.hpp"
#include "commands.hpp"
#include "demo_protocol.hpp"
#include "mailbox.hpp"
#include "signals.hpp"
#include "temporary_directory.hpp"

#include <velo/velo.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::cli {

class DemoCluster {
 public:
  struct Worker {
    InstanceId id;
    bool known = false;
    std::uint64_t answers = 0;    ///< calls that it answered well
    std::uint64_t uncertain = 0;  ///< calls of which it may know more than we do
  };

  DemoCluster(const DemoOptions& options, Signals& signals)
      : options_(options), signals_(signals) {}
  DemoCluster(const DemoCluster&) = delete;
  DemoCluster& operator=(const DemoCluster&) = delete;
  ~DemoCluster();

  /// Starts the workers and waits until each that lives has joined. Exit code; a failure
  /// was printed.
  int start();

  /// Waits at most `patience` for something to happen and runs what was posted back; notices
  /// workers that ended. The signal that asked to end, if one did.
  std::optional<int> turn(Duration patience);

  /// Sends a typed call to a worker; `done(Result<R>, sent, received)` runs in a later turn().
  template <class R, class T, class Done>
  void call(std::size_t worker, std::string_view handler, const T& request, Done done) {
    ++calls_;
    const TimePoint sent = now();
    node_->typed_unary<R>(handler)
        .payload(request)
        .instance(workers_[worker].id)
        .timeout(options_.timeout)
        .send()
        .then([this, worker, sent, done = std::move(done)](Result<R> result) mutable {
          const TimePoint received = now();
          mailbox_.put([this, worker, sent, received, done = std::move(done),
                        result = std::move(result)]() mutable {
            count_end(worker, result ? nullptr : &result.error());
            done(std::move(result), sent, received);
          });
        });
  }

  /// What the worker itself has counted (`_books`, which no books count). Waits for the answer or
  /// its deadline, and turns meanwhile; signals do not end it.
  Result<NodeBooks> books_of(std::size_t worker);

  TimePoint now() const noexcept { return world_->clock().now(); }
  Velo& node() noexcept { return *node_; }
  ChildProcesses& processes() noexcept { return processes_; }
  const std::vector<Worker>& workers() const noexcept { return workers_; }
  /// Of call(): how many there were, and how many ended well and badly.
  std::uint64_t calls() const noexcept { return calls_; }
  std::uint64_t answered() const noexcept { return answered_; }
  std::uint64_t errors() const noexcept { return errors_; }

 private:
  int open_node(const Rendezvous& where);
  void count_end(std::size_t worker, const Error* error);
  std::size_t missing_workers() const;

  const DemoOptions& options_;
  Signals& signals_;
  std::optional<TemporaryDirectory> directory_;
  Mailbox<std::move_only_function<void()>> mailbox_;
  std::unique_ptr<RealWorld> world_;
  std::unique_ptr<Velo> node_;
  ChildProcesses processes_;
  std::vector<Worker> workers_;
  std::uint64_t calls_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t errors_ = 0;
};

}  // namespace velo::cli
