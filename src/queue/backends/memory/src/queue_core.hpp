// SPDX-License-Identifier: Apache-2.0
// QueueCore: the items of one queue: which is ready, leased, delayed or dead, and until when.
// Values in, values out: no time of its own, no waiting.
// Threading: one thread at a time.
#pragma once

#include <velo/queue/queue.hpp>

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace velo::queue {

class QueueCore {
 public:
  /// `first` is the number of the first item, `secret` what leases are made from: random, so that
  /// what is left of an earlier queue of the same name fits none of this one's items.
  QueueCore(const QueueOptions& options, std::uint64_t first, std::uint64_t secret);

  /// Errc::full when there is no room; the caller decides who waits. Otherwise as
  /// WorkQueue::send().
  Result<Receipt> send(TimePoint now, Bytes payload, const SendOptions& options);
  /// Ready items, leased from now on; empty if there are none.
  std::vector<Delivery> receive(TimePoint now, const ReceiveOptions& options);
  Result<void> ack(TimePoint now, Lease lease);
  Result<void> nack(TimePoint now, Lease lease, Duration delay);
  Result<void> extend(TimePoint now, Lease lease, Duration visibility);

  /// Leases that ran out and delays that are over: their items are ready again, or dead.
  void expire(TimePoint now);
  /// When expire() has something to do next; never() if nothing does.
  TimePoint next_change() const noexcept;

  /// Items that were delivered too often, each once; they stay here until buried() or spared().
  std::vector<std::pair<std::uint64_t, DeadLetter>> take_dead(const std::string& source,
                                                              WallTime wall);
  void buried(std::uint64_t item);
  /// Its sink did not take it: offered again at `until`.
  void spared(std::uint64_t item, TimePoint until);

  void close() noexcept { closed_ = true; }
  bool closed() const noexcept { return closed_; }
  /// Nothing is ready, leased or delayed.
  bool empty() const noexcept { return items_.empty(); }
  bool has_ready() const noexcept { return !ready_.empty(); }
  QueueState state(TimePoint now) const;
  void count_rejected() noexcept { ++counts_.rejected; }

 private:
  enum class Where : std::uint8_t { ready, leased, delayed, dying };
  struct Stored {
    std::string id;
    Bytes payload;
    Headers headers;
    std::uint32_t deliveries = 0;
    std::uint64_t token = 0;
    Where where = Where::ready;
    TimePoint until;
    TimePoint since;
    std::string reason;

    std::size_t bytes() const noexcept;
  };
  using Items = std::unordered_map<std::uint64_t, Stored>;

  bool is_known(TimePoint now, const std::string& id);
  void remember(TimePoint now, const std::string& id);
  Stored* leased(Lease lease) noexcept;
  void wait_until(std::uint64_t item, Stored& stored, Where where, TimePoint until);
  void stop_waiting(std::uint64_t item, Stored& stored) noexcept;
  /// Delivered without being settled: ready again after `delay`, or dying.
  void give_back(TimePoint now, std::uint64_t item, Stored& stored, Duration delay,
                 std::string reason);
  void remove(std::uint64_t item);

  const QueueOptions options_;
  std::uint64_t next_item_;
  std::uint64_t secret_;
  bool closed_ = false;
  Items items_;
  std::set<std::uint64_t> ready_;
  std::set<std::pair<TimePoint, std::uint64_t>> timed_;
  std::set<std::uint64_t> dying_;
  std::unordered_map<std::string, TimePoint> known_;
  std::deque<std::pair<TimePoint, std::string>> known_order_;
  std::set<std::pair<TimePoint, std::uint64_t>> ages_;
  std::size_t bytes_ = 0;
  QueueState counts_;
};

}  // namespace velo::queue
