// SPDX-License-Identifier: Apache-2.0
// The queue of finished spans.

#include "export_queue.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace velo::telemetry {
namespace export_queue_detail {

static ExportQueue::Batch nothing() {
  static const auto empty = std::make_shared<const std::vector<trace::Span>>();
  return empty;
}

}  // namespace export_queue_detail

bool ExportQueue::add(trace::Span span, TimePoint now) {
  ++counts_.taken;
  if (waiting_.size() + batch_->size() >= limits::spans_queued_max) {
    ++counts_.dropped_full;
    return false;
  }
  if (waiting_.empty()) oldest_ = now;
  waiting_.push_back(std::move(span));
  ++kept_;
  return true;
}

TimePoint ExportQueue::due() const noexcept {
  if (sending_ || (batch_->empty() && waiting_.empty())) return TimePoint::never();
  const bool at_once =
      !batch_->empty() || hurried_ || waiting_.size() >= limits::spans_per_batch_max;
  return at_once ? pause_until_ : std::max(pause_until_, oldest_ + linger_);
}

ExportQueue::Batch ExportQueue::begin(TimePoint now) {
  if (now < due()) return nullptr;
  if (batch_->empty()) {
    const auto count =
        static_cast<std::ptrdiff_t>(std::min(waiting_.size(), limits::spans_per_batch_max));
    batch_ = std::make_shared<const std::vector<trace::Span>>(
        std::make_move_iterator(waiting_.begin()),
        std::make_move_iterator(waiting_.begin() + count));
    waiting_.erase(waiting_.begin(), waiting_.begin() + count);
  }
  sending_ = true;
  return batch_;
}

std::size_t ExportQueue::end_batch() noexcept {
  const std::size_t count = batch_->size();
  batch_ = export_queue_detail::nothing();
  sending_ = false;
  pause_ = limits::export_pause_first;
  pause_until_ = TimePoint();
  return count;
}

void ExportQueue::exported() noexcept { counts_.exported += end_batch(); }
void ExportQueue::refused() noexcept { counts_.dropped_refused += end_batch(); }

void ExportQueue::again(TimePoint now, std::optional<Duration> after, std::uint64_t draw) noexcept {
  ++counts_.failed_exports;
  sending_ = false;
  const std::int64_t half = pause_.count() / 2;
  Duration wait(half + static_cast<std::int64_t>(draw % static_cast<std::uint64_t>(half + 1)));
  if (after) wait = std::clamp(*after, wait, limits::export_pause_longest);
  pause_until_ = now + wait;
  pause_ = std::min(pause_ * 2, limits::export_pause_longest);
}

void ExportQueue::drop_all() noexcept {
  counts_.dropped_closed += waiting_.size() + batch_->size();
  waiting_.clear();
  batch_ = export_queue_detail::nothing();
  sending_ = false;
}

ExportCounts ExportQueue::counts() const noexcept {
  ExportCounts counts = counts_;
  counts.queued = waiting_.size() + batch_->size();
  return counts;
}

}  // namespace velo::telemetry
