// SPDX-License-Identifier: Apache-2.0
// Where a scenario takes place: a World with a medium, participants, other processes, and the means
// to wait. Not the scenarios (scenarios.cpp).
// Threading: the test's thread; Record is filled from any.
#pragma once

#include <velo/discovery/conformance.hpp>
#include <velo/discovery/subject.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace velo::discovery::conformance {

/// Another process that announced some peers.
class Process {
 public:
  virtual ~Process() = default;  ///< kills it if it still runs
  virtual void kill() = 0;
  /// Withdraws and ends.
  virtual void leave() = 0;
};

class Ground {
 public:
  virtual ~Ground() = default;

  virtual World& world() = 0;
  /// A participant; destroy it before the ground.
  virtual std::shared_ptr<PeerDiscovery> join() = 0;
  /// Returns when the peers are announced. Only for backends that reach processes.
  virtual std::unique_ptr<Process> start_process(const std::vector<PeerInfo>& peers) = 0;
  /// Lets the World go on until the condition holds; false when that takes too long.
  virtual bool wait_until(const std::function<bool()>& condition) = 0;
  /// Lets the World go on for a while.
  virtual void let_pass(Duration duration) = 0;
  virtual Lapse lapse() const = 0;
  /// The medium is out of reach for all participants, or is there again. Only for backends with
  /// outages.
  virtual void set_outage(bool out) = 0;
  /// Ends the World's activity: stopped threads, a dead node.
  virtual void end_world() = 0;

  template <class T>
  Result<T> wait(Op<T> op) {
    if (!wait_until([&op] { return op.done(); })) {
      return make_error(Errc::deadline_exceeded, "the operation does not end");
    }
    return std::move(op).get();
  }

  /// Asks again and again until the answer is right; false when that takes too long.
  template <class Ask, class Right>
  bool eventually(Ask ask, Right right) {
    const TimePoint end = world().clock().now() + std::chrono::seconds(20);
    while (world().clock().now() < end) {
      if (right(wait(ask()))) return true;
      let_pass(std::chrono::milliseconds(2));
    }
    return false;
  }
};

std::unique_ptr<Ground> make_real_ground(const Backend& backend);
std::unique_ptr<Ground> make_sim_ground(const Backend& backend, std::uint64_t seed);

/// The full name of the test that run_announcer_process() is the body of.
std::string announcer_test(const Backend& backend);
/// The peers that the environment of a started process names; empty in an ordinary run of the test
/// program.
std::vector<PeerInfo> peers_of_this_process();
/// What a process started by start_process() does: announces, says so, and waits to be killed or
/// released.
void run_announcer_process(const Backend& backend, const std::vector<PeerInfo>& peers);

/// A peer whose address can be told from others'.
PeerInfo make_peer(World& world, std::string_view address);

/// What one watch has said.
template <class Subject>
class RecordOf {
 public:
  using Info = typename Subject::Info;
  using Change = typename Subject::Change;
  using View = std::map<InstanceId, Info>;

  typename Subject::Watcher watcher() {
    return [shared = shared_](const Change& change) { shared->take(change); };
  }

  std::size_t calls() const {
    return read([](const Shared& s) { return s.changes.size(); });
  }
  std::size_t snapshots() const {
    return read([](const Shared& s) {
      return static_cast<std::size_t>(
          std::ranges::count(s.changes, ChangeKind::snapshot, &Change::kind));
    });
  }
  bool overlapped() const {
    return read([](const Shared& s) { return s.overlapped; });
  }
  std::vector<Change> changes() const {
    return read([](const Shared& s) { return s.changes; });
  }
  /// The rows that the changes add up to.
  View view() const {
    return read([](const Shared& s) { return s.view; });
  }

 private:
  struct Shared {
    mutable std::mutex mutex;
    std::vector<Change> changes;
    View view;
    bool inside = false;
    bool overlapped = false;

    void take(const Change& change) {
      {
        const std::lock_guard lock(mutex);
        if (std::exchange(inside, true)) overlapped = true;
      }
      const std::lock_guard lock(mutex);
      changes.push_back(change);
      if (change.kind == ChangeKind::snapshot || change.kind == ChangeKind::resync) view.clear();
      for (const Info& info : Subject::items(change)) {
        if (change.kind == ChangeKind::removed) {
          view.erase(info.instance_id);
        } else {
          view.insert_or_assign(info.instance_id, info);
        }
      }
      inside = false;
    }
  };
  template <class Look>
  auto read(Look look) const {
    const std::lock_guard lock(shared_->mutex);
    return look(*shared_);
  }
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

using Record = RecordOf<PeerSubject>;
using ServiceRecord = RecordOf<ServiceSubject>;

}  // namespace velo::discovery::conformance
