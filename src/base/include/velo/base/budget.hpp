// SPDX-License-Identifier: Apache-2.0
// The memory that a node may hold for others: every queued byte is charged to its MemoryBudget by
// whoever holds it; not an allocator, it counts and says no in time. A holder that serves one peer
// (a connection's queue, the sends that wait for a peer) counts through an Allowance, which asks in
// chunks, so that a frame costs a comparison; a single block is counted by a Charge. A holder may
// grow to a quarter of what is free to it, its own part included: one slow peer gets a quarter of
// the budget, n get 1/(n + 3) each, and something is left for everybody else.
// Threading: MemoryBudget and Allowance: any thread. Charge and Holding belong to one thread at a time.
#pragma once

#include <velo/base/limits.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace velo {

/// What is charged: requests leave the last sixteenth of every budget to what answers them.
enum class Lane : std::uint8_t {
  requests,
  replies,  ///< replies, acknowledgements, control
};

/// What a node holds just now, as it reports it.
struct MemoryUse {
  std::size_t used = 0;
  std::size_t bytes_max = 0;
  std::size_t peer_bytes_max = 0;
  std::uint64_t refused = 0;  ///< how often something was refused for lack of it

  MemoryUse() = default;
};

class MemoryBudget {
 public:
  /// `bytes_max` is raised to limits::memory_budget_bytes_min. `peer_bytes_max` is what one holder
  /// may have at most; 0 stands for limits::peer_memory_bytes_default, and it is at most a quarter.
  explicit MemoryBudget(std::size_t bytes_max = limits::memory_budget_bytes_default,
                        std::size_t peer_bytes_max = 0) noexcept;
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// False, and nothing taken, when it does not fit.
  bool try_take(std::size_t bytes, Lane lane) noexcept;
  /// For what is held already: may go over the limit, and then nothing else fits until it is back.
  void take(std::size_t bytes) noexcept { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void give_back(std::size_t bytes) noexcept { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  /// What a holder that has `charged` bytes may have in all.
  std::size_t share(Lane lane, std::size_t charged) const noexcept;

  std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  std::size_t bytes_max() const noexcept { return bytes_max_; }
  std::size_t peer_bytes_max() const noexcept { return peer_bytes_max_; }
  /// The same for requests only.
  std::size_t peer_request_bytes_max() const noexcept { return peer_bytes_max_ / 16 * 15; }
  std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  /// Whoever asks for a share counts what it refused for it.
  void count_refused() noexcept { refused_.fetch_add(1, std::memory_order_relaxed); }
  MemoryUse use() const noexcept;

 private:
  std::size_t limit(Lane lane) const noexcept {
    return lane == Lane::requests ? bytes_max_ / 16 * 15 : bytes_max_;
  }

  const std::size_t bytes_max_;
  const std::size_t peer_bytes_max_;
  alignas(64) std::atomic<std::size_t> used_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// Bytes taken from a budget until this is destroyed. Keeps the budget alive.
class Charge {
 public:
  Charge() noexcept = default;
  Charge(Charge&& other) noexcept
      : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (bytes_ != 0) budget_->give_back(bytes_);
  }

  /// One holder's whole need at once; empty, and counted as refused, when that is more than its
  /// share.
  static Charge try_take(const std::shared_ptr<MemoryBudget>& budget, std::size_t bytes,
                         Lane lane) noexcept;
  /// The same for what the application itself lays in: as much of the budget as is free.
  static Charge try_take_of_all(const std::shared_ptr<MemoryBudget>& budget, std::size_t bytes,
                                Lane lane) noexcept;
  /// What is held already; may go over the limit.
  static Charge take(const std::shared_ptr<MemoryBudget>& budget, std::size_t bytes) noexcept;

  explicit operator bool() const noexcept { return bytes_ != 0; }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  Charge(std::shared_ptr<MemoryBudget> budget, std::size_t bytes) noexcept
      : budget_(std::move(budget)), bytes_(bytes) {}

  std::shared_ptr<MemoryBudget> budget_;
  std::size_t bytes_ = 0;
};

/// What one holder may have without asking: limits::uncharged_bytes, and what it was granted
/// beyond. The holder counts its bytes itself.
class Allowance {
 public:
  explicit Allowance(std::shared_ptr<MemoryBudget> budget) noexcept;
  Allowance(const Allowance&) = delete;
  Allowance& operator=(const Allowance&) = delete;
  ~Allowance();

  /// Whether the holder may have `bytes` in all; asks the budget only when they are more than it
  /// was granted before. A refusal is counted.
  bool admits(std::uint64_t bytes, Lane lane) noexcept {
    const std::uint64_t granted = granted_.load(std::memory_order_relaxed);
    const std::uint64_t most =
        lane == Lane::requests && granted > requests_max_ ? requests_max_ : granted;
    return bytes <= most || grow(bytes, lane);
  }

  /// Whether settle() has something to do for a holder that has `held`.
  bool unsettled(std::uint64_t held) const noexcept {
    const std::uint64_t granted = granted_.load(std::memory_order_relaxed);
    return granted != limits::uncharged_bytes || held > granted;
  }
  /// The holder has `held` bytes: gives back what is far more, takes what is missing.
  void settle(std::uint64_t held) noexcept;

  /// How far admits() would go just now.
  std::uint64_t reach(Lane lane) const noexcept;
  const MemoryBudget& budget() const noexcept { return *budget_; }

 private:
  bool grow(std::uint64_t bytes, Lane lane) noexcept;

  const std::shared_ptr<MemoryBudget> budget_;
  const std::uint64_t requests_max_;
  /// limits::uncharged_bytes, and what was taken from the budget.
  std::atomic<std::uint64_t> granted_{limits::uncharged_bytes};
};

/// A holder that counts its bytes here, under whatever guards the holder.
class Holding {
 public:
  explicit Holding(std::shared_ptr<MemoryBudget> budget) noexcept : allowance_(std::move(budget)) {}

  std::uint64_t bytes() const noexcept { return bytes_; }
  /// False, and nothing added, when there is no room.
  bool add(std::uint64_t bytes, Lane lane) noexcept {
    if (!allowance_.admits(bytes_ + bytes, lane)) return false;
    bytes_ += bytes;
    return true;
  }
  /// What is held already.
  void take(std::uint64_t bytes) noexcept {
    bytes_ += bytes;
    if (allowance_.unsettled(bytes_)) allowance_.settle(bytes_);
  }
  void remove(std::uint64_t bytes) noexcept {
    bytes_ -= bytes;
    if (allowance_.unsettled(bytes_)) allowance_.settle(bytes_);
  }
  void clear() noexcept { remove(bytes_); }

 private:
  std::uint64_t bytes_ = 0;
  Allowance allowance_;
};

}  // namespace velo
