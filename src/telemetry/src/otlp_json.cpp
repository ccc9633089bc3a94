// SPDX-License-Identifier: Apache-2.0
// OTLP in JSON: ids as hex digits, 64-bit numbers as text, enumerators as numbers.

#include "otlp_json.hpp"

#include <velo/codec/json.hpp>

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace velo::telemetry {
namespace otlp_json_detail {

static void append_attribute(std::string& out, std::string_view name, std::string_view value) {
  fmt::format_to(std::back_inserter(out), R"({{"key":{},"value":{{"stringValue":{}}}}})",
                 to_json(name), to_json(value));
}

static void append_span(std::string& out, const trace::Span& span) {
  const auto into = std::back_inserter(out);
  fmt::format_to(into, R"({{"traceId":"{}","spanId":"{}",)", span.context.trace.to_string(),
                 span.context.span.to_string());
  if (span.parent.valid()) {
    fmt::format_to(into, R"("parentSpanId":"{}",)", span.parent.to_string());
  }
  if (!span.context.state.empty()) {
    fmt::format_to(into, R"("traceState":{},)", to_json(span.context.state));
  }
  const std::int64_t start = span.start.unix_nanoseconds;
  fmt::format_to(
      into, R"("name":{},"kind":{},"startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[)",
      to_json(span.name), static_cast<int>(span.kind), start, start + span.duration.count());
  bool first = true;
  for (const auto& [name, value] : span.attributes) {
    if (!std::exchange(first, false)) out += ',';
    append_attribute(out, name, value);
  }
  out += ']';
  constexpr int status_error = 2;
  if (span.error) {
    fmt::format_to(into, R"(,"status":{{"code":{},"message":{}}})", status_error,
                   to_json(*span.error));
  }
  out += '}';
}

}  // namespace otlp_json_detail

std::string to_otlp_json(const SpanSource& source, std::span<const trace::Span> spans) {
  using namespace otlp_json_detail;
  std::string out = R"({"resourceSpans":[{"resource":{"attributes":[)";
  append_attribute(out, "service.name", source.service_name);
  if (!source.instance.empty()) {
    out += ',';
    append_attribute(out, "service.instance.id", source.instance);
  }
  out += R"(]},"scopeSpans":[{"scope":{"name":"velo"},"spans":[)";
  bool first = true;
  for (const trace::Span& span : spans) {
    if (!std::exchange(first, false)) out += ',';
    append_span(out, span);
  }
  out += "]}]}]}";
  return out;
}

}  // namespace velo::telemetry
