// SPDX-License-Identifier: Apache-2.0
// A send that waits for a call slot (await_capacity). Its Op is already with the caller; once a
// slot is free the real call starts and its reply is handed on. Bounded by
// limits::waiting_sends_max and by its own deadline.
// Threading: claim() decides between capacity, deadline, cancel and shutdown.
#pragma once

#include "call_table.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace velo::messenger {

class WaitingSend final : public ReplyState {
 public:
  WaitingSend(World& world, CallSpec& spec, TimePoint ends_at);

  /// Wins the right to start or to end this send.
  bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }
  bool claimed() const noexcept { return claimed_.load(std::memory_order_acquire); }
  void end(Reply ended) noexcept {
    reply = std::move(ended);
    publish(false);
  }

  /// The consumer's share of the object's life; set when the Op is handed out.
  std::shared_ptr<WaitingSend> consumer;
  CallSpec spec;
  std::string handler;
  const TimePoint deadline;

 private:
  static void on_cancel(OpState& state) noexcept;
  static void on_recycle(OpState& state) noexcept;
  static constexpr Table state_table{&on_cancel, &on_recycle};

  std::atomic<bool> claimed_{false};
};

}  // namespace velo::messenger
