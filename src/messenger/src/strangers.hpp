// SPDX-License-Identifier: Apache-2.0
// Strangers: accepted connections on which nobody has greeted yet, counted in all and by where they
// come from. Core: decides who is one too many.
// Threading: any thread.
#pragma once

#include <velo/messenger/limits.hpp>

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace velo::messenger {

class Strangers {
 public:
  /// False: there are too many, in all or from there, and this one is not counted.
  bool enter(const std::string& source);
  void leave(const std::string& source) noexcept;
  std::size_t count() const;

 private:
  mutable std::mutex mutex_;
  std::size_t count_ = 0;
  std::unordered_map<std::string, std::size_t> by_source_;
};

/// Where a connection comes from: its other end's text without the port.
std::string source_of(std::string_view remote);

}  // namespace velo::messenger
