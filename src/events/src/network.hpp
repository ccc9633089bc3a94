// SPDX-License-Identifier: Apache-2.0
// Network: the subsystem of a messenger that carries events to and from other machines: questions
// to owners and their answers, completions to subscribers until they are acknowledged,
// acknowledgements of others', and word of peers. What follows from any of it is decided in Table,
// Remotes, Subscribers and Receipts.
// Threading: any thread; the timer is shard 0's, that of acknowledgements whichever shard's heard.
#pragma once

#include "engine.hpp"
#include "event_messages.hpp"
#include "receipts.hpp"

#include <velo/messenger/messenger.hpp>
#include <velo/messenger/subsystem.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace velo::events {

class Network final : public messenger::Subsystem,
                      public Carrier,
                      // why: sends and timers outlive the messenger's own reference.
                      public std::enable_shared_from_this<Network> {
 public:
  Network(Messenger& messenger, std::shared_ptr<Engine> engine, const EventOptions& options);

  const std::shared_ptr<Engine>& engine() const noexcept { return engine_; }
  std::vector<Handler> handlers();

  // As a subsystem.
  std::string_view name() const noexcept override { return "events"; }
  void on_peer_up(const InstanceId& peer) override;
  void on_peer_down(const InstanceId& peer, const Error& why) override;
  void on_peer_replaced(const InstanceId& peer) override;
  void on_drain() override;
  std::uint64_t unfinished() const noexcept override;
  void on_stop(const Error& reason) override;
  Result<std::shared_ptr<void>> publish_metrics(metrics::Registry& registry) override;

  // As a carrier.
  void ask(const Ask& ask) override;
  void unsubscribe(const EventHandle& event) override;
  void notify(std::vector<Notice> notices) override;
  Op<EventStatus> poll(const EventHandle& event) override;
  Op<void> complete(const EventHandle& event, const Outcome& outcome,
                    const EventCapability& capability) override;
  Op<EventReport> report(WorkerId whom, const EventHandle& event) override;
  std::uint64_t messages() const noexcept override { return messages_.load(); }

 private:
  TimePoint now() const noexcept { return engine_->world().clock().now(); }
  Shard& shard() const noexcept { return engine_->world().shard(0); }
  /// Null after the end.
  std::shared_ptr<Messenger> messenger() const;
  /// The other end does not know a message of our own: it speaks the public protocol only.
  static bool is_public_answer(const Error& error) noexcept;
  bool speaks_public(WorkerId peer) const;
  void note_public(WorkerId peer);

  void answered(const Ask& ask, Result<Bytes> reply);
  void unanswered(const Ask& ask);
  void ask_publicly(const Ask& ask);
  void remote_ended(const EventHandle& event, const Outcome& outcome);
  void send_notice(Messenger& out, const Notice& notice, const Bytes& body);
  void notice_ended(const Notice& notice, const Result<void>& sent);

  /// Its owner is told that this was heard, soon.
  void acknowledge(const EventHandle& event);
  void send_receipts(Messenger& out, std::vector<Receipt> receipts);
  void receipts_due();
  void stop_receipts(Messenger& out);
  void complete_publicly(const EventHandle& event, const Outcome& outcome,
                         std::shared_ptr<Promise<void>> promise);

  // What others send.
  Result<void> on_subscribe(Context& context);
  Result<EventHandle> on_any_completion(Context& context);
  Result<void> on_completion(Context& context);
  Result<void> on_over(Context& context);
  Result<void> on_heard(Context& context);
  Result<void> on_trigger_request(Context& context);
  Result<Bytes> on_watch(Context& context);
  Result<void> on_unwatch(Context& context);
  Result<Bytes> on_complete(Context& context);
  Result<Bytes> on_why(Context& context);
  Result<void> complete_for_another(const EventHandle& event,
                                    const std::optional<std::string>& poisoned,
                                    const EventCapability& capability);

  void arm();
  void set_timer();
  void due();

  const std::shared_ptr<Engine> engine_;
  const bool public_only_;
  const InstanceId self_;

  mutable std::mutex mutex_;
  std::shared_ptr<Messenger> messenger_;
  std::unordered_set<WorkerId> public_peers_;
  bool stopped_ = false;
  TimePoint armed_ = TimePoint::never();
  std::optional<Shard::TimerId> timer_;
  std::shared_ptr<Network> kept_by_timer_;

  mutable std::mutex receipts_mutex_;
  Receipts receipts_;
  Shard* receipts_shard_ = nullptr;  ///< where the timer runs
  Shard::TimerId receipts_timer_ = 0;
  std::shared_ptr<Network> kept_by_receipts_;
  bool receipts_stopped_ = false;

  std::atomic<std::uint64_t> messages_{0};
  std::atomic<std::uint64_t> under_way_{0};  ///< what a drain waits for
};

}  // namespace velo::events
