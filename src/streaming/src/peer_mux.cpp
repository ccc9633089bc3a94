// SPDX-License-Identifier: Apache-2.0
// The sending side of a peer's streams, and when batches leave.

#include "peer_mux.hpp"

#include "hub.hpp"

#include <algorithm>
#include <utility>

namespace velo::streaming {
namespace peer_mux_detail {

static Error gone() { return make_error(Errc::channel_closed, "the stream was ended"); }

}  // namespace peer_mux_detail

PeerMux::PeerMux(std::shared_ptr<Hub> hub, const InstanceId& peer, Shard& shard)
    : hub_(std::move(hub)), peer_(peer), shard_(shard), memory_(hub_->memory()) {
  batcher_.restart(hub_->draw());
}

std::shared_ptr<PeerMux> PeerMux::make(std::shared_ptr<Hub> hub, const InstanceId& peer,
                                       Shard& shard) {
  const std::shared_ptr<PeerMux> mux(new PeerMux(std::move(hub), peer, shard));
  mux->self_ = mux;
  mux->alarm_ = std::make_shared<Alarm>(shard, [weak = std::weak_ptr(mux)] {
    if (const auto self = weak.lock()) self->on_alarm();
  });
  return mux;
}

TimePoint PeerMux::now() const noexcept { return hub_->world().clock().now(); }

Result<std::shared_ptr<Sender>> PeerMux::open(const std::shared_ptr<PeerMux>& mux,
                                              const StreamAnchorHandle& handle,
                                              std::uint64_t session, StreamTerms terms,
                                              Duration heartbeat) {
  Outcome outcome;
  std::shared_ptr<Sender> sender;
  {
    const std::lock_guard lock(mux->mutex_);
    if (mux->retired_) return sender;
    const auto slot = mux->egress_.open(handle.lo, session, terms);
    if (!slot) return make_error(Errc::too_many_streams, "too many streams to that peer");
    sender = std::make_shared<Sender>(mux, *slot, handle);
    if (mux->senders_.size() <= slot->index()) mux->senders_.resize(slot->index() + 1);
    mux->senders_[slot->index()] = sender;
    mux->watch_.begin(mux->now(), heartbeat);
    mux->sent(outcome, false);
    mux->settle(outcome);
  }
  mux->publish(outcome);
  return sender;
}

std::optional<Error> PeerMux::refuse_send(const Sender& sender, std::size_t size) {
  if (sender.over_) return sender.over_;
  if (!egress_.is_open(sender.slot())) return peer_mux_detail::gone();
  if (size > limits::item_bytes_max) {
    return make_error(Errc::too_large, std::to_string(size) + " bytes");
  }
  if (egress_.waiting(sender.slot())) return make_error(Errc::busy, "an earlier item waits");
  return std::nullopt;
}

void PeerMux::sent(Outcome& outcome, bool data) {
  const bool waits = data && hub_->options().flush == FlushPolicy::manual && !batcher_.has_full();
  outcome.flush = outcome.flush || !waits;
  outcome.full = outcome.full || batcher_.has_full();
}

Result<void> PeerMux::try_send(Sender& sender, ByteSpan frame) {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    if (auto refused = refuse_send(sender, frame.size())) return std::move(*refused);
    if (!egress_.admits(sender.slot(), frame.size())) {
      ++counts_.without_credit;
      return make_error(Errc::no_credit, "the consumer takes no more just now");
    }
    if (!memory_.add(frame.size(), Lane::requests)) {
      return velo::make_error(velo::Errc::overloaded, "the memory budget is used up");
    }
    egress_.send(sender.slot(), frame);
    ++counts_.frames_out;
    sent(outcome, true);
  }
  leave(outcome);
  return {};
}

