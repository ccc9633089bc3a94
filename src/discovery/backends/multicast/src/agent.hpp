// SPDX-License-Identifier: Apache-2.0
// The shell around the cores of multicast discovery: sockets, the timer, the feeds. It decides
// nothing but when the cores are asked.
// Threading: made anywhere; used on shard 0, except the feeds, `pending`, `closed` and counters().
#pragma once

#include <velo/base/world.hpp>
#include <velo/discovery/backends/multicast.hpp>
#include <velo/discovery/own_rows.hpp>
#include <velo/discovery/peer_feed.hpp>
#include <velo/discovery/service_feed.hpp>

#include "announcer.hpp"
#include "channels.hpp"
#include "questions.hpp"
#include "roster.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace velo::discovery::multicast {

struct AgentParts {
  std::uint64_t cluster = 0;
  std::shared_ptr<const Signing> signing;
  std::shared_ptr<const Trust> trust;
  std::vector<std::byte> chain;  ///< the datagram
};

// why: its timer, its tasks and its users' registrations share it, and outlive each other.
class Agent final : public ChannelOwner, public std::enable_shared_from_this<Agent> {
 public:
  static constexpr PeerTable::Source own = 0;
  static constexpr PeerTable::Source others = 1;

  Agent(World& world, const MulticastOptions& options, AgentParts parts);

  void start(std::vector<std::unique_ptr<Channel>> channels);
  /// Watches and questions end; goodbye follows with the last announcement.
  void close();

  /// The number of the announcement; `said` is called when it was said.
  Result<std::uint64_t> announce(Row row, std::move_only_function<void()> said);
  void withdraw(const Row::Key& key, std::uint64_t number);
  /// One's own, or what was answered, or what was known.
  void look_up(Question question, std::move_only_function<void(Result<PeerInfo>)> done);
  /// After everybody was asked.
  void gather(std::move_only_function<void(Result<void>)> done);

  World& world() const noexcept { return world_; }
  Counters counters() const;

  PeerFeed peers{FeedStart::unknown, 2};
  ServiceFeed services{FeedStart::unknown, 2};
  std::atomic<std::size_t> pending{0};  ///< operations

  void on_datagram(const NetAddress& from, ByteSpan datagram) override;
  void on_batch_end() override;

 private:
  Now now() const noexcept;
  void send(const Datagrams& datagrams);
  void ask(std::vector<Question> questions);
  void digest(RosterOut out);
  void tell(PeerTable::Source source, bool added, const Row& row);
  void tell_everything();
  void flush_soon();
  void flush();
  void wake_up();
  void arm();
  void check_interfaces();
  void use(const std::vector<ChannelPlace>& places);

  World& world_;
  const MulticastOptions options_;
  const AgentParts parts_;
  Announcer announcer_;
  Roster roster_;
  RosterOut heard_;
  Questions questions_;
  using Gathering = std::vector<std::move_only_function<void(Result<void>)>>;
  std::shared_ptr<Gathering> gathering_;  ///< the latest
  TimePoint gathered_at_;
  OwnRows<Row::Key> own_rows_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::vector<std::move_only_function<void()>> said_;
  bool flush_posted_ = false;
  bool closed_ = false;
  bool checking_ = false;
  TimePoint first_list_ = TimePoint::never();  ///< when watches get their snapshot
  TimePoint check_ = TimePoint::never();       ///< of the interfaces
  TimePoint armed_ = TimePoint::never();
  std::optional<Shard::TimerId> timer_;
  std::uint64_t unsent_ = 0;

  mutable std::mutex mutex_;
  Counters shown_;  ///< guarded by mutex_
};

}  // namespace velo::discovery::multicast
