// SPDX-License-Identifier: Apache-2.0
// Credit of a connection's request window, and the requests that wait for it.

#include "request_window.hpp"

#include <velo/messenger/limits.hpp>

#include <algorithm>
#include <utility>

namespace velo::messenger {

void RequestWindow::open(std::uint64_t calls, std::uint64_t bytes) noexcept {
  calls = std::min(calls, calls_max);
  bytes_ = std::min(bytes, bytes_mask / 2);
  share_calls_ = std::clamp<std::uint64_t>(calls / 16, 1, 64);
  share_bytes_ = std::max<std::uint64_t>(bytes_ / 16, 1);
  free_.store(pack(calls, bytes_), std::memory_order_seq_cst);
}

bool RequestWindow::take_shared(std::uint64_t charge) noexcept {
  std::uint64_t free = free_.load(std::memory_order_seq_cst);
  do {
    if (free >> calls_shift == 0 || (free & bytes_mask) < charge) return false;
  } while (!free_.compare_exchange_weak(free, free - pack(1, charge), std::memory_order_seq_cst));
  return true;
}

void RequestWindow::refill(std::uint64_t charge) noexcept {
  std::uint64_t free = free_.load(std::memory_order_seq_cst);
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;
  do {
    calls = std::min(free >> calls_shift, share_calls_);
    bytes = std::min(free & bytes_mask, std::max(share_bytes_, charge));
    if (calls == 0 && bytes == 0) return;
  } while (
      !free_.compare_exchange_weak(free, free - pack(calls, bytes), std::memory_order_seq_cst));
  own_calls_ += calls;
  own_bytes_ += bytes;
}

void RequestWindow::spill() noexcept {
  const std::uint64_t calls = own_calls_ - std::min(own_calls_, share_calls_);
  const std::uint64_t bytes = own_bytes_ - std::min(own_bytes_, share_bytes_);
  own_calls_ -= calls;
  own_bytes_ -= bytes;
  give_shared(calls, bytes);
}

RequestWindow::Left RequestWindow::left() const noexcept {
  const std::uint64_t free = free_.load(std::memory_order_seq_cst);
  return {(free >> calls_shift) + own_calls_, (free & bytes_mask) + own_bytes_};
}

RequestWindow::Held RequestWindow::hold(PendingSend send) {
  const std::lock_guard lock(mutex_);
  if (closed_) return Held::closed;
  if (held_.size() >= limits::held_requests_per_connection_max) return Held::full;
  if (!held_memory_.add(send.bytes(), send.lane())) return Held::over_budget;
  held_.push_back(std::move(send));
  return holds_.exchange(true, std::memory_order_seq_cst) ? Held::behind_others : Held::first;
}

std::uint64_t RequestWindow::held_bytes() {
  const std::lock_guard lock(mutex_);
  return held_memory_.bytes();
}

std::optional<PendingSend> RequestWindow::pop() {
  const std::lock_guard lock(mutex_);
  if (held_.empty()) {
    holds_.store(false, std::memory_order_seq_cst);
    return std::nullopt;
  }
  PendingSend send = std::move(held_.front());
  held_.pop_front();
  held_memory_.remove(send.bytes());
  return send;
}

void RequestWindow::put_back(PendingSend send) {
  const std::lock_guard lock(mutex_);
  held_memory_.take(send.bytes());
  held_.push_front(std::move(send));
}

std::deque<PendingSend> RequestWindow::take_all() {
  const std::lock_guard lock(mutex_);
  held_memory_.clear();
  holds_.store(false, std::memory_order_seq_cst);
  return std::exchange(held_, {});
}

std::deque<PendingSend> RequestWindow::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  owed_.clear();
  held_memory_.clear();
  return std::exchange(held_, {});
}

void RequestWindow::owe(const Owed& owed) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  owed_.push_back(owed);
}

std::vector<RequestWindow::Owed> RequestWindow::take_owed() {
  const std::lock_guard lock(mutex_);
  return std::exchange(owed_, {});
}

}  // namespace velo::messenger
