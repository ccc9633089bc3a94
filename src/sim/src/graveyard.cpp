// SPDX-License-Identifier: Apache-2.0
// A list of buried tasks that only ever grows.

#include "graveyard.hpp"

#include <atomic>

namespace velo::sim::detail {

namespace graveyard_detail {

struct Grave {
  std::vector<Task0> tasks;
  Grave* next = nullptr;
};

static std::atomic<Grave*>& graves() noexcept {
  static std::atomic<Grave*> head{nullptr};
  return head;
}

}  // namespace graveyard_detail

void bury(std::vector<Task0> tasks) {
  if (tasks.empty()) return;
  auto* grave = new graveyard_detail::Grave{std::move(tasks), nullptr};
  auto& head = graveyard_detail::graves();
  grave->next = head.load(std::memory_order_relaxed);
  while (!head.compare_exchange_weak(grave->next, grave, std::memory_order_release,
                                     std::memory_order_relaxed)) {
  }
}

}  // namespace velo::sim::detail
