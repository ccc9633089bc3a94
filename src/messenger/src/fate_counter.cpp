// SPDX-License-Identifier: Apache-2.0
// Which error is which fate, and sums over stripes.

#include "fate_counter.hpp"

namespace velo {

std::string_view fate_name(Fate fate) noexcept {
  switch (fate) {
    case Fate::written: return "written";
    case Fate::acknowledged: return "acknowledged";
    case Fate::handled: return "handled";
    case Fate::rejected: return "rejected";
    case Fate::expired: return "expired";
    case Fate::cancelled: return "cancelled";
    case Fate::unknown: return "unknown";
  }
  return "?";
}

namespace messenger {

namespace fate_detail {

static CounterStripe next_stripe() noexcept {
  static std::atomic<std::size_t> next{0};
  const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
  if (mine < counter_stripes - 1) return {mine, true};
  return {counter_stripes - 1, false};
}

}  // namespace fate_detail

CounterStripe counter_stripe() noexcept {
  thread_local const CounterStripe mine = fate_detail::next_stripe();
  return mine;
}

PatternBooks FateCounters::books(Pattern pattern) const noexcept {
  PatternBooks books;
  const std::size_t row = index(pattern);
  for (const Stripe& stripe : stripes_) {
    books.sent += stripe.sent[row].load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < fate_count; ++i) {
      books.ends[i] += stripe.ends[row][i].load(std::memory_order_relaxed);
    }
  }
  return books;
}

namespace fate_detail {

static Fate of_handler_end(Pattern pattern) noexcept {
  if (pattern == Pattern::fire) return Fate::written;
  return pattern == Pattern::sync ? Fate::acknowledged : Fate::handled;
}

}  // namespace fate_detail

Fate fate_of(Pattern pattern, const std::optional<Error>& error) noexcept {
  if (!error) return fate_detail::of_handler_end(pattern);
  if (error->is(velo::Errc::cancelled) || error->is(Errc::cancelled)) return Fate::cancelled;
  if (error->is(velo::Errc::deadline_exceeded) || error->is(Errc::deadline_exceeded)) {
    return Fate::expired;
  }
  if (error->code().room != Room::messenger) return fate_detail::of_handler_end(pattern);
  switch (static_cast<Errc>(error->code().value)) {
    case Errc::connection_lost: return Fate::unknown;
    case Errc::failed:
    case Errc::bad_request:
    case Errc::handler_threw:
    case Errc::bad_reply: return fate_detail::of_handler_end(pattern);
    default: return Fate::rejected;
  }
}

}  // namespace messenger
}  // namespace velo
