// SPDX-License-Identifier: Apache-2.0
// Which spans wait for the collector, when the next batch is due, and what became of all. Core:
// `now` and randomness are arguments.
// Threading: belongs to one owner.
#pragma once

#include <velo/base/time.hpp>
#include <velo/telemetry/trace_exporter.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace velo::telemetry {

class ExportQueue {
 public:
  explicit ExportQueue(Duration linger) noexcept : linger_(linger) {}

  /// False: dropped, since too many wait. Whether due() may have changed is told by size().
  bool add(trace::Span span, TimePoint now);
  void add_to_closed() noexcept {
    ++counts_.taken;
    ++counts_.dropped_closed;
  }
  /// What waits need not wait for company.
  void hurry(bool hurried) noexcept { hurried_ = hurried; }

  /// When there is something to send; never() while nothing waits or a batch is on its way.
  TimePoint due() const noexcept;
  using Batch = std::shared_ptr<const std::vector<trace::Span>>;
  /// The batch, once it is due; null before. It is on its way until one of those below.
  Batch begin(TimePoint now);

  void exported() noexcept;
  void refused() noexcept;
  /// It could not be taken now. `after`: when the collector wants to be asked again; `draw`: any
  /// random number.
  void again(TimePoint now, std::optional<Duration> after, std::uint64_t draw) noexcept;
  /// The connection was at fault, not the collector: it is due at once.
  void at_once() noexcept { sending_ = false; }

  void drop_all() noexcept;

  ExportCounts counts() const noexcept;
  /// Spans that were kept, and of those, in this order, how many are exported or dropped.
  std::uint64_t kept() const noexcept { return kept_; }
  std::uint64_t over() const noexcept { return kept_ - waiting_.size() - batch_->size(); }
  std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  std::size_t end_batch() noexcept;

  const Duration linger_;
  std::deque<trace::Span> waiting_;
  Batch batch_ = std::make_shared<const std::vector<trace::Span>>();
  TimePoint oldest_;  ///< when the first of those that wait came
  TimePoint pause_until_;
  Duration pause_ = limits::export_pause_first;
  std::uint64_t kept_ = 0;
  bool sending_ = false;
  bool hurried_ = false;
  ExportCounts counts_;
};

}  // namespace velo::telemetry
