// SPDX-License-Identifier: Apache-2.0
// Delivery, deferral and the end of a pair of inproc connections.

#include "inproc_pair.hpp"

#include <velo/transport/framing.hpp>
#include <velo/transport/limits.hpp>
#include <velo/transport/transport.hpp>

#include <utility>

namespace velo::transport {
namespace inproc_pair_detail {

constexpr int depth_max = 16;
constexpr int drained_per_task_max = 64;

/// The deliveries that the calling thread is inside of, innermost first.
class Nesting {
 public:
  explicit Nesting(const void* direction) noexcept : direction_(direction), outer_(innermost()) {
    innermost() = this;
  }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  ~Nesting() { innermost() = outer_; }

  static bool forbids(const void* direction) noexcept {
    int depth = 0;
    for (const Nesting* at = innermost(); at != nullptr; at = at->outer_) {
      if (at->direction_ == direction || ++depth == depth_max) return true;
    }
    return false;
  }

 private:
  static const Nesting*& innermost() noexcept {
    thread_local const Nesting* top = nullptr;
    return top;
  }

  const void* direction_;
  const Nesting* outer_;
};

static Bytes keep_payload(const OutFrame& frame) {
  return InFrame(frame.type, frame.header, frame.payload, frame.owner).retain_payload();
}

}  // namespace inproc_pair_detail

namespace detail = inproc_pair_detail;

InprocPair::Ends InprocPair::make(Home dialling, Home accepting) {
  const std::shared_ptr<InprocPair> pair(new InprocPair(dialling, accepting));
  Ends ends;
  ends.dialled = ConnectionPtr::adopt(
      new InprocConnection(pair, 0, dialling.shard, std::move(dialling.remote)));
  ends.accepted = ConnectionPtr::adopt(
      new InprocConnection(pair, 1, accepting.shard, std::move(accepting.remote)));
  return ends;
}

void InprocPair::start(std::size_t side, InprocConnection& connection, ConnectionEvents& events) {
  sides_[side].events = &events;
  sides_[side].connection = &connection;
  bool finish_again = false;
  {
    const std::lock_guard lock(mutex_);
    sides_[side].started = true;
    finish_again = sides_[side].finish_ran;
  }
  if (finish_again) return post_finish(side);
  {
    Direction& out = directions_[side];
    const std::lock_guard lock(out.mutex);
    if (!out.dropped) out.word.fetch_and(~closed_bit, std::memory_order_seq_cst);
  }
  Direction& in = directions_[other(side)];
  {
    const std::lock_guard lock(in.mutex);
    in.receiver_started = true;
    if (in.dropped || std::exchange(in.drain_posted, true)) return;
  }
  post_drain(other(side));
}

SendResult InprocPair::send(std::size_t side, const OutFrame& frame) noexcept {
  if (check_lengths(frame.header.size(), frame.payload.size()) != FrameFault::none) {
    return {Admission::too_large, 0};
  }
  Direction& out = directions_[side];
  const std::uint64_t units = (encoded_bytes(frame) + unit_bytes - 1) / unit_bytes;
  if (detail::Nesting::forbids(&out)) return send_deferred(side, frame, units);
  std::uint64_t word = out.word.load(std::memory_order_relaxed);
  do {
    if ((word & closed_bit) != 0) return {Admission::closed, 0};
    const bool crowded = (word & delivery_mask) == delivery_mask;
    if ((word & deferring_bit) != 0 || crowded) return send_deferred(side, frame, units);
  } while (!out.word.compare_exchange_weak(word, word + (units << position_shift) + delivery_one,
                                           std::memory_order_seq_cst, std::memory_order_relaxed));
  deliver(side, InFrame(frame.type, frame.header, frame.payload, frame.owner));
  leave(out);
  return {Admission::accepted, ((word >> position_shift) + units) * unit_bytes};
}

SendResult InprocPair::send_deferred(std::size_t side, const OutFrame& frame,
                                     std::uint64_t units) noexcept {
  Direction& out = directions_[side];
  Deferred deferred{frame.type, units, Bytes::copy(frame.header), detail::keep_payload(frame)};
  bool post = false;
  bool too_slow = false;
  std::uint64_t position = 0;
  {
    const std::lock_guard lock(out.mutex);
    std::uint64_t word = out.word.load(std::memory_order_relaxed);
    do {
      if ((word & closed_bit) != 0) return {Admission::closed, 0};
      position = word >> position_shift;
      const std::uint64_t first = out.first_deferred.load(std::memory_order_relaxed);
      const std::uint64_t waiting = first == nothing_deferred ? 0 : position - first;
      const std::uint64_t bytes = (waiting + units) * unit_bytes;
      if (!out.allowance.admits(bytes, lane_of(frame.type))) {
        if (refusal_blames_peer(frame.type, units * unit_bytes, waiting * unit_bytes)) {
          too_slow = true;
          break;
        }
        return {Admission::over_budget, 0};
      }
    } while (!out.word.compare_exchange_weak(word,
                                             (word + (units << position_shift)) | deferring_bit,
                                             std::memory_order_seq_cst, std::memory_order_relaxed));
    if (!too_slow) {
      if (out.deferred.empty()) out.first_deferred.store(position, std::memory_order_seq_cst);
      out.deferred.push_back(std::move(deferred));
      post = out.receiver_started && !std::exchange(out.drain_posted, true);
    }
  }
  if (too_slow) {
    close(side, make_error(Errc::peer_too_slow, "the receiver does not take its replies"));
    return {Admission::closed, 0};
  }
  if (post) post_drain(side);
  return {Admission::accepted, (position + units) * unit_bytes};
}

void InprocPair::deliver(std::size_t sender, const InFrame& frame) {
  const detail::Nesting nesting(&directions_[sender]);
  Side& from = sides_[sender];
  Side& to = sides_[other(sender)];
  from.events->on_written(*from.connection);
  to.events->on_frame(*to.connection, frame);
}

void InprocPair::post_drain(std::size_t sender) {
  post(*sides_[other(sender)].shard, [self = shared_from_this(), sender] { self->drain(sender); });
}

void InprocPair::drain(std::size_t sender) {
  Direction& out = directions_[sender];
  for (int i = 0; i < detail::drained_per_task_max; ++i) {
    std::optional<Deferred> frame;
    bool close_now = false;
    if (!pop_deferred(out, frame, close_now)) {
      if (close_now) close(sender, make_error(Errc::closed_locally));
      return;
    }
    deliver(sender, InFrame(frame->type, frame->header, frame->payload, &frame->payload));
    leave(out);
  }
  post_drain(sender);
}

/// Takes the next deferred frame and announces its delivery; false when there is none, and sends
/// are direct again.
bool InprocPair::pop_deferred(Direction& direction, std::optional<Deferred>& frame,
                              bool& close_now) {
  const std::lock_guard lock(direction.mutex);
  if (direction.dropped) return false;
  if (direction.deferred.empty()) {
    direction.allowance.settle(0);
    direction.drain_posted = false;
    direction.word.fetch_and(~deferring_bit, std::memory_order_seq_cst);
    close_now = direction.close_when_empty;
    return false;
  }
  frame = std::move(direction.deferred.front());
  direction.deferred.pop_front();
  direction.word.fetch_add(delivery_one, std::memory_order_seq_cst);
  const std::uint64_t first = direction.first_deferred.load(std::memory_order_relaxed);
  direction.first_deferred.store(
      direction.deferred.empty() ? nothing_deferred : first + frame->units,
      std::memory_order_seq_cst);
  return true;
}

void InprocPair::leave(Direction& direction) noexcept {
  const std::uint64_t before = direction.word.fetch_sub(delivery_one, std::memory_order_seq_cst);
  if ((before & closed_bit) != 0 && closing_.load(std::memory_order_seq_cst)) finish_when_quiet();
}

std::uint64_t InprocPair::written(std::size_t side) const noexcept {
  const Direction& out = directions_[side];
  const std::uint64_t position = out.word.load(std::memory_order_seq_cst) >> position_shift;
  const std::uint64_t first = out.first_deferred.load(std::memory_order_seq_cst);
  return (first < position ? first : position) * unit_bytes;
}

std::uint64_t InprocPair::queued(std::size_t side) const noexcept {
  const Direction& out = directions_[side];
  const std::uint64_t first = out.first_deferred.load(std::memory_order_seq_cst);
  const std::uint64_t position = out.word.load(std::memory_order_seq_cst) >> position_shift;
  return first < position ? (position - first) * unit_bytes : 0;
}

void InprocPair::close(std::size_t side, Error reason) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (closing_.load(std::memory_order_relaxed)) return;
    if (!sides_[side].reason) sides_[side].reason = std::move(reason);
    if (!sides_[other(side)].reason) {
      sides_[other(side)].reason = make_error(Errc::connection_lost, "the other side closed");
    }
    for (Direction& direction : directions_) {
      const std::lock_guard drop(direction.mutex);
      direction.dropped = true;
      direction.word.fetch_or(closed_bit, std::memory_order_seq_cst);
      direction.deferred.clear();
      direction.allowance.settle(0);
    }
    closing_.store(true, std::memory_order_seq_cst);
  }
  finish_when_quiet();
}

