// SPDX-License-Identifier: Apache-2.0
// ObservedSeries: numbers of one owner that become series of a registry together, all of them or
// none. Not for what is counted in the registry itself (metrics::Counter and others).
// Threading: one thread at a time.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/metrics.hpp>

#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::metrics {

class ObservedSeries {
 public:
  /// Every series gets the labels in `common` beside its own. The registry outlives the
  /// observations.
  explicit ObservedSeries(Registry& registry, Labels common = {})
      : registry_(registry), common_(std::move(common)) {}
  ObservedSeries(const ObservedSeries&) = delete;
  ObservedSeries& operator=(const ObservedSeries&) = delete;
  ~ObservedSeries() = default;

  /// As Registry::observe(); after an error nothing more is added.
  void add(Kind kind, std::string_view name, std::string_view help, Labels labels,
           std::move_only_function<std::int64_t()> read) {
    if (!result_) return;
    labels.insert(labels.end(), common_.begin(), common_.end());
    auto observed = registry_.observe(kind, name, help, std::move(labels), std::move(read));
    if (observed) {
      observations_.push_back(std::move(*observed));
    } else {
      result_ = observed.error();
      observations_.clear();
    }
  }

  /// All of them, which are gone with what is returned; or the first error. Once.
  Result<std::vector<Observation>> take() {
    if (!result_) return result_.error();
    return std::move(observations_);
  }

 private:
  Registry& registry_;
  const Labels common_;
  Result<void> result_;
  std::vector<Observation> observations_;
};

}  // namespace velo::metrics
