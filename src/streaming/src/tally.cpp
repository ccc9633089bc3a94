// SPDX-License-Identifier: Apache-2.0
// Which number is which series.

#include "tally.hpp"

#include <velo/base/observed_series.hpp>

#include <string>
#include <utility>
#include <vector>

namespace velo::streaming {
namespace streams_tally_detail {

constexpr std::array<const char*, 2> operations = {"create", "attach"};
constexpr std::array<const char*, 5> ends = {"finalized", "detached", "dropped", "lost",
                                             "cancelled"};

/// A number of the connections' as a series; `label` and `value` may be null.
struct Line {
  metrics::Kind kind;
  const char* name;
  const char* help;
  const char* label;
  const char* value;
  std::uint64_t StreamCounts::* number;
};

constexpr auto counter = metrics::Kind::counter;
constexpr auto gauge = metrics::Kind::gauge;
constexpr const char* slots_help = "Streams that are open, to anchors of others and to own ones.";
constexpr const char* batches_help = "Messages that carried what streams had to say.";
constexpr const char* dropped_help =
    "Frames that arrived for a stream that is none, or against its rules.";

constexpr std::array lines{
    Line{gauge, "velo_streaming_active_anchors", "Anchors that exist.", nullptr, nullptr,
         &StreamCounts::anchors},
    Line{gauge, "velo_streaming_mux_live_slots", slots_help, "direction", "sent",
         &StreamCounts::streams_out},
    Line{gauge, "velo_streaming_mux_live_slots", slots_help, "direction", "received",
         &StreamCounts::streams_in},
    Line{counter, "velo_streaming_frames_written_total", "Frames handed over to be sent.", nullptr,
         nullptr, &StreamCounts::frames_out},
    Line{counter, "velo_streaming_frames_read_total", "Frames that arrived.", nullptr, nullptr,
         &StreamCounts::frames_in},
    Line{counter, "velo_streaming_egress_flushes_total", "Batches handed over to be written.",
         nullptr, nullptr, &StreamCounts::batches_out},
    Line{counter, "velo_streaming_mux_batches_total", batches_help, "direction", "sent",
         &StreamCounts::batches_out},
    Line{counter, "velo_streaming_mux_batches_total", batches_help, "direction", "received",
         &StreamCounts::batches_in},
    Line{counter, "velo_streaming_producer_send_backpressure_total",
         "Items that had to wait for their consumer.", nullptr, nullptr, &StreamCounts::waited},
    Line{counter, "velo_streaming_slot_credit_exhausted_total",
         "Times that a sender found no credit, and waited or was refused.", nullptr, nullptr,
         &StreamCounts::without_credit},
    Line{gauge, "velo_streaming_waiting_sends", "Items that wait for their consumer now.", nullptr,
         nullptr, &StreamCounts::waiting},
    Line{gauge, "velo_streaming_outstanding_bytes",
         "Bytes sent that their consumers have not taken.", nullptr, nullptr,
         &StreamCounts::outstanding_bytes},
    Line{gauge, "velo_streaming_held_bytes", "Bytes that arrived and were not taken.", nullptr,
         nullptr, &StreamCounts::held_bytes},
    Line{counter, "velo_streaming_heartbeat_watchdog_firings_total",
         "Times that a peer gave no sign of life and all streams with it ended.", nullptr, nullptr,
         &StreamCounts::silences},
    Line{counter, "velo_streaming_mux_epoch_deaths_total",
         "Times that all streams with a peer ended because something was lost.", nullptr, nullptr,
         &StreamCounts::epochs_lost},
    Line{counter, "velo_streaming_mux_batch_seq_gaps_total", "Batches that were missing.", nullptr,
         nullptr, &StreamCounts::gaps},
    Line{counter, "velo_streaming_mux_records_dropped_total", dropped_help, "reason",
         "unknown_slot", &StreamCounts::ignored},
    Line{counter, "velo_streaming_mux_records_dropped_total", dropped_help, "reason",
         "protocol_error", &StreamCounts::violations},
};

}  // namespace streams_tally_detail

struct Tally::Published {
  Published(Tally& counted, std::function<StreamCounts()> now) noexcept
      : tally(counted), counts(std::move(now)) {}
  ~Published() {
    observations.clear();
    const std::lock_guard lock(tally.mutex_);
    tally.took_ = metrics::Latency();
  }
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

  Tally& tally;
  std::function<StreamCounts()> counts;  ///< keeps what is counted
  std::vector<metrics::Observation> observations;
};

void Tally::attached(Duration took) noexcept {
  const std::lock_guard lock(mutex_);
  took_.record(took);
}

Result<std::shared_ptr<void>> Tally::publish(metrics::Registry& registry, const InstanceId& node,
                                             const std::function<StreamCounts()>& counts) {
  auto published = std::make_shared<Published>(*this, counts);
  metrics::ObservedSeries series(registry, {{"node", node.to_string()}});
  const auto of = [](const Number& number) {
    return [&number] { return static_cast<std::int64_t>(number.load(std::memory_order_relaxed)); };
  };
  for (const auto& line : streams_tally_detail::lines) {
    metrics::Labels labels;
    if (line.label != nullptr) labels.emplace_back(line.label, line.value);
    series.add(line.kind, line.name, line.help, std::move(labels), [counts, number = line.number] {
      return static_cast<std::int64_t>(counts().*number);
    });
  }
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    for (const bool well : {true, false}) {
      series.add(metrics::Kind::counter, "velo_streaming_anchor_operations_total",
                 "Anchors made, and senders that asked to attach to them, by what came of it.",
                 {{"operation", streams_tally_detail::operations[i]},
                  {"outcome", well ? "success" : "error"}},
                 of(operations_[i][well ? 0 : 1]));
    }
  }
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    series.add(metrics::Kind::counter, "velo_streaming_stream_ends_total",
               "Streams to own anchors that ended, by how.",
               {{"end", streams_tally_detail::ends[i]}}, of(ends_[i]));
  }
  auto observed = series.take();
  if (!observed) return observed.error();
  published->observations = std::move(*observed);
  auto took = registry.latency("velo_streaming_anchor_operation_duration_seconds",
                               "How long attaching to an anchor took.",
                               {{"node", node.to_string()}, {"operation", "attach"}});
  if (!took) return took.error();
  const std::lock_guard lock(mutex_);
  took_ = *took;
  return std::shared_ptr<void>(std::move(published));
}

}  // namespace velo::streaming
