// SPDX-License-Identifier: Apache-2.0
// TraceExporter: finished spans to a collector, as OTLP over HTTP/1.1 with JSON bodies (POST
// /v1/traces), in batches, again when the collector could not take them. Taking a span never waits:
// what does not fit is dropped and counted. Neither TLS nor names of hosts: the collector is an
// address, as an agent on this host is.
// Threading: every function from any thread; it works on shard 0 of its World.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/metrics.hpp>
#include <velo/base/op.hpp>
#include <velo/base/trace.hpp>
#include <velo/base/world.hpp>
#include <velo/telemetry/limits.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace velo::telemetry {

class ExportEngine;

struct ExportOptions {
  /// "http://127.0.0.1:4318": spans go to /v1/traces below it. "localhost" stands for 127.0.0.1.
  std::string endpoint;
  /// The whole URL, path included, is in `endpoint`.
  bool endpoint_has_path = false;
  std::string service_name = "velo";
  Duration linger = limits::span_linger_default;

  ExportOptions() = default;
  explicit ExportOptions(std::string url) : endpoint(std::move(url)) {}
};

/// What became of the spans so far; taken = exported + queued + the drops.
struct ExportCounts {
  std::uint64_t taken = 0;
  std::uint64_t queued = 0;           ///< those on their way included
  std::uint64_t exported = 0;         ///< the collector said that it has them
  std::uint64_t dropped_full = 0;     ///< limits::spans_queued_max were waiting
  std::uint64_t dropped_refused = 0;  ///< the collector will not have them, ever
  std::uint64_t dropped_closed = 0;   ///< they came after close(), or were left when it gave up
  std::uint64_t failed_exports = 0;   ///< requests that were, or are to be, repeated
};

class TraceExporter final : public trace::SpanSink {
 public:
  /// `world` outlives it. Errors: velo::Errc::invalid_argument for what is no URL with a numeric
  /// host, velo::Errc::unsupported for https. Nothing is connected yet.
  static Result<std::shared_ptr<TraceExporter>> open(World& world, ExportOptions options);
  /// What the standard environment variables say: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT (used as it
  /// is) before OTEL_EXPORTER_OTLP_ENDPOINT, with OTEL_SERVICE_NAME; nothing when neither is set.
  static std::optional<ExportOptions> from_environment();

  /// For open().
  explicit TraceExporter(std::shared_ptr<ExportEngine> engine) noexcept;
  TraceExporter(const TraceExporter&) = delete;
  TraceExporter& operator=(const TraceExporter&) = delete;
  ~TraceExporter() override;

  void take(trace::Span span) noexcept override;
  /// Told with each batch, as service.instance.id.
  void set_instance(std::string id);
  /// Ends when all that was taken before is exported or dropped; velo::Errc::io when the collector
  /// could not be reached or did not take it, and it goes on trying.
  Op<void> flush();
  /// Flushes, at most for limits::export_flush_patience (not at all on an executor's thread and in
  /// simulation), then drops what is left. Idempotent; the destructor does it.
  void close() noexcept;

  ExportCounts counts() const;
  /// velo_trace_spans_exported_total, velo_trace_spans_dropped_total{reason},
  /// velo_trace_spans_queued and velo_trace_exports_failed_total; the registry outlives this, or
  /// close(). Errors: those of Registry::observe().
  Result<void> publish_metrics(metrics::Registry& registry);

 private:
  std::shared_ptr<ExportEngine> engine_;
};

}  // namespace velo::telemetry
