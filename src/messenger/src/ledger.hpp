// SPDX-License-Identifier: Apache-2.0
// What a messenger counts of sends and requests: one account a peer, in rows of one thread each, so
// that threads rarely share a cache line. The totals are the sums of the accounts.
// Threading: any thread; a sum read while others count may be a moment old.
#pragma once

#include "incidents.hpp"
#include "latency_samples.hpp"

#include <velo/base/stripe.hpp>
#include <velo/messenger/call.hpp>
#include <velo/messenger/error.hpp>
#include <velo/messenger/fates.hpp>
#include <velo/messenger/limits.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace velo::messenger {

constexpr std::size_t counter_stripes = 16;

/// Which row the calling thread counts in; the last is for all threads without one of their own.
struct CounterStripe {
  std::size_t index;
  bool shared;
};
inline CounterStripe counter_stripe() noexcept {
  constexpr std::size_t last = counter_stripes - 1;
  static_assert(counter_stripes <= stripe_count);
  const std::size_t mine = stripe_of_thread();
  return mine < last ? CounterStripe{mine, false} : CounterStripe{last, true};
}

/// The account of a peer, by its number in the ledger.
using Account = std::uint16_t;

/// How a request ended at the receiver.
enum class ReceivedEnd : std::uint8_t { succeeded = 0, failed = 1, rejected = 2, abandoned = 3 };
constexpr std::size_t received_end_count = 4;
constexpr std::size_t pattern_count = 3;

class Ledger {
 public:
  /// Sends that no connection took.
  static constexpr Account nobody = 0;
  /// Peers without an account of their own, and requests of strangers.
  static constexpr Account others = 1;

  Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  ~Ledger();

  /// The account of that peer, `others` once limits::book_accounts_max are open.
  Account open(const InstanceId& peer);

  void began(Pattern pattern) noexcept {
    const CounterStripe stripe = counter_stripe();
    stripe_add(began_[stripe.index].sent[index(pattern)], stripe.shared, 1);
  }
  /// A connection to the peer took the send.
  void accepted(Account account, Pattern pattern) noexcept {
    const CounterStripe stripe = counter_stripe();
    stripe_add(row(account, stripe).accepted[index(pattern)], stripe.shared, 1);
  }
  void ended(Account account, Pattern pattern, Fate fate) noexcept {
    const CounterStripe stripe = counter_stripe();
    stripe_add(row(account, stripe).ends[index(pattern)][static_cast<std::size_t>(fate)],
               stripe.shared, 1);
  }
  /// As ended(), rejected, and why.
  void rejected(Account account, Pattern pattern, ErrorCode why) noexcept;
  void requested(Account account, Pattern pattern) noexcept {
    const CounterStripe stripe = counter_stripe();
    stripe_add(row(account, stripe).requests[index(pattern)], stripe.shared, 1);
  }
  void request_ended(Account account, ReceivedEnd end) noexcept {
    const CounterStripe stripe = counter_stripe();
    stripe_add(row(account, stripe).request_ends[static_cast<std::size_t>(end)], stripe.shared, 1);
  }
  /// Of what was accepted.
  void may_be_lost(Account account) noexcept {
    const CounterStripe stripe = counter_stripe();
    stripe_add(row(account, stripe).may_be_lost, stripe.shared, 1);
  }
  void connection_closed(Account account) noexcept {
    const CounterStripe stripe = counter_stripe();
    stripe_add(row(account, stripe).closed, stripe.shared, 1);
  }
  // What is_timed().
  LatencySamples call_times;
  LatencySamples request_times;
  Incidents incidents;

  // Rare, so not striped.
  void malformed() noexcept { malformed_.fetch_add(1, std::memory_order_relaxed); }
  void waited_for_slot() noexcept { waited_slot_.fetch_add(1, std::memory_order_relaxed); }
  void waited_for_connection() noexcept {
    waited_connection_.fetch_add(1, std::memory_order_relaxed);
  }

  std::uint64_t malformed_count() const noexcept {
    return malformed_.load(std::memory_order_relaxed);
  }

  /// Without in_flight and running, which the messenger knows.
  Books totals() const;
  /// Likewise; `accounts`, if given, tells which account each is.
  std::vector<PeerBooks> peers(std::vector<Account>* accounts = nullptr) const;

 private:
  using Counter = std::atomic<std::uint64_t>;
  /// One account's counts of one stripe.
  struct alignas(64) Row {
    std::array<Counter, pattern_count> accepted{};
    std::array<std::array<Counter, fate_count>, pattern_count> ends{};
    std::array<Counter, pattern_count> requests{};
    std::array<Counter, received_end_count> request_ends{};
    Counter closed{0};
    Counter may_be_lost{0};
  };
  struct AccountRows {
    std::array<std::atomic<Row*>, counter_stripes> rows{};
  };
  static constexpr std::size_t chunk_accounts = 64;
  static constexpr std::size_t chunk_count = (limits::book_accounts_max + 2) / chunk_accounts;
  using Chunk = std::array<AccountRows, chunk_accounts>;
  struct alignas(64) Began {
    std::array<Counter, pattern_count> sent{};
  };
  static constexpr std::size_t reason_count = 80;

  static constexpr std::size_t index(Pattern pattern) noexcept {
    return static_cast<std::size_t>(pattern);
  }
  Row& row(Account account, const CounterStripe& stripe) noexcept {
    std::atomic<Row*>& place = (*chunks_[account / chunk_accounts].load(
        std::memory_order_acquire))[account % chunk_accounts]
                                   .rows[stripe.index];
    Row* row = place.load(std::memory_order_acquire);
    return row != nullptr ? *row : add_row(place);
  }
  static Row& add_row(std::atomic<Row*>& place) noexcept;
  PeerBooks sum(Account account) const noexcept;

  std::array<std::atomic<Chunk*>, chunk_count> chunks_{};
  std::array<Began, counter_stripes> began_;
  /// By number of the messenger's codes; 0 for those of other rooms.
  std::array<Counter, reason_count> reasons_{};
  Counter malformed_{0};
  Counter waited_slot_{0};
  Counter waited_connection_{0};
  mutable std::mutex mutex_;
  std::vector<InstanceId> owners_;  ///< by account
  std::unordered_map<InstanceId, Account> accounts_;
};

/// Which end a send with this outcome had.
Fate fate_of(Pattern pattern, const std::optional<Error>& error) noexcept;

}  // namespace velo::messenger
