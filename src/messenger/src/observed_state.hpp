// SPDX-License-Identifier: Apache-2.0
// Numbers of one state as metrics of a registry: the state is read once a scrape, so that its
// numbers belong together.
// Threading: made and destroyed on any thread; the registry reads on that of the scrape. Destroying
// waits for a scrape that goes on.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/base/metrics.hpp>
#include <velo/base/observed_series.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace velo::messenger {

template <class State>
class ObservedState {
 public:
  using Number = std::function<std::uint64_t(const State&)>;

  /// `read` must be callable until this is gone, from any thread. Every series gets the label node.
  ObservedState(const InstanceId& node, std::function<State()> read)
      : node_(node.to_string()), read_(std::move(read)) {}
  ObservedState(const ObservedState&) = delete;
  ObservedState& operator=(const ObservedState&) = delete;
  ~ObservedState() = default;

  /// Before add_to().
  void add(metrics::Kind kind, const char* name, const char* help, metrics::Labels labels,
           Number number) {
    series_.push_back({kind, name, help, std::move(labels), std::move(number)});
  }

  /// The first series that the registry refuses fails it. Once.
  Result<void> add_to(metrics::Registry& registry) {
    metrics::ObservedSeries all(registry, {{"node", node_}});
    for (std::size_t i = 0; i < series_.size(); ++i) {
      Series& each = series_[i];
      all.add(each.kind, each.name, each.help, std::move(each.labels),
              [this, i] { return value(i); });
    }
    auto observed = all.take();
    if (!observed) return observed.error();
    observations_ = std::move(*observed);
    return {};
  }

 private:
  struct Series {
    metrics::Kind kind;
    const char* name;
    const char* help;
    metrics::Labels labels;
    Number number;
    bool was_read = true;  ///< since the state was
  };

  /// A scrape reads each series once; the first it reads again begins the next one.
  std::int64_t value(std::size_t series) {
    const std::lock_guard lock(mutex_);
    if (series_[series].was_read) {
      state_ = read_();
      for (Series& each : series_) each.was_read = false;
    }
    series_[series].was_read = true;
    return static_cast<std::int64_t>(series_[series].number(state_));
  }

  const std::string node_;
  const std::function<State()> read_;
  std::mutex mutex_;
  State state_;  ///< under mutex_, as is Series::was_read
  std::vector<Series> series_;
  std::vector<metrics::Observation> observations_;  ///< last, so that they go first
};

}  // namespace velo::messenger