Op<void> PeerMux::send(const std::shared_ptr<Sender>& sender, ByteSpan frame) {
  Executor& callbacks = hub_->world().pool();
  std::optional<Error> refused;
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    refused = refuse_send(*sender, frame.size());
    if (!refused && !memory_.add(frame.size(), Lane::requests)) {
      refused = velo::make_error(velo::Errc::overloaded, "the memory budget is used up");
    }
    if (!refused && !egress_.admits(sender->slot(), frame.size())) {
      egress_.wait(sender->slot(), Bytes::copy(frame));
      ++counts_.without_credit;
      ++counts_.waited;
      Promise<void> promise(callbacks);
      promise.on_cancel([sender]() noexcept {
        PeerMux& mux = *sender->mux_;
        std::optional<Promise<void>> waiting;
        bool ends = false;
        {
          const std::lock_guard again(mux.mutex_);
          if (mux.egress_.stop_waiting(sender->slot())) waiting.swap(sender->waiting_);
          ends = waiting && sender->ending_;
        }
        if (ends) mux.schedule_flush();
        if (waiting) waiting->set(velo::make_error(velo::Errc::cancelled, "the send was given up"));
      });
      Op<void> op = promise.op();
      sender->waiting_.emplace(std::move(promise));
      return op;
    }
    if (!refused) {
      egress_.send(sender->slot(), frame);
      ++counts_.frames_out;
      sent(outcome, true);
    }
  }
  if (refused) return Op<void>::ready(callbacks, std::move(*refused));
  leave(outcome);
  return Op<void>::ready(callbacks, {});
}

Op<void> PeerMux::end(Sender& sender, FrameKind kind) {
  Executor& callbacks = hub_->world().pool();
  Promise<void> promise(callbacks);
  Op<void> op = promise.op();
  std::optional<Error> refused;
  {
    const std::lock_guard lock(mutex_);
    if (sender.over_) {
      refused = *sender.over_;
    } else if (!egress_.is_open(sender.slot())) {
      refused = peer_mux_detail::gone();
    } else {
      egress_.end(sender.slot(), encode_ending(kind));
      sender.ending_.emplace(std::move(promise));
    }
  }
  if (refused) {
    // What is refused is not moved from.
    promise.set(std::move(*refused));  // NOLINT(bugprone-use-after-move)
  } else {
    schedule_flush();
  }
  return op;
}

void PeerMux::drop(Sender& sender) noexcept {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    if (sender.over_ || !egress_.is_open(sender.slot())) return;
    if (sender.waiting_) {
      outcome.sends.operations.push_back({std::move(*sender.waiting_), peer_mux_detail::gone()});
      sender.waiting_.reset();
    }
    egress_.cut(sender.slot(), encode_ending(FrameKind::dropped));
    sender.over_ = peer_mux_detail::gone();
    sent(outcome, false);
    settle(outcome);
  }
  publish(outcome);
}

void PeerMux::serve_waiting(Outcome& outcome) {
  for (const Slot slot : egress_.admit_waiting()) {
    Sender& sender = *senders_[slot.index()];
    ++counts_.frames_out;
    if (!sender.waiting_) continue;
    outcome.sends.operations.push_back({std::move(*sender.waiting_), Result<void>()});
    sender.waiting_.reset();
  }
}

void PeerMux::end_sender(Slot slot, const Error& why, Outcome& outcome) {
  std::shared_ptr<Sender>& sender = senders_[slot.index()];
  if (sender == nullptr || sender->slot() != slot) return;
  if (!sender->over_) {
    sender->over_ = why;
    outcome.sends.stops.push_back(sender->stop_);
  }
  for (std::optional<Promise<void>>* operation : {&sender->waiting_, &sender->ending_}) {
    if (!*operation) continue;
    outcome.sends.operations.push_back({std::move(**operation), why});
    operation->reset();
  }
}

// ---- batches

void PeerMux::settle(Outcome& outcome) {
  const std::uint64_t held = ingress_.held_bytes() + batcher_.bytes() + egress_.waiting_bytes();
  if (held > memory_.bytes()) {
    memory_.take(held - memory_.bytes());
  } else {
    memory_.remove(memory_.bytes() - held);
  }
  if (egress_.live() + ingress_.live() == 0) {
    watch_.rest();
    // Whoever died with streams is not kept for the one that never comes again.
    const bool all_left = in_flight_ == 0 && !sending_ && !speak_ && batcher_.empty();
    if (unreachable_ && all_left && !std::exchange(retired_, true)) {
      outcome.over = true;
    }
  }
  outcome.look_at = std::min(outcome.look_at, watch_.next());
  if (ingress_.credit_is_due()) {
    // While too much is unwritten, on_written() looks again.
    outcome.flush = outcome.flush || in_flight_ < limits::batches_in_flight_max;
    outcome.full = outcome.flush;
  } else if (ingress_.has_credit() && !std::exchange(sweep_asked_, true)) {
    outcome.look_at = std::min(outcome.look_at, now() + limits::credit_sweep);
  }
}

