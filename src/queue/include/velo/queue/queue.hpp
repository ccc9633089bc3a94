// SPDX-License-Identifier: Apache-2.0
// WorkQueue: items that each one receiver works off. An item that was received is leased: its
// receiver says that it is done (ack), or gives it back (nack); when the lease runs out first, the
// receiver may have died, and the item is delivered again. So every item is delivered at least
// once, never to two receivers whose leases hold, and after `deliveries_max` it is a dead letter.
// The contract of every backend; conformance/ holds them to it.
// Threading: any thread. Ops complete where they were attached.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/dead_letter.hpp>
#include <velo/base/error.hpp>
#include <velo/base/op.hpp>
#include <velo/base/time.hpp>
#include <velo/messenger/headers.hpp>
#include <velo/queue/error.hpp>
#include <velo/queue/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace velo::queue {

/// What happens to an item for which there is no room.
enum class Overflow : std::uint8_t {
  reject,  ///< the send ends as Errc::full
  block,   ///< the send waits for room, as long as SendOptions::timeout
};

struct QueueOptions {
  std::size_t items_max = limits::items_max;
  std::size_t bytes_max = limits::bytes_max;
  Overflow overflow = Overflow::reject;
  /// How long a receiver has before its item is delivered again.
  Duration visibility = std::chrono::seconds(30);
  /// Deliveries of one item; after the last one that is not acknowledged it is a dead letter.
  std::uint32_t deliveries_max = 5;
  /// How long an id is remembered after its item was queued, so that the same is not queued twice.
  Duration remember_ids = std::chrono::minutes(2);
  /// Takes dead letters; outlives the queue. Null: the queue keeps delivering them, as the only
  /// other choice is to lose them.
  std::shared_ptr<DeadLetterSink> dead_letters;

  QueueOptions() = default;
};

struct SendOptions {
  /// One's own name for the item: a second item with it, within QueueOptions::remember_ids, is not
  /// queued, and its send ends well. Empty: the queue makes one.
  std::string id;
  Headers headers;
  Duration delay{0};  ///< not delivered before it is over
  Duration timeout = std::chrono::seconds(30);
  std::stop_token stop;  ///< ends a send that waits for room, as velo::Errc::cancelled

  SendOptions() = default;
};

struct Receipt {
  std::string id;
  bool duplicate = false;  ///< it was queued before, and not again

  friend bool operator==(const Receipt&, const Receipt&) = default;
};

struct ReceiveOptions {
  std::size_t batch = 1;  ///< at most so many; what is there is not waited to become more
  Duration wait = std::chrono::seconds(30);
  Duration visibility{0};  ///< zero: the queue's
  std::stop_token stop;    ///< ends the wait, as velo::Errc::cancelled

  ReceiveOptions() = default;
};

/// Names one delivery of one item.
struct Lease {
  std::uint64_t item = 0;
  std::uint64_t token = 0;

  friend bool operator==(const Lease&, const Lease&) = default;
};

struct Delivery {
  Lease lease;
  std::string id;
  Bytes payload;
  Headers headers;
  std::uint32_t deliveries = 1;  ///< 1: the first
};

/// Counts of one instant, and sums since the queue began: queued = ready + leased + delayed + acked
/// + dead.
struct QueueState {
  std::uint64_t ready = 0;
  std::uint64_t leased = 0;
  std::uint64_t delayed = 0;
  std::uint64_t bytes = 0;
  std::uint64_t queued = 0;
  std::uint64_t acked = 0;
  std::uint64_t dead = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t redelivered = 0;
  std::uint64_t rejected = 0;  ///< sends that ended as full, or waited in vain
  Duration oldest{0};          ///< age of the oldest item that is not settled

  friend bool operator==(const QueueState&, const QueueState&) = default;
};

/// For backends: what every queue refuses of an item, as Errc::too_large or
/// velo::Errc::invalid_argument.
Result<void> check_item(const Bytes& payload, const SendOptions& options);

class WorkQueue {
 public:
  virtual ~WorkQueue() = default;

  /// Ends once the queue has the item. Errors: Errc::full, Errc::closed, Errc::too_large,
  /// velo::Errc::deadline_exceeded (it waited for room), overloaded, invalid_argument; of a backend
  /// elsewhere also what its way there can fail with, when the item may be queued all the same:
  /// send it again under the same id.
  virtual Op<Receipt> send(Bytes payload, SendOptions options = SendOptions()) = 0;

  /// Ends with at least one item, or with none when `wait` is over. Dropping the Op loses no item:
  /// what was on its way is delivered again. Errors: Errc::closed (and nothing is left to receive),
  /// velo::Errc::overloaded.
  virtual Op<std::vector<Delivery>> receive(ReceiveOptions options = ReceiveOptions()) = 0;

  /// The item is done, and gone when this ends well. Errc::lease_lost: it was delivered again, or
  /// settled before.
  virtual Op<void> ack(Lease lease) = 0;
  /// Gives it back, to be delivered again after `delay`; counts as a delivery.
  virtual Op<void> nack(Lease lease, Duration delay = Duration(0)) = 0;
  /// From now on the lease holds for `visibility` (zero: the queue's).
  virtual Op<void> extend(Lease lease, Duration visibility = Duration(0)) = 0;

  virtual Op<QueueState> state() = 0;

  /// Takes no items any longer; those that it has are delivered on. Receivers that wait for more
  /// end as Errc::closed once nothing is left.
  virtual Op<void> close() = 0;
};

}  // namespace velo::queue
