// SPDX-License-Identifier: Apache-2.0
// Link: what the messenger knows of one connection: what was agreed on it, who is at the other end,
// which requests of the other end are still running here, and which fire-and-forget sends wait to
// be written. Lives from start() to on_closed().
// Threading: `agreement` and `peer` are set on the connection's shard before the link is published; the rest locks.
#pragma once

#include "call_table.hpp"
#include "hello.hpp"
#include "lanes.hpp"
#include "meters.hpp"

#include <velo/messenger/identity.hpp>
#include <velo/messenger/message_id.hpp>
#include <velo/transport/connection.hpp>
#include <velo/transport/transport.hpp>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace velo::messenger {

class Impl;
class InboundCall;
class ReceiveLog;
class RequestWindow;
class SentLog;

/// The handler names that a peer told us, sorted.
using HandlerNames = std::vector<std::string>;

// why: a request that is still running keeps the link it must be answered on.
class Link final : public transport::ConnectionEvents, public std::enable_shared_from_this<Link> {
 public:
  Link(std::shared_ptr<Impl> impl, transport::ConnectionPtr connection, std::uint64_t serial,
       bool dialed);
  ~Link();

  void on_frame(transport::Connection& connection, const transport::InFrame& frame) override;
  void on_written(transport::Connection& connection) noexcept override;
  void on_closed(transport::Connection& connection, const Error& reason) override;

  transport::Connection& connection() const noexcept { return *connection_; }
  /// As Connection::send(), counted where metrics are published.
  transport::SendResult send(const transport::OutFrame& frame) noexcept {
    const transport::SendResult sent = connection_->send(frame);
    if (const FrameMeter* meter = this->meter()) [[unlikely]] {
      meter->count(frame, sent.admission);
    }
    return sent;
  }
  const FrameMeter* meter() const noexcept { return meter_.load(std::memory_order_acquire); }
  void set_meter(const FrameMeter* meter) noexcept {
    meter_.store(meter, std::memory_order_release);
  }
  std::uint64_t serial() const noexcept { return serial_; }
  bool dialed() const noexcept { return dialed_; }
  std::shared_ptr<Link> self() { return shared_from_this(); }

