// SPDX-License-Identifier: Apache-2.0
// A send that may wait for a call slot (await_capacity). Its Op is already with the caller; once a
// slot is free the real call starts and its reply is handed on, so that the slot is free again when
// the call ended, whether or not its caller has looked at the reply. Bounded by
// limits::waiting_sends_max and by its own deadline.
// Threading: claim() decides between capacity, deadline, cancel and shutdown.
#pragma once

#include "call_table.hpp"

#include <velo/base/budget.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace velo::messenger {

class WaitingSend final : public ReplyState {
 public:
  WaitingSend(World& world, CallSpec& spec, TimePoint ends_at);

  /// The caller's token is heeded from here on; may end the send at once.
  void watch_stop(std::stop_token token) { caller_stop_.emplace(std::move(token), Cancel{this}); }
  /// Wins the right to start or to end this send.
  bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }
  static bool is_waiting(const OpState& state) noexcept { return state.kind() == &state_table; }
  bool claimed() const noexcept { return claimed_.load(std::memory_order_acquire); }
  /// The call runs in `slot` from here on. Only after claim() succeeded.
  void starts_in(CallSlot& slot) noexcept;
  SendStatus status() const noexcept;
  /// Ends what never got a slot, and counts it. Only after claim() succeeded.
  void end_unsent(Fate fate, Error error) noexcept;
  void end(Reply ended) noexcept {
    reply = std::move(ended);
    publish(false);
  }

  /// The consumer's share of the object's life; set when the Op is handed out.
  std::shared_ptr<WaitingSend> consumer;
  CallSpec spec;
  std::string handler;
  const TimePoint deadline;
  const TimePoint began;
  Charge charge;  ///< while it waits

 private:
  struct Cancel {
    WaitingSend* send;
    void operator()() const noexcept { send->cancel_send(); }
  };
  /// Ends it while it waits; once it has its slot, stops the call.
  void cancel_send() noexcept;
  static void on_cancel(OpState& state) noexcept;
  static void on_recycle(OpState& state) noexcept;
  static constexpr Table state_table{&on_cancel, &on_recycle};

  std::atomic<bool> claimed_{false};
  std::atomic<const CallSlot*> slot_{nullptr};
  std::uint64_t generation_ = 0;
  std::stop_source stop_;
  std::optional<std::stop_callback<Cancel>> caller_stop_;
};

}  // namespace velo::messenger
