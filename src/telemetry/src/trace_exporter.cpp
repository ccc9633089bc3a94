// SPDX-License-Identifier: Apache-2.0
// The exporter's public face, and what the environment says of it.

#include <velo/telemetry/trace_exporter.hpp>

#include "export_engine.hpp"

#include <cstdlib>
#include <utility>

namespace velo::telemetry {
namespace trace_exporter_detail {

constexpr std::string_view traces_path = "v1/traces";

static std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace trace_exporter_detail

Result<std::shared_ptr<TraceExporter>> TraceExporter::open(World& world, ExportOptions options) {
  auto url = parse_collector_url(options.endpoint);
  if (!url) return url.error();
  if (!options.endpoint_has_path) {
    if (!url->path.ends_with('/')) url->path += '/';
    url->path += trace_exporter_detail::traces_path;
  }
  return std::make_shared<TraceExporter>(
      std::make_shared<ExportEngine>(world, std::move(*url), std::move(options)));
}

std::optional<ExportOptions> TraceExporter::from_environment() {
  using trace_exporter_detail::variable;
  ExportOptions options(variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
  options.endpoint_has_path = !options.endpoint.empty();
  if (options.endpoint.empty()) options.endpoint = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
  if (options.endpoint.empty()) return std::nullopt;
  if (std::string name = variable("OTEL_SERVICE_NAME"); !name.empty()) {
    options.service_name = std::move(name);
  }
  return options;
}

TraceExporter::TraceExporter(std::shared_ptr<ExportEngine> engine) noexcept
    : engine_(std::move(engine)) {}
TraceExporter::~TraceExporter() { engine_->close(); }

void TraceExporter::take(trace::Span span) noexcept { engine_->add(std::move(span)); }
void TraceExporter::set_instance(std::string id) { engine_->set_instance(std::move(id)); }
Op<void> TraceExporter::flush() { return engine_->flush(); }
void TraceExporter::close() noexcept { engine_->close(); }
ExportCounts TraceExporter::counts() const { return engine_->counts(); }
Result<void> TraceExporter::publish_metrics(metrics::Registry& registry) {
  return engine_->publish(registry);
}

}  // namespace velo::telemetry
