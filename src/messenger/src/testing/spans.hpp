// SPDX-License-Identifier: Apache-2.0
// Test support: the spans that a messenger has finished. Not part of the library.
// Threading: take() from any thread; reading once nothing moves.
#pragma once

#include <velo/base/trace.hpp>

#include <gtest/gtest.h>

#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::messenger::testing {

class SpanList final : public trace::SpanSink {
 public:
  void take(trace::Span span) noexcept override {
    const std::lock_guard lock(mutex_);
    spans.push_back(std::move(span));
  }

  std::vector<const trace::Span*> all(std::string_view name) const {
    std::vector<const trace::Span*> found;
    for (const trace::Span& span : spans) {
      if (span.name == name) found.push_back(&span);
    }
    return found;
  }
  const trace::Span& only(std::string_view name) const {
    static const trace::Span none;
    const auto found = all(name);
    EXPECT_EQ(found.size(), 1U) << name;
    return found.empty() ? none : *found.front();
  }

  std::vector<trace::Span> spans;

 private:
  std::mutex mutex_;
};

inline bool is_child(const trace::Span& child, const trace::Span& parent) {
  return child.parent == parent.context.span && child.context.trace == parent.context.trace &&
         child.context.span != parent.context.span;
}

inline std::string_view attribute(const trace::Span& span, std::string_view name) {
  for (const auto& [key, value] : span.attributes) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace velo::messenger::testing
