// SPDX-License-Identifier: Apache-2.0
// Limits of the telemetry room, each with what happens when it is reached.
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>

namespace velo::telemetry::limits {

/// Connections of one scrape endpoint at once. Policy: a further one is closed when it is accepted.
constexpr std::size_t scrape_connections_max = 16;
/// The head of one HTTP request. Policy: a longer one is answered 431, and its connection closed.
constexpr std::size_t request_head_bytes_max = 8192;
/// Bytes that are read and dropped after a refusal, so that it can be heard. Policy: then the
/// connection is closed.
constexpr std::size_t discarded_bytes_max = std::size_t{1} << 20;
/// Time that a connection has for a whole request, from when it was opened or the one before was
/// answered, and for taking the answer. Policy: then it is closed.
constexpr Duration scrape_patience = std::chrono::seconds(15);

/// Finished spans of one exporter that wait for their collector. Policy: a further one is dropped,
/// and counted in velo_trace_spans_dropped_total.
constexpr std::size_t spans_queued_max = 8'192;
/// Spans of one request to the collector. Policy: the others wait for the next one.
constexpr std::size_t spans_per_batch_max = 512;
/// How long a span waits for company, unless the exporter is made otherwise. Policy: then it is
/// sent with what there is.
constexpr Duration span_linger_default = std::chrono::seconds(1);
/// Time that the collector has for taking a batch and answering. Policy: then its connection is
/// closed, and the batch sent again.
constexpr Duration export_patience = std::chrono::seconds(10);
/// Pause after a batch that the collector could not take now, the first time; at random between
/// half of it and all, and twice as long after each further failure. Policy: spans wait meanwhile.
constexpr Duration export_pause_first = std::chrono::milliseconds(250);
/// What that pause grows to, and the longest that a collector may ask for. Policy: it is asked
/// again after that.
constexpr Duration export_pause_longest = std::chrono::seconds(30);
/// The head and body of a collector's answer. Policy: of a longer one the connection is closed, and
/// the batch sent again.
constexpr std::size_t response_bytes_max = std::size_t{64} << 10;
/// Flushes of one exporter that are not over. Policy: more end as velo::Errc::overloaded.
constexpr std::size_t export_flushes_max = 64;
/// Time that the end of an exporter gives its last spans. Policy: then they are dropped.
constexpr Duration export_flush_patience = std::chrono::seconds(2);

}  // namespace velo::telemetry::limits
