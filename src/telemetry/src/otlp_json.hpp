// SPDX-License-Identifier: Apache-2.0
// Spans as the JSON of an OTLP ExportTraceServiceRequest. Core: values in, text out.
// Threading: pure functions.
#pragma once

#include <velo/base/trace.hpp>

#include <span>
#include <string>
#include <string_view>

namespace velo::telemetry {

/// Who made the spans.
struct SpanSource {
  std::string service_name;
  std::string instance;  ///< empty: not said
};

std::string to_otlp_json(const SpanSource& source, std::span<const trace::Span> spans);

}  // namespace velo::telemetry
