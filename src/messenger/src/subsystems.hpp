// SPDX-License-Identifier: Apache-2.0
// The subsystems of one messenger, and which peers are up.
// Threading: any thread; subsystems are called without a lock.
#pragma once

#include <velo/base/executor.hpp>
#include <velo/messenger/subsystem.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace velo::messenger {

class Impl;
class Link;

class Subsystems {
 public:
  explicit Subsystems(Impl& impl) noexcept : impl_(impl) {}

  Result<void> attach(std::shared_ptr<Subsystem> subsystem, std::vector<Handler> handlers);
  std::shared_ptr<Subsystem> find(std::string_view name) const;

  /// A greeted connection with its peer began, or is over (then once, or never greeted). On the
  /// link's shard.
  void linked(Link& link);
  void unlinked(Link& link, const Error& why);
  /// Another instance answered where this one was.
  void replaced(const InstanceId& peer);

  void begin_drain();
  std::uint64_t unfinished() const noexcept;
  /// Once; later ones do nothing.
  void stop(const Error& reason);

  using List = std::vector<std::shared_ptr<Subsystem>>;
  /// In the order in which they were attached; none after the end.
  List all() const;

 private:
  struct Word {
    InstanceId peer;
    std::optional<Error> down;            ///< empty: up
    std::shared_ptr<Subsystem> only_for;  ///< null: for all there are when it is delivered
    bool replaced = false;
  };

  void publish(Subsystem& subsystem);
  void deliver_soon();
  void deliver();

  Impl& impl_;

  mutable std::mutex mutex_;
  std::mutex adding_;  ///< one attach at a time
  List list_;
  bool draining_ = false;
  bool stopped_ = false;
  std::unordered_map<InstanceId, std::size_t> links_of_;
  std::deque<Word> words_;
  std::atomic<bool> any_{false};
};

}  // namespace velo::messenger