void PeerMux::publish(Outcome& outcome) {
  leave(outcome);
  if (outcome.over) {
    Alarm::stop(alarm_);
    hub_->forget(peer_, self_.lock());
  } else if (outcome.look_at != TimePoint::never()) {
    Alarm::at(alarm_, outcome.look_at);
  }
  outcome.sends.publish();
  for (Wake& wake : outcome.wakes) wake();
}

void PeerMux::leave(const Outcome& outcome) {
  // The peer works on the beginning of a burst while its end is being made.
  if (outcome.full && shard_.on_this_thread()) flush_full();
  if (outcome.flush) schedule_flush();
}

void PeerMux::schedule_flush() {
  // Most find it scheduled: a look is cheaper than an exchange.
  if (flush_scheduled_.load(std::memory_order_acquire) ||
      flush_scheduled_.exchange(true, std::memory_order_acq_rel)) {
    return;
  }
  const auto self = self_.lock();
  if (!shard_.on_this_thread()) {
    post(shard_, [self] { self->flush(); });
    return;
  }
  shard_.at_turn_end(Task0{[](void* argument) {
                             const std::unique_ptr<std::shared_ptr<PeerMux>> owned(
                                 static_cast<std::shared_ptr<PeerMux>*>(argument));
                             (*owned)->flush();
                           },
                           new std::shared_ptr<PeerMux>(self)});
}

void PeerMux::flush() {
  flush_scheduled_.store(false, std::memory_order_release);
  Outcome outcome;
  {
    std::unique_lock lock(mutex_);
    if (sending_) {
      send_again_ = true;
      return;
    }
    send_all(lock, false);
    settle(outcome);
  }
  publish(outcome);
}

void PeerMux::flush_full() {
  std::unique_lock lock(mutex_);
  if (!sending_) send_all(lock, true);
}

void PeerMux::send_all(std::unique_lock<std::mutex>& lock, bool full_only) {
  sending_ = true;
  do {
    full_only = full_only && !send_again_;
    send_again_ = false;
    send_batches(lock, full_only);
  } while (send_again_);
  sending_ = false;
}

void PeerMux::send_batches(std::unique_lock<std::mutex>& lock, bool full_only) {
  while (in_flight_ < limits::batches_in_flight_max) {
    if (full_only && !batcher_.has_full() && !ingress_.credit_is_due()) return;
    if (ingress_.has_credit()) {
      ingress_.write_credit();
      sweep_asked_ = false;
    }
    std::optional<Bytes> batch = batcher_.take();
    if (!batch && speak_) batch = batcher_.take_empty();
    if (!batch) return;
    speak_ = false;
    ++counts_.batches_out;
    watch_.said(now());
    const std::uint64_t epoch = batcher_.epoch();
    const Duration patience = watch_.heartbeat() * limits::heartbeats_missed_max;
    lock.unlock();
    const auto self = self_.lock();
    const bool under_way = hub_->send_batch(
        peer_, std::move(*batch), patience, shard_,
        [self, epoch](Result<void> written) { self->on_written(epoch, std::move(written)); });
    lock.lock();
    if (under_way) ++in_flight_;
  }
}

void PeerMux::on_written(std::uint64_t epoch, Result<void> written) {
  Outcome outcome;
  {
    const std::lock_guard lock(mutex_);
    --in_flight_;
    if (!written) unreachable_ = true;
    if (!written && epoch == batcher_.epoch() && !retired_) {
      kill(make_error(Errc::transport_error, written.error().to_string()), true, outcome);
    }
    const bool automatic = hub_->options().flush == FlushPolicy::automatic || unreachable_;
    outcome.flush = outcome.flush || batcher_.has_full() || (!batcher_.empty() && automatic);
    settle(outcome);
  }
  publish(outcome);
}

}  // namespace velo::streaming
