// SPDX-License-Identifier: Apache-2.0
// What an operator sees of a node: metrics and traces.

#include "builder_parts.hpp"

#include <velo/base/log.hpp>

#include <utility>

namespace velo {

VeloBuilder& VeloBuilder::metrics(::velo::metrics::Registry& registry) & {
  parts_->registry = &registry;
  return *this;
}
VeloBuilder&& VeloBuilder::metrics(::velo::metrics::Registry& registry) && {
  return std::move(metrics(registry));
}

VeloBuilder& VeloBuilder::serve_metrics(telemetry::ScrapeOptions options) & {
  parts_->scraped = std::move(options);
  return *this;
}
VeloBuilder&& VeloBuilder::serve_metrics(telemetry::ScrapeOptions options) && {
  return std::move(serve_metrics(std::move(options)));
}

Result<void> VeloBuilder::publish(Velo& node) {
  ::velo::metrics::Registry* registry = parts_->registry;
  if (registry == nullptr && !parts_->scraped) return {};
  if (registry == nullptr) {
    node.registry_ = std::make_unique<::velo::metrics::Registry>();
    registry = node.registry_.get();
  }
  if (auto published = node.messenger().publish_metrics(*registry); !published) return published;
  if (const auto& exporter = node.exporter_.exporter(); exporter != nullptr) {
    if (auto published = exporter->publish_metrics(*registry); !published) return published;
  }
  if (!parts_->scraped) return {};
  auto opened =
      telemetry::ScrapeEndpoint::open(node.world(), *registry, std::move(*parts_->scraped));
  if (!opened) return opened.error();
  node.scraped_ = std::move(*opened);
  return {};
}

VeloBuilder& VeloBuilder::export_traces(telemetry::ExportOptions options,
                                        trace::Sampling sampling) & {
  parts_->exported = std::move(options);
  parts_->exported_if_possible = false;
  parts_->sampling = sampling;
  return *this;
}
VeloBuilder&& VeloBuilder::export_traces(telemetry::ExportOptions options,
                                         trace::Sampling sampling) && {
  return std::move(export_traces(std::move(options), sampling));
}

VeloBuilder& VeloBuilder::export_traces_from_environment(trace::Sampling sampling) & {
  if (auto options = telemetry::TraceExporter::from_environment()) {
    export_traces(std::move(*options), sampling);
    parts_->exported_if_possible = true;
  }
  return *this;
}
VeloBuilder&& VeloBuilder::export_traces_from_environment(trace::Sampling sampling) && {
  return std::move(export_traces_from_environment(sampling));
}

Result<std::shared_ptr<telemetry::TraceExporter>> VeloBuilder::Parts::open_exporter(
    World& in) const {
  if (!exported) return std::shared_ptr<telemetry::TraceExporter>();
  auto opened = telemetry::TraceExporter::open(in, *exported);
  if (opened || !exported_if_possible) return opened;
  VELO_LOG_WARN(runtime, "no traces: the environment names no collector that can be used",
                {"error", opened.error().to_string()});
  return std::shared_ptr<telemetry::TraceExporter>();
}

}  // namespace velo