  Agreement agreement;
  InstanceId peer;  ///< invalid until greeted
  /// Who is at the other end. Any thread; the reference is good as long as the link.
  const ConnectionIdentity& identity() const noexcept {
    return *identity_.load(std::memory_order_acquire);
  }
  /// It greeted, or answered our greeting. Once; on the shard.
  void introduce(const InstanceId& instance, bool proven);
  // Before the greeting of an accepted connection (strangers.cpp).
  /// Before start().
  void become_stranger(std::string source, TimePoint until) {
    source_ = std::move(source);
    until_ns_.store(until.nanoseconds(), std::memory_order_relaxed);
    stranger_.store(true, std::memory_order_relaxed);
  }
  bool stranger() const noexcept { return stranger_.load(std::memory_order_relaxed); }
  /// False: it was none.
  bool end_stranger() noexcept {
    until_ns_.store(INT64_MAX, std::memory_order_relaxed);
    return stranger_.load(std::memory_order_relaxed) &&
           stranger_.exchange(false, std::memory_order_acq_rel);
  }
  const std::string& source() const noexcept { return source_; }
  std::size_t count_stranger_request() noexcept {
    return stranger_requests_.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  /// Something sensible came: it may take its time with the greeting.
  void stranger_made_sense() noexcept { until_ns_.store(INT64_MAX, std::memory_order_relaxed); }
  TimePoint stranger_until() const noexcept {
    return TimePoint(Duration(until_ns_.load(std::memory_order_relaxed)));
  }

  /// Whether requests of this worker may come here: who has proven an id speaks for itself alone.
  bool may_speak_for(WorkerId worker) const noexcept {
    const std::uint64_t only = only_for_.load(std::memory_order_relaxed);
    return only == 0 || only == worker.value();
  }

  /// The proof in the first greeting and our answer to it: the same greeting again costs no
  /// signatures. On the shard.
  std::optional<Binding> heard;
  std::optional<Offer> answered;
  std::atomic<bool> hello_sent{false};
  /// A send waits until the peer told its handlers; all others queue behind it (Peer::asking).
  std::atomic<bool> held{false};
  /// The peer's in the books; changes once, when the other end says who it is.
  std::atomic<Account> account{Ledger::others};
  /// What calls that travel here, in that lane, are marked with.
  std::uint64_t mark(std::uint32_t lane) const noexcept {
    return LinkMark::of(serial_, account.load(std::memory_order_relaxed), lane);
  }
  /// Requests of all lanes arrive in the order of their sending; then there is just the one.
  bool keeps_order() const noexcept { return keeps_order_; }
  /// For a request to this handler; from here on lanes() has it.
  std::uint32_t take_lane(std::string_view handler) noexcept {
    if (keeps_order_) return 0;
    const std::uint32_t lane = lane_of(handler);
    if ((lanes_used_.load(std::memory_order_relaxed) >> lane & 1U) == 0) {
      lanes_used_.fetch_or(1U << lane, std::memory_order_acq_rel);
    }
    return lane;
  }
  /// What the other end lets us send; null where no window was agreed on.
  std::unique_ptr<RequestWindow> window;
  /// The window waits for a connection with room for `_cancel`.
  std::atomic<bool> owes_cancels{false};

  // Of a peer that can be reached in several ways (path_engine.hpp).
  transport::Transport* route = nullptr;  ///< what it was dialled with
  /// Sends that have found this link, and have not come back from it yet.
  std::atomic<std::uint32_t> senders{0};
  std::unique_ptr<SentLog> sent_log;     ///< dialled, and resuming was agreed on
  std::unique_ptr<ReceiveLog> received;  ///< accepted, and so
  /// Whose calls this one carries on; under the lock of PathEngine.
  std::vector<std::weak_ptr<Link>> carries;
  Bytes token;                 ///< the connection's name, known to both ends only
  std::optional<Error> death;  ///< it is closed; on the shard
  bool mourned = false;        ///< and what follows from that was done
  bool told_of = false;        ///< subsystems know that the peer is up; on the shard
  /// Lanes that requests have used here.
  std::vector<std::uint32_t> lanes() const;

  std::shared_ptr<const HandlerNames> handlers() const;
  void set_handlers(std::shared_ptr<const HandlerNames> names);
  /// Unknown names of a peer whose list we do not have count as known.
  bool may_have_handler(std::string_view name) const;

  /// A fire-and-forget frame was accepted up to stream position `end`; its slot ends once that is
  /// written.
  void await_written(std::uint64_t end, MessageId id);

  /// Enters a running request, and holds its memory until let_go(); an error when the connection
  /// has too many, or too much.
  Result<void> enter(InboundCall& call);
  /// The request that was entered is gone, with what it held.
  void let_go(std::size_t bytes) noexcept;
  /// The request ended; false if it was not (any longer) in the table.
  bool leave(InboundCall& call) noexcept;
  /// False: it does not run here.
  bool cancel_inbound(const MessageId& id) noexcept;
  /// Ends calls that are not among these: their requester no longer waits. Fire-and-forget runs on.
  void stop_inbound_but(const std::unordered_set<std::uint64_t>& awaited) noexcept;
  /// Stops requests whose deadline is at or before `now`; returns the earliest later one.
  TimePoint expire_inbound(TimePoint now);
  void stop_all_inbound() noexcept;
  struct Inbound {
    std::uint64_t count = 0;
    Duration oldest{0};  ///< how long ago it came
  };
  /// Requests of applications that run or wait for their turn.
  Inbound inbound(TimePoint now) const;

 private:
  struct WrittenWaiter {
    std::uint64_t end;
    MessageId id;
  };

  void drain_written() noexcept;
  static void abandon(std::vector<InboundCall*> calls) noexcept;
  /// What the request takes of the window that the other end agreed to; 0: nothing.
  std::uint64_t charge_of(const InboundCall& call) const noexcept;

  Impl& impl_;
  std::shared_ptr<Impl> keepalive_;  ///< until on_closed()
  transport::ConnectionPtr connection_;
  const std::uint64_t serial_;
  const bool dialed_;
  const bool keeps_order_;
  std::atomic<std::uint32_t> lanes_used_{1};
  const ConnectionIdentity unintroduced_;
  std::unique_ptr<const ConnectionIdentity> introduced_;
  std::atomic<const ConnectionIdentity*> identity_{&unintroduced_};
  std::atomic<std::uint64_t> only_for_{0};
  std::atomic<const FrameMeter*> meter_{nullptr};
  std::string source_;
  std::atomic<bool> stranger_{false};
  std::atomic<std::int64_t> until_ns_{INT64_MAX};
  std::atomic<std::size_t> stranger_requests_{0};

  std::mutex written_mutex_;
  std::deque<WrittenWaiter> written_waiters_;
  std::atomic<bool> has_written_waiters_{false};

  mutable std::mutex mutex_;
  std::shared_ptr<const HandlerNames> handlers_;
  std::unordered_map<MessageId, InboundCall*> running_;
  /// Of those in the table that will be answered: how many, and their frames' bytes.
  std::uint64_t unanswered_calls_ = 0;
  std::uint64_t unanswered_bytes_ = 0;
  Holding running_memory_;
};

}  // namespace velo::messenger
