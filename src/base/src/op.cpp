// SPDX-License-Identifier: Apache-2.0
// The waiting, publishing and node pooling behind Op.

#include <velo/base/op.hpp>

#include <array>

// A pooled node hides its use after free from AddressSanitizer.
#if defined(__SANITIZE_ADDRESS__)
#define VELO_BASE_POOLED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VELO_BASE_POOLED 0
#endif
#endif
#ifndef VELO_BASE_POOLED
#define VELO_BASE_POOLED 1
#endif

namespace velo {

namespace op_detail {

/// Nodes of up to 512 bytes are pooled per thread in 64-byte classes; a thread keeps at most this
/// many of a class.
constexpr std::size_t class_bytes = 64;
constexpr std::size_t class_count = 8;
#if VELO_BASE_POOLED
constexpr std::uint32_t pooled_nodes_max = 1024;
#else
constexpr std::uint32_t pooled_nodes_max = 0;
#endif
constexpr int inline_depth_max = 16;

struct FreeNode {
  FreeNode* next;
};

struct List {
  FreeNode* head = nullptr;
  std::uint32_t count = 0;
};

/// Trivially destroyed, so that it can be used until the thread is gone; Drain frees what it holds.
struct NodePool {
  std::array<List, class_count> lists;
  std::uint32_t kept_max = pooled_nodes_max;
};

static constinit thread_local NodePool pool;

/// Destructors that run later on the thread (of static objects, on the main one) free at once.
struct Drain {
  bool armed = true;
  ~Drain() {
    pool.kept_max = 0;
    for (List& list : pool.lists) {
      while (list.head != nullptr) ::operator delete(std::exchange(list.head, list.head->next));
      list.count = 0;
    }
  }
};

static void arm_drain() noexcept {
  thread_local Drain drain;
  drain.armed = true;
}

static int& inline_depth() noexcept {
  static constinit thread_local int depth = 0;
  return depth;
}

class InlineExecutor final : public Executor {
 public:
  void post(Task0 task) noexcept override { task.run(task.argument); }
};

}  // namespace op_detail

namespace base_detail {

void* allocate_node(std::size_t size) {
  const std::size_t index = (size - 1) / op_detail::class_bytes;
  if (index >= op_detail::class_count) return ::operator new(size);
  op_detail::List& list = op_detail::pool.lists[index];
  if (list.head == nullptr) return ::operator new((index + 1) * op_detail::class_bytes);
  --list.count;
  return std::exchange(list.head, list.head->next);
}

void free_node(void* node, std::size_t size) noexcept {
  const std::size_t index = (size - 1) / op_detail::class_bytes;
  if (index >= op_detail::class_count) return ::operator delete(node);
  op_detail::List& list = op_detail::pool.lists[index];
  if (list.count >= op_detail::pool.kept_max) return ::operator delete(node);
  if (list.count++ == 0) op_detail::arm_drain();
  list.head = new (node) op_detail::FreeNode{list.head};
}

}  // namespace base_detail

Executor& inline_executor() noexcept {
  static op_detail::InlineExecutor executor;
  return executor;
}

void OpState::wait() noexcept {
  for (;;) {
    const std::uint32_t word = word_.load(std::memory_order_acquire);
    if ((word & done_bit) != 0) return;
    if ((word & waiter_bit) == 0) {
      word_.fetch_or(waiter_bit, std::memory_order_acq_rel);
      continue;
    }
    word_.wait(word, std::memory_order_acquire);
  }
}

void OpState::publish(bool may_run_here) noexcept {
  const std::uint32_t before = word_.fetch_or(done_bit, std::memory_order_acq_rel);
  if ((before & consumer_gone_bit) != 0) return table_->recycle(*this);
  if ((before & waiter_bit) != 0) word_.notify_all();
  if ((before & armed_bit) == 0) return;
  Executor& executor = *executor_;
  const Task0 task = task_;
  int& depth = op_detail::inline_depth();
  if (may_run_here && Executor::current() == &executor && depth < op_detail::inline_depth_max) {
    ++depth;
    task.run(task.argument);
    --depth;
  } else {
    executor.post(task);
  }
}

}  // namespace velo
