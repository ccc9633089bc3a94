// SPDX-License-Identifier: Apache-2.0
// Sends that wait for a call slot.

#include "waiting_send.hpp"

#include "impl.hpp"
#include "no_room.hpp"
#include "tracer.hpp"

namespace velo::messenger {

WaitingSend::WaitingSend(World& world, CallSpec& from, TimePoint ends_at)
    : ReplyState(state_table),
      spec(from),
      handler(from.handler),
      deadline(ends_at),
      began(ends_at + -from.timeout) {
  spec.handler = handler;
  spec.stop = stop_.get_token();
  spec.await_capacity = false;
  reset(world.pool());
}

void WaitingSend::cancel_send() noexcept {
  if (!claim()) return void(stop_.request_stop());
  const std::shared_ptr<WaitingSend> alive = consumer;
  end_unsent(Fate::cancelled, make_error(Errc::cancelled));
}

void WaitingSend::end_unsent(Fate fate, Error error) noexcept {
  Ledger& ledger = spec.impl->calls().ledger();
  if (!spec.system && fate == Fate::rejected) {
    ledger.rejected(Ledger::nobody, spec.pattern, error.code());
  } else if (!spec.system) {
    ledger.ended(Ledger::nobody, spec.pattern, fate);
  }
  error.mark_without_effect();
  if (spec.span != nullptr) [[unlikely]]
    spec.span->end(&error);
  Reply ended;
  ended.fate = fate;
  ended.error = std::move(error);
  end(std::move(ended));
}

void WaitingSend::starts_in(CallSlot& slot) noexcept {
  generation_ = slot.id().generation();
  slot_.store(&slot, std::memory_order_release);
}

SendStatus WaitingSend::status() const noexcept {
  if (done()) return status_of(reply);
  const CallSlot* slot = slot_.load(std::memory_order_acquire);
  if (slot == nullptr || slot->live_generation() != generation_) return SendStatus();
  const SendStatus status = slot->status();
  // The slot may be another call's by now; then this one has ended and its reply is on its way.
  return slot->live_generation() == generation_ ? status : SendStatus();
}

void WaitingSend::on_cancel(OpState& state) noexcept {
  auto& self = static_cast<WaitingSend&>(state);
  // Fire is only forgotten.
  if (self.spec.pattern != Pattern::fire) self.cancel_send();
}

void WaitingSend::on_recycle(OpState& state) noexcept {
  // The last use of the object: moving the reference out first keeps it whole until the end of this
  // function.
  const std::shared_ptr<WaitingSend> last = std::move(static_cast<WaitingSend&>(state).consumer);
}

OpState& Impl::wait_for_capacity(CallSpec& spec) {
  const TimePoint deadline = world_.clock().now() + spec.timeout;
  std::stop_token stop = spec.stop;
  Charge charge = Charge::try_take(
      memory_, sizeof(WaitingSend) + spec.handler.size() + spec.payload.size(), Lane::requests);
  if (!charge) return refuse(spec, no_room(*memory_, 0, "a send that waits for a call slot"));
  auto waiting = std::make_shared<WaitingSend>(world_, spec, deadline);
  waiting->charge = std::move(charge);
  {
    const std::lock_guard lock(waiting_mutex_);
    if (waiting_.size() >= limits::waiting_sends_max) {
      std::erase_if(waiting_, [](const auto& send) { return send->claimed(); });
    }
    if (waiting_.size() >= limits::waiting_sends_max) {
      return refuse(spec, make_error(Errc::too_many_calls, "the list of waiting sends is full"));
    }
    waiting->consumer = waiting;
    waiting_.push_back(waiting);
    calls_->set_waiting(true);
  }
  if (!spec.system) calls_->ledger().waited_for_slot();
  if (stop.stop_possible()) waiting->watch_stop(std::move(stop));
  note_deadline(deadline);
  // A slot may have become free before the list said that somebody waits.
  on_capacity();
  return *waiting;
}

void Impl::on_capacity() noexcept {
  world_.shard(0).post(Task0{[](void* argument) {
                               const std::unique_ptr<std::shared_ptr<Impl>> impl(
                                   static_cast<std::shared_ptr<Impl>*>(argument));
                               (*impl)->run_waiting();
                             },
                             new std::shared_ptr<Impl>(shared_from_this())});
}

void Impl::run_waiting() {
  for (;;) {
    std::shared_ptr<WaitingSend> next;
    const TimePoint now = world_.clock().now();
    CallSlot* slot = nullptr;
    {
      const std::lock_guard lock(waiting_mutex_);
      while (!waiting_.empty() && waiting_.front()->claimed()) waiting_.pop_front();
      if (waiting_.empty()) return calls_->set_waiting(false);
      const WaitingSend& front = *waiting_.front();
      slot = calls_->allocate(
          {front.spec.pattern, front.spec.system, front.deadline, front.began, &front.spec.span});
      if (slot == nullptr) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (!next->claim()) {
      // Cancelled meanwhile, and counted there: the slot goes back unused.
      slot->system = true;
      end_call(slot->id(), make_error(Errc::cancelled), false);
      slot->release_consumer();
      continue;
    }
    next->charge = Charge();
    next->spec.timeout = next->deadline - now;
    start_claimed(std::move(next), *slot);
  }
}

OpState& Impl::start_apart(CallSpec& spec, CallSlot& slot, TimePoint deadline) {
  std::stop_token stop = spec.stop;
  auto send = std::make_shared<WaitingSend>(world_, spec, deadline);
  send->consumer = send;
  (void)send->claim();
  if (stop.stop_possible()) send->watch_stop(std::move(stop));
  WaitingSend& started = *send;
  start_claimed(std::move(send), slot);
  return started;
}

void Impl::start_claimed(std::shared_ptr<WaitingSend> send, CallSlot& slot) {
  note_deadline(send->deadline);
  send->starts_in(slot);
  Op<Reply> call(begin(send->spec, slot),
                 [](OpState& state) -> Result<Reply> { return take_reply(state); });
  std::move(call).then(world_.shard(0), [send = std::move(send)](Result<Reply> reply) {
    send->end(std::move(*reply));
  });
}

}  // namespace velo::messenger
