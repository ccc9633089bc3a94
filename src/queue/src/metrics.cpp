// SPDX-License-Identifier: Apache-2.0
// A queue's state, asked for whenever somebody looks.

#include <velo/queue/metrics.hpp>

#include <velo/base/observed_series.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace velo::queue {
namespace metrics_detail {

/// What the queue last said; asks it again.
class Watched {
 public:
  explicit Watched(std::shared_ptr<WorkQueue> queue) : queue_(std::move(queue)) {}

  QueueState look() {
    const std::lock_guard lock(mutex_);
    if (!asked_) asked_.emplace(queue_->state());
    if (asked_->done()) {
      if (auto state = std::move(*asked_).get()) last_ = *state;
      asked_.reset();
    }
    return last_;
  }

 private:
  const std::shared_ptr<WorkQueue> queue_;
  std::mutex mutex_;
  std::optional<Op<QueueState>> asked_;
  QueueState last_;
};

struct Series {
  metrics::Kind kind;
  std::string_view name;
  std::string_view help;
  std::string_view state;  ///< the label's value; empty: without it
  std::uint64_t (*read)(const QueueState& state);
};

constexpr Series all[] = {
    {metrics::Kind::gauge, "velo_queue_items", "Items that a queue holds", "ready",
     [](const QueueState& state) { return state.ready; }},
    {metrics::Kind::gauge, "velo_queue_items", "Items that a queue holds", "leased",
     [](const QueueState& state) { return state.leased; }},
    {metrics::Kind::gauge, "velo_queue_items", "Items that a queue holds", "delayed",
     [](const QueueState& state) { return state.delayed; }},
    {metrics::Kind::gauge, "velo_queue_bytes", "Bytes of the items that a queue holds", "",
     [](const QueueState& state) { return state.bytes; }},
    {metrics::Kind::gauge, "velo_queue_oldest_seconds",
     "Age of the oldest item that is not settled", "",
     [](const QueueState& state) {
       using std::chrono::seconds;
       return static_cast<std::uint64_t>(std::chrono::duration_cast<seconds>(state.oldest).count());
     }},
    {metrics::Kind::counter, "velo_queue_sent_total", "Items that were queued", "",
     [](const QueueState& state) { return state.queued; }},
    {metrics::Kind::counter, "velo_queue_acked_total", "Items that were acknowledged", "",
     [](const QueueState& state) { return state.acked; }},
    {metrics::Kind::counter, "velo_queue_redelivered_total",
     "Deliveries of items that were delivered before", "",
     [](const QueueState& state) { return state.redelivered; }},
    {metrics::Kind::counter, "velo_queue_dead_lettered_total",
     "Items that were given up after their last delivery", "",
     [](const QueueState& state) { return state.dead; }},
    {metrics::Kind::counter, "velo_queue_refused_total", "Sends for which there was no room", "",
     [](const QueueState& state) { return state.rejected; }},
    {metrics::Kind::counter, "velo_queue_duplicates_total",
     "Sends of an id that was queued already", "",
     [](const QueueState& state) { return state.duplicates; }},
};

}  // namespace metrics_detail

Result<std::vector<metrics::Observation>> publish_metrics(metrics::Registry& registry,
                                                          const std::string& name,
                                                          std::shared_ptr<WorkQueue> queue) {
  if (queue == nullptr) return velo::make_error(velo::Errc::invalid_argument, "no queue");
  const auto watched = std::make_shared<metrics_detail::Watched>(std::move(queue));
  metrics::ObservedSeries series(registry, {{"queue", name}});
  for (const metrics_detail::Series& each : metrics_detail::all) {
    metrics::Labels labels;
    if (!each.state.empty()) labels.emplace_back("state", each.state);
    series.add(each.kind, each.name, each.help, std::move(labels), [watched, read = each.read] {
      return static_cast<std::int64_t>(read(watched->look()));
    });
  }
  return series.take();
}

}  // namespace velo::queue
