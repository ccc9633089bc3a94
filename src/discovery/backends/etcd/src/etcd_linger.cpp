// SPDX-License-Identifier: Apache-2.0
// The process's list of objects that say goodbye.

#include "etcd_linger.hpp"

#include <mutex>
#include <utility>

namespace velo::discovery::etcd {
namespace etcd_linger_detail {

struct Registry {
  std::mutex mutex;
  std::list<std::shared_ptr<void>> held;
};

/// Never destroyed: what is left in it at the end belongs to Worlds that are gone.
static Registry& registry() {
  static auto* const only = new Registry;
  return *only;
}

}  // namespace etcd_linger_detail

void Linger::begin(std::shared_ptr<void> object, Duration limit) {
  if (held_) return;
  auto& registry = etcd_linger_detail::registry();
  {
    const std::lock_guard lock(registry.mutex);
    held_ = registry.held.insert(registry.held.end(), std::move(object));
  }
  timer_.start(limit, [this] { end(); });
}

void Linger::end() {
  if (!held_) return;
  auto& registry = etcd_linger_detail::registry();
  std::shared_ptr<void> object;
  {
    const std::lock_guard lock(registry.mutex);
    object = std::move(**held_);
    registry.held.erase(*held_);
  }
  held_.reset();
  timer_.cancel();
  // Not here: the caller may be inside the object.
  post(shard_, [object = std::move(object)]() mutable { object.reset(); });
}

}  // namespace velo::discovery::etcd
