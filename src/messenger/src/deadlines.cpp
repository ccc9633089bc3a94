// SPDX-License-Identifier: Apache-2.0
// Deadlines by sweep: a call only lowers one atomic instant; a single timer, set to the earliest
// deadline, looks through the live calls when it fires. Nothing is linked or unlinked per call
// (docs/decisions: deadlines by sweep).

#include "impl.hpp"
#include "waiting_send.hpp"

#include <velo/base/planted.hpp>

namespace velo::messenger {

void Impl::note_deadline(TimePoint deadline) {
  const std::int64_t wanted = deadline.nanoseconds();
  std::int64_t current = next_deadline_ns_.load(std::memory_order_seq_cst);
  while (wanted < current) {
    if (next_deadline_ns_.compare_exchange_weak(current, wanted, std::memory_order_seq_cst)) {
      if (Executor::current() == &shard(0)) return rearm(deadline);
      post(shard(0), [impl = shared_from_this(), deadline] { impl->rearm(deadline); });
      return;
    }
  }
}

void Impl::rearm(TimePoint at) {
  if (stopped_.load(std::memory_order_acquire) || at.nanoseconds() >= sweep_timer_at_ns_) return;
  if (sweep_keepalive_ != nullptr && !shard(0).cancel_timer(sweep_timer_)) return;
  sweep_keepalive_ = shared_from_this();
  sweep_timer_at_ns_ = at.nanoseconds();
  sweep_timer_ = shard(0).start_timer(
      at, Task0{[](void* argument) { static_cast<Impl*>(argument)->sweep(); }, this});
}

void Impl::sweep() {
  const std::shared_ptr<Impl> alive = std::move(sweep_keepalive_);
  sweep_keepalive_ = nullptr;
  sweep_timer_at_ns_ = INT64_MAX;
  // From here on, a new call with any deadline arms the timer itself; see CallTable::allocate.
  next_deadline_ns_.store(INT64_MAX, std::memory_order_seq_cst);
  const TimePoint now = shard(0).now();
  TimePoint next = TimePoint::never();
  calls_->for_each_live([&](CallSlot& slot, std::uint64_t generation) {
    const TimePoint deadline(Duration(slot.deadline_ns.load(std::memory_order_relaxed)));
    if (deadline > now) {
      next = std::min(next, deadline);
      return;
    }
    VELO_PLANT(forgotten_deadline, if (slot.id().generation() % 4 == 0) return);
    const bool sent = slot.travels_on.serial() != 0;
    const MessageId id = slot.id();
    const std::uint64_t serial = slot.travels_on.serial();
    const std::uint32_t lane = slot.travels_on.lane();
    const Pattern pattern = slot.pattern;
    if (!slot.claim(generation)) return;
    const std::uint64_t charge = slot.charge();
    slot.end(make_error(Errc::deadline_exceeded,
                        sent ? "sent, and not answered in time" : "not sent in time"));
    on_cancelled(id, serial, pattern, charge, lane);
  });
  {
    std::vector<std::shared_ptr<Link>> links;
    {
      const std::lock_guard lock(links_mutex_);
      for (const auto& [serial, link] : links_) links.push_back(link);
    }
    std::sort(links.begin(), links.end(),
              [](const auto& a, const auto& b) { return a->serial() < b->serial(); });
    for (const auto& link : links) {
      next = std::min({next, link->expire_inbound(now), expire_stranger(*link, now)});
    }
  }
  next = std::min(next, expire_waiting(now));
  next = std::min(next, reap_lanes(now));
  if (next != TimePoint::never()) note_deadline(next);
}

TimePoint Impl::expire_waiting(TimePoint now) {
  TimePoint next = TimePoint::never();
  std::vector<std::shared_ptr<WaitingSend>> expired;
  {
    const std::lock_guard lock(waiting_mutex_);
    for (const auto& waiting : waiting_) {
      if (waiting->claimed()) continue;
      if (waiting->deadline > now) {
        next = std::min(next, waiting->deadline);
      } else {
        expired.push_back(waiting);
      }
    }
  }
  for (const auto& waiting : expired) {
    end_waiting(*waiting, make_error(Errc::deadline_exceeded, "no call slot became free in time"));
  }
  return next;
}

void Impl::end_waiting(WaitingSend& waiting, Error error) {
  if (!waiting.claim()) return;
  const Fate fate = fate_of(waiting.spec.pattern, std::optional<Error>(error));
  waiting.end_unsent(fate, std::move(error));
}

}  // namespace velo::messenger