void InprocPair::close_after_flush(std::size_t side, Error reason, Duration patience) noexcept {
  bool empty = false;
  {
    const std::lock_guard lock(mutex_);
    if (closing_.load(std::memory_order_relaxed) || sides_[side].reason) return;
    sides_[side].reason = reason;
    Direction& out = directions_[side];
    const std::lock_guard flush(out.mutex);
    out.word.fetch_or(closed_bit, std::memory_order_seq_cst);
    out.close_when_empty = true;
    empty = out.deferred.empty();
  }
  if (empty) return close(side, std::move(reason));
  post(*sides_[side].shard, [self = shared_from_this(), side, patience] {
    Side& home = self->sides_[side];
    if (home.patience_timer || self->finishing_.load(std::memory_order_seq_cst)) return;
    const Task0 task{[](void* argument) {
                       auto* late = static_cast<Side*>(argument);
                       late->patience_timer.reset();
                       late->connection->close(make_error(Errc::closed_locally));
                     },
                     &home};
    home.patience_timer = home.shard->start_timer(home.shard->now() + patience, task);
  });
}

void InprocPair::drop(std::size_t side) noexcept {
  close(side, make_error(Errc::closed_locally, "refused"));
}

void InprocPair::finish_when_quiet() noexcept {
  for (const Direction& direction : directions_) {
    if ((direction.word.load(std::memory_order_seq_cst) & delivery_mask) != 0) return;
  }
  if (finishing_.exchange(true, std::memory_order_seq_cst)) return;
  post_finish(0);
  post_finish(1);
}

void InprocPair::post_finish(std::size_t side) {
  post(*sides_[side].shard, [self = shared_from_this(), side] { self->finish(side); });
}

void InprocPair::finish(std::size_t side) {
  Side& home = sides_[side];
  std::optional<Error> reason;
  {
    const std::lock_guard lock(mutex_);
    home.finish_ran = true;
    if (!home.started) return;
    reason = home.reason;
  }
  if (home.patience_timer) home.shard->cancel_timer(*home.patience_timer);
  home.patience_timer.reset();
  home.events->on_closed(*home.connection, *reason);
  home.connection->release();
}

const ConnectionSecurity& InprocConnection::security() const noexcept {
  static const ConnectionSecurity within_this_process = [] {
    ConnectionSecurity security;
    security.is_private = true;
    security.same_host = true;
    return security;
  }();
  return within_this_process;
}

void InprocConnection::start(ConnectionEvents& events) {
  started_ = true;
  retain();  // until the pair has told on_closed: a started connection lives until it is closed
  pair_->start(side_, *this, events);
}

InprocConnection::~InprocConnection() {
  if (!started_) pair_->drop(side_);
}

}  // namespace velo::transport
