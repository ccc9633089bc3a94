// SPDX-License-Identifier: Apache-2.0
// The counts of a queue as metrics, whatever its backend: read from WorkQueue::state().
// Threading: any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/metrics.hpp>
#include <velo/queue/queue.hpp>

#include <memory>
#include <string>
#include <vector>

namespace velo::queue {

/// Registers, with the label `queue`:
///   velo_queue_items{state="ready"|"leased"|"delayed"}, velo_queue_bytes,
///   velo_queue_oldest_seconds (gauges);
///   velo_queue_sent_total, _acked_total, _redelivered_total, _dead_lettered_total, _refused_total,
///   _duplicates_total (counters, since the queue began; see QueueState and the backend).
/// A snapshot of a queue in memory is of its instant. A queue elsewhere is asked by one snapshot
/// and shown by the next: nothing waits for it, and one that does not answer stays as it was. They
/// stay until the returned observations are destroyed, which keep the queue alive. Errors are those
/// of metrics::Registry::observe(); `registry` outlives the observations.
Result<std::vector<metrics::Observation>> publish_metrics(metrics::Registry& registry,
                                                          const std::string& name,
                                                          std::shared_ptr<WorkQueue> queue);

}  // namespace velo::queue
