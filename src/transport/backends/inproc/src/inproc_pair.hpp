// SPDX-License-Identifier: Apache-2.0
// Two connected inproc connections. A frame is delivered inside send(), on the sender's thread,
// unless that would nest too deep, enter the same direction again on one thread, or overtake frames
// that were deferred; those wait for the receiver's shard, in order.
//
// Each direction has one word: [position in units of 64 bytes : 52][deliveries in progress :
// 10][deferring][closed]. A direct send takes its position and announces its delivery in one step,
// so that positions and `deferring` agree. A frame counts as a whole number of units. The end of a
// pair waits until no delivery is in progress in either direction; that is what keeps the
// connections alive under a delivery, and on_closed after the last event.
// Threading: any thread, except where a shard is named.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/base/bytes.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/connection.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace velo::transport {

class InprocConnection;

// why: deliveries and deferred frames keep the pair until they are over.
class InprocPair : public std::enable_shared_from_this<InprocPair> {
 public:
  struct Ends {
    ConnectionPtr dialled;
    ConnectionPtr accepted;
  };
  /// What one end is made of; frames that wait to be delivered are charged to the sender's budget.
  struct Home {
    Shard& shard;
    std::string remote;
    std::shared_ptr<MemoryBudget> budget;
  };
  static Ends make(Home dialling, Home accepting);

  void start(std::size_t side, InprocConnection& connection, ConnectionEvents& events);
  SendResult send(std::size_t side, const OutFrame& frame) noexcept;
  std::uint64_t written(std::size_t side) const noexcept;
  std::uint64_t queued(std::size_t side) const noexcept;
  void close(std::size_t side, Error reason) noexcept;
  void close_after_flush(std::size_t side, Error reason, Duration patience) noexcept;
  /// A connection that was never started went away.
  void drop(std::size_t side) noexcept;

 private:
  static constexpr std::uint64_t closed_bit = 1;
  static constexpr std::uint64_t deferring_bit = 2;
  static constexpr std::uint64_t delivery_one = 4;
  static constexpr std::uint64_t delivery_mask = 0x3ffULL << 2;
  static constexpr unsigned position_shift = 12;
  static constexpr std::uint64_t unit_bytes = 64;
  static constexpr std::uint64_t nothing_deferred = UINT64_MAX;

  struct Deferred {
    FrameType type;
    std::uint64_t units;
    Bytes header;
    Bytes payload;
  };

  /// Frames of one side to the other.
  struct Direction {
    explicit Direction(std::shared_ptr<MemoryBudget> budget) noexcept
        : allowance(std::move(budget)) {}
    std::atomic<std::uint64_t> word{closed_bit | deferring_bit};
    std::atomic<std::uint64_t> first_deferred{nothing_deferred};  ///< its position, in units
    std::mutex mutex;
    // Guarded by mutex.
    std::deque<Deferred> deferred;
    Allowance allowance;  ///< for what is deferred
    bool receiver_started = false;
    bool drain_posted = false;
    bool close_when_empty = false;
    bool dropped = false;  ///< closed for good: nothing may be delivered any more
  };

  struct Side {
    explicit Side(Shard& home) noexcept : shard(&home) {}
    Shard* shard;
    ConnectionEvents* events = nullptr;
    InprocConnection* connection = nullptr;
    std::optional<Shard::TimerId> patience_timer;  ///< the shard's
    // Guarded by mutex_.
    std::optional<Error> reason;
    bool started = false;
    bool finish_ran = false;
  };

  InprocPair(const Home& dialling, const Home& accepting)
      : directions_{Direction(dialling.budget), Direction(accepting.budget)},
        sides_{Side(dialling.shard), Side(accepting.shard)} {}

  static std::size_t other(std::size_t side) noexcept { return 1 - side; }
  SendResult send_deferred(std::size_t side, const OutFrame& frame, std::uint64_t units) noexcept;
  void deliver(std::size_t sender, const InFrame& frame);
  void post_drain(std::size_t sender);
  void drain(std::size_t sender);
  bool pop_deferred(Direction& direction, std::optional<Deferred>& frame, bool& close_now);
  void leave(Direction& direction) noexcept;
  void finish_when_quiet() noexcept;
  void post_finish(std::size_t side);
  void finish(std::size_t side);

  std::array<Direction, 2> directions_;  ///< by sender
  std::array<Side, 2> sides_;
  std::mutex mutex_;
  std::atomic<bool> closing_{false};
  std::atomic<bool> finishing_{false};
};

class InprocConnection final : public Connection {
 public:
  InprocConnection(std::shared_ptr<InprocPair> pair, std::size_t side, Shard& shard,
                   std::string remote)
      : pair_(std::move(pair)), side_(side), shard_(shard), remote_(std::move(remote)) {}

  InprocConnection(const InprocConnection&) = delete;
  InprocConnection& operator=(const InprocConnection&) = delete;
  ~InprocConnection() override;

  void start(ConnectionEvents& events) override;
  SendResult send(const OutFrame& frame) noexcept override { return pair_->send(side_, frame); }
  std::uint64_t written() const noexcept override { return pair_->written(side_); }
  std::uint64_t queued() const noexcept override { return pair_->queued(side_); }
  void close(Error reason) noexcept override { pair_->close(side_, std::move(reason)); }
  void close_after_flush(Error reason, Duration patience) noexcept override {
    pair_->close_after_flush(side_, std::move(reason), patience);
  }
  Shard& shard() noexcept override { return shard_; }
  const ConnectionSecurity& security() const noexcept override;
  std::string_view transport_key() const noexcept override { return "inproc"; }
  std::string remote() const override { return remote_; }

 private:
  const std::shared_ptr<InprocPair> pair_;
  const std::size_t side_;
  Shard& shard_;
  const std::string remote_;
  bool started_ = false;
};

}  // namespace velo::transport
