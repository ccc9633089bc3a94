// SPDX-License-Identifier: Apache-2.0
// Taking memory from a node's budget, and giving it back.

#include <velo/base/budget.hpp>

#include <algorithm>

namespace velo {
namespace budget_detail {

constexpr std::size_t holders_min = 4;

static std::size_t peer_max(std::size_t bytes_max, std::size_t asked) noexcept {
  return std::min(asked == 0 ? limits::peer_memory_bytes_default : asked, bytes_max / holders_min);
}

static std::uint64_t in_chunks(std::uint64_t bytes) noexcept {
  constexpr std::uint64_t chunk = limits::allowance_chunk_bytes;
  return (bytes + chunk - 1) / chunk * chunk;
}

}  // namespace budget_detail

MemoryBudget::MemoryBudget(std::size_t bytes_max, std::size_t peer_bytes_max) noexcept
    : bytes_max_(std::max(bytes_max, limits::memory_budget_bytes_min)),
      peer_bytes_max_(budget_detail::peer_max(bytes_max_, peer_bytes_max)) {}

bool MemoryBudget::try_take(std::size_t bytes, Lane lane) noexcept {
  const std::size_t most = limit(lane);
  std::size_t used = used_.load(std::memory_order_relaxed);
  do {
    if (used > most || bytes > most - used) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

std::size_t MemoryBudget::share(Lane lane, std::size_t charged) const noexcept {
  const std::size_t most = limit(lane);
  const std::size_t others = used() > charged ? used() - charged : 0;
  const std::size_t free = most > others ? most - others : 0;
  const std::size_t peer = lane == Lane::requests ? peer_request_bytes_max() : peer_bytes_max_;
  return std::min(free / budget_detail::holders_min, peer);
}

MemoryUse MemoryBudget::use() const noexcept {
  MemoryUse use;
  use.used = used();
  use.bytes_max = bytes_max_;
  use.peer_bytes_max = peer_bytes_max_;
  use.refused = refused();
  return use;
}

Charge Charge::try_take(const std::shared_ptr<MemoryBudget>& budget, std::size_t bytes,
                        Lane lane) noexcept {
  if (bytes > budget->share(lane, 0) || !budget->try_take(bytes, lane)) {
    budget->count_refused();
    return {};
  }
  return {budget, bytes};
}

Charge Charge::try_take_of_all(const std::shared_ptr<MemoryBudget>& budget, std::size_t bytes,
                               Lane lane) noexcept {
  if (!budget->try_take(bytes, lane)) {
    budget->count_refused();
    return {};
  }
  return {budget, bytes};
}

Charge Charge::take(const std::shared_ptr<MemoryBudget>& budget, std::size_t bytes) noexcept {
  budget->take(bytes);
  return {budget, bytes};
}

Allowance::Allowance(std::shared_ptr<MemoryBudget> budget) noexcept
    : budget_(std::move(budget)), requests_max_(budget_->peer_request_bytes_max()) {}

Allowance::~Allowance() { settle(0); }

std::uint64_t Allowance::reach(Lane lane) const noexcept {
  const std::uint64_t granted = granted_.load(std::memory_order_relaxed);
  return std::max<std::uint64_t>(budget_->share(lane, granted - limits::uncharged_bytes),
                                 limits::uncharged_bytes);
}

bool Allowance::grow(std::uint64_t bytes, Lane lane) noexcept {
  std::uint64_t granted = granted_.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t most = reach(lane);
    if (bytes > most) break;
    if (bytes <= granted) return true;
    const std::uint64_t target = std::min(most, budget_detail::in_chunks(bytes));
    const std::uint64_t more = target - granted;
    if (!budget_->try_take(more, lane)) break;
    if (granted_.compare_exchange_strong(granted, target, std::memory_order_relaxed)) return true;
    budget_->give_back(more);
  }
  budget_->count_refused();
  return false;
}

void Allowance::settle(std::uint64_t held) noexcept {
  std::uint64_t granted = granted_.load(std::memory_order_relaxed);
  for (;;) {
    if (held > granted) {
      // Taken first: whoever sees the grant may give it back at once.
      const std::uint64_t missing = held - granted;
      budget_->take(missing);
      if (granted_.compare_exchange_strong(granted, held, std::memory_order_relaxed)) return;
      budget_->give_back(missing);
      continue;
    }
    const std::uint64_t target =
        held <= limits::uncharged_bytes ? limits::uncharged_bytes : budget_detail::in_chunks(held);
    // Halving keeps a queue that goes up and down a little from asking all the time.
    if (target == granted || (held != 0 && target > granted / 2)) return;
    if (!granted_.compare_exchange_weak(granted, target, std::memory_order_relaxed)) continue;
    return budget_->give_back(granted - target);
  }
}

}  // namespace velo
