// SPDX-License-Identifier: Apache-2.0
// RequestWindow: how much of the other end's window is left for our requests on one connection, and
// those that wait until enough of it is. A request takes its charge before it is sent; whoever ends
// its call gives the charge back. The shard keeps a small share to itself, so that calls made and
// answered there need no locked instruction.
// Threading: any thread, except where it says shard.
#pragma once

#include "peer.hpp"

#include <velo/base/executor.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

namespace velo::messenger {

class RequestWindow {
 public:
  RequestWindow(const Executor& shard, std::shared_ptr<MemoryBudget> memory) noexcept
      : shard_(shard), held_memory_(std::move(memory)) {}

  /// Once, on the shard, before the link is published.
  void open(std::uint64_t calls, std::uint64_t bytes) noexcept;

  /// What a request of this size takes: one call, and never more bytes than there are in all.
  std::uint64_t charge_of(std::size_t frame_bytes) const noexcept {
    return frame_bytes < bytes_ ? frame_bytes : bytes_;
  }
  bool take(std::uint64_t charge) noexcept {
    return Executor::current() == &shard_ ? take_here(charge) : take_shared(charge);
  }
  void give(std::uint64_t charge) noexcept {
    Executor::current() == &shard_ ? give_here(charge) : give_shared(1, charge);
  }

  /// Whether requests wait, so that newer ones have to queue behind them.
  bool holds() const noexcept { return holds_.load(std::memory_order_seq_cst); }
  enum class Held : std::uint8_t { first, behind_others, full, over_budget, closed };
  /// Queues; after `first` the caller sees to it that the shard looks at the queue.
  Held hold(PendingSend send);
  std::uint64_t held_bytes();
  /// The oldest that waits; none: newer ones need not queue any longer. Shard.
  std::optional<PendingSend> pop();
  /// It does not fit yet. Shard.
  void put_back(PendingSend send);
  /// All that waits; it goes another way.
  std::deque<PendingSend> take_all();
  /// The connection is closed: nothing is held any longer.
  std::deque<PendingSend> close();
  /// Shard: one loop at a time goes through the queue.
  bool pumping = false;

  /// A call that ended before its answer, whose `_cancel` the full connection did not take: until
  /// it does, the other end counts the request.
  struct Owed {
    MessageId id;
    std::uint64_t charge;
    std::uint32_t lane;
  };
  void owe(const Owed& owed);
  std::vector<Owed> take_owed();

  /// What is left for new requests; exact when nothing moves.
  struct Left {
    std::uint64_t calls;
    std::uint64_t bytes;
  };
  Left left() const noexcept;
  std::size_t held() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }

 private:
  static constexpr unsigned calls_shift = 40;
  static constexpr std::uint64_t bytes_mask = (std::uint64_t{1} << calls_shift) - 1;
  static constexpr std::uint64_t calls_max = std::uint64_t{1} << 22;
  static std::uint64_t pack(std::uint64_t calls, std::uint64_t bytes) noexcept {
    return calls << calls_shift | bytes;
  }

  bool take_here(std::uint64_t charge) noexcept {
    if (own_calls_ == 0 || own_bytes_ < charge) refill(charge);
    if (own_calls_ == 0 || own_bytes_ < charge) return false;
    --own_calls_;
    own_bytes_ -= charge;
    return true;
  }
  void give_here(std::uint64_t charge) noexcept {
    ++own_calls_;
    own_bytes_ += charge;
    if (own_calls_ > 2 * share_calls_ || own_bytes_ > 2 * share_bytes_) spill();
  }
  bool take_shared(std::uint64_t charge) noexcept;
  void give_shared(std::uint64_t calls, std::uint64_t bytes) noexcept {
    free_.fetch_add(pack(calls, bytes), std::memory_order_seq_cst);
  }
  void refill(std::uint64_t charge) noexcept;
  void spill() noexcept;

  const Executor& shard_;
  std::uint64_t bytes_ = 0;
  // The shard's own share.
  std::uint64_t own_calls_ = 0;
  std::uint64_t own_bytes_ = 0;
  std::uint64_t share_calls_ = 0;
  std::uint64_t share_bytes_ = 0;
  std::atomic<std::uint64_t> free_{0};
  std::atomic<bool> holds_{false};

  mutable std::mutex mutex_;
  std::deque<PendingSend> held_;
  Holding held_memory_;
  std::vector<Owed> owed_;
  bool closed_ = false;
};

}  // namespace velo::messenger
