// SPDX-License-Identifier: Apache-2.0
// Engine: one messenger's large data: the store with its lock and its timer, the handlers that
// serve it to others (service.cpp), and the transfers that read from others.
// Threading: any thread; nothing is called out with the lock held.
#pragma once

#include "pull.hpp"
#include "store.hpp"
#include "tally.hpp"

#include <velo/messenger/payload_resolver.hpp>
#include <velo/messenger/subsystem.hpp>
#include <velo/rendezvous/rendezvous.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace velo::rendezvous {

class Engine final : public messenger::Subsystem,
                     public messenger::PayloadResolver,
                     // why: handlers, transfers and timers use the engine until they are over.
                     public std::enable_shared_from_this<Engine> {
 public:
  explicit Engine(const RendezvousOptions& options);

  /// Once.
  Result<void> attach(Messenger& messenger);

  std::string_view name() const noexcept override { return "rendezvous"; }
  void on_drain() override { draining_.store(true, std::memory_order_release); }
  std::uint64_t unfinished() const noexcept override;
  void on_stop(const Error& reason) override;
  Result<std::shared_ptr<void>> publish_metrics(metrics::Registry& registry) override;

  // Payloads that do not travel in their messages: resolver.cpp.
  std::size_t stage_bytes() const noexcept override { return options_.stage_bytes; }
  Result<messenger::StagedPayload> stage(const Bytes& payload, const InstanceId& reader,
                                         Duration lives) override;
  void drop(std::uint64_t ticket) noexcept override { withdraw(ticket); }
  Op<Bytes> resolve(std::string_view reference, const messenger::PayloadOrigin& origin,
                    Duration timeout, std::stop_token stop) override;

  /// Null once it is gone.
  std::shared_ptr<Messenger> messenger() const noexcept { return messenger_.lock(); }
  World& world() const noexcept { return *world_; }
  const std::shared_ptr<MemoryBudget>& budget() const noexcept { return budget_; }
  WorkerId worker() const noexcept { return self_.worker; }
  const Reader& self() const noexcept { return self_; }
  bool stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }
  bool draining() const noexcept { return draining_.load(std::memory_order_acquire); }

  // The store; each under the lock.
  Result<DataHandle> add(Source source, const Terms& terms);
  Result<DataMetadata> metadata(std::uint64_t id, const Reader& reader) const;
  Result<Store::Granted> acquire(std::uint64_t id, const Reader& reader);
  Result<Piece> piece(const wire::PullRequest& request, const Reader& reader);
  Result<void> add_reference(std::uint64_t id, const Reader& reader);
  Result<void> detach(std::uint64_t id, DataLease lease, const Reader& reader);
  Result<void> release(std::uint64_t id, DataLease lease, const Reader& reader);
  bool withdraw(std::uint64_t id);
  RendezvousUse use() const;

  /// Reads from the owner, whoever that is; `done` runs on a shard.
  std::shared_ptr<Pull> start_pull(const DataHandle& handle, std::unique_ptr<DataWriter> writer,
                                   PullOptions options, Pull::Done done);
  void pull_over(const Pull& pull, bool well, std::uint64_t bytes, Duration took) noexcept;

  /// Reads one piece that is not in memory; on the pool.
  Result<Bytes> read(const Piece& piece) const;

 private:
  std::vector<Handler> handlers();
  Handler pull_handler();
  Reader reader_of(const Context& context) const;
  /// Sees to it that what ends by itself ends in time. Without the lock.
  void rearm_soon(TimePoint at);
  void rearm(TimePoint at);
  void reap();

  const RendezvousOptions options_;
  World* world_ = nullptr;
  std::weak_ptr<Messenger> messenger_;
  std::shared_ptr<MemoryBudget> budget_;
  Reader self_;
  std::atomic<bool> attached_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopped_{false};
  std::atomic<std::size_t> next_shard_{0};

  mutable Tally tally_;
  mutable std::mutex mutex_;
  Store store_;
  std::unordered_map<const Pull*, std::shared_ptr<Pull>> pulls_;
  std::uint64_t next_pull_ = 0;

  std::atomic<std::int64_t> armed_ns_{INT64_MAX};
  Shard::TimerId timer_ = 0;                 // shard 0 only
  TimePoint timer_at_;                       // shard 0 only
  std::shared_ptr<Engine> timer_keepalive_;  // shard 0 only
};

}  // namespace velo::rendezvous
