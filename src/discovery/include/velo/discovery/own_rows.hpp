// SPDX-License-Identifier: Apache-2.0
// For backends: whose announcement counts. Each announcing takes a number; the registration of an
// earlier number of the same key was replaced, and withdraws nothing.
// Threading: a value; belongs to one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace velo::discovery {

template <class Key>
class OwnRows {
 public:
  std::uint64_t take(const Key& key) { return current_[key] = ++last_; }
  /// Whether the number still counted; it does no longer.
  bool release(const Key& key, std::uint64_t number) {
    const auto found = current_.find(key);
    if (found == current_.end() || found->second != number) return false;
    current_.erase(found);
    return true;
  }
  std::size_t size() const noexcept { return current_.size(); }

 private:
  std::map<Key, std::uint64_t> current_;
  std::uint64_t last_ = 0;
};

}  // namespace velo::discovery
