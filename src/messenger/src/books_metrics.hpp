// SPDX-License-Identifier: Apache-2.0
// The books of one messenger as metrics of a registry: one series a pattern, a fate, a reason and
// an end, read when somebody scrapes. Nothing is counted here.
// Threading: made and destroyed on any thread; the registry reads on that of the scrape. Destroying
// waits for a scrape that goes on.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/base/metrics.hpp>
#include <velo/messenger/fates.hpp>

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace velo::messenger {

class BooksMetrics {
 public:
  /// `read` must be callable until this is gone, from any thread.
  BooksMetrics(const InstanceId& node, std::function<Books()> read);
  BooksMetrics(const BooksMetrics&) = delete;
  BooksMetrics& operator=(const BooksMetrics&) = delete;
  ~BooksMetrics() = default;

  /// The first series that the registry refuses fails it. Once.
  Result<void> add_to(metrics::Registry& registry);

 private:
  using Number = std::function<std::uint64_t(const Books&)>;

  void add(metrics::Kind kind, const char* name, const char* help, metrics::Labels labels,
           Number number);
  void add_sends();
  void add_rejections();
  void add_requests();
  void add_paths();
  std::int64_t value(std::size_t series);

  struct Series {
    metrics::Kind kind;
    const char* name;
    const char* help;
    metrics::Labels labels;
    Number number;
    bool was_read = true;  ///< since the books were
  };

  const std::string node_;
  const std::function<Books()> read_;
  std::mutex mutex_;
  Books books_;  ///< under mutex_, as is Series::was_read
  std::vector<Series> series_;
  std::vector<metrics::Observation> observations_;  ///< last, so that they go first
};

}  // namespace velo::messenger
