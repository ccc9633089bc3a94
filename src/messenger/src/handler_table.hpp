// SPDX-License-Identifier: Apache-2.0
// Handlers by name. Lookups take no lock: they read a table whose entries are only ever added;
// outgrown tables and handlers live as long as the messenger, which bounds them by
// limits::handlers_max.
// Threading: any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/messenger/handler.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace velo::messenger {

class HandlerTable {
 public:
  HandlerTable();
  ~HandlerTable();

  /// All or none. `system`: reserved names, instead of all others.
  Result<void> add(std::vector<Handler> handlers, bool system);
  Result<void> add(Handler handler, bool system) {
    std::vector<Handler> one;
    one.push_back(std::move(handler));
    return add(std::move(one), system);
  }
  const Handler* find(std::string_view name) const noexcept;
  std::vector<std::string> names() const;
  /// Sorted; those for which `wanted(handler)` holds.
  template <class Wanted>
  std::vector<std::string> names_where(Wanted wanted) const {
    std::vector<std::string> names;
    for_each([&](const Handler& handler) {
      if (wanted(handler)) names.push_back(handler.name());
    });
    std::sort(names.begin(), names.end());
    return names;
  }
  template <class Visit>
  void for_each(Visit visit) const {
    const std::lock_guard lock(mutex_);
    for (const auto& handler : handlers_) visit(*handler);
  }
  /// Whether some handler names its callers, and leaves this one out.
  bool hides_from(const ConnectionIdentity& caller) const;

 private:
  /// `hash` may be read once `handler` was seen.
  struct Entry {
    std::uint64_t hash = 0;
    std::atomic<const Handler*> handler{nullptr};
  };
  /// Open addressing, at most half full; the size is a power of two. Entries are added in place,
  /// and never change or go.
  struct Table {
    std::vector<Entry> entries;
    std::size_t used = 0;  ///< under the mutex
    explicit Table(std::size_t size) : entries(size) {}
    void insert(std::uint64_t hash, const Handler* handler) noexcept;
  };

  /// Under the mutex.
  Result<void> check(const Handler& handler, bool system) const;
  void insert(Handler handler);
  static std::uint64_t hash_of(std::string_view name) noexcept;

  std::atomic<Table*> table_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Table>> tables_;  ///< each twice the size of the one before
  std::vector<std::unique_ptr<const Handler>> handlers_;
  std::size_t name_bytes_ = 0;  ///< of the list of names as JSON, under the mutex
};

}  // namespace velo::messenger
