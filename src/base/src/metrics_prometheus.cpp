// SPDX-License-Identifier: Apache-2.0
// Prometheus text exposition of a snapshot.

#include <velo/base/metrics.hpp>

#include <fmt/format.h>

#include <iterator>

namespace velo::metrics {

namespace metrics_prometheus_detail {

static void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

/// `name{label="value",...,bound}`; `bound` is the histogram's own label, already quoted.
static void append_series(std::string& out, std::string_view name, const Labels& labels,
                          std::string_view bound = {}) {
  out += name;
  if (labels.empty() && bound.empty()) return;
  char before = '{';
  for (const auto& [label, value] : labels) {
    out += before;
    before = ',';
    out += label;
    out += "=\"";
    append_escaped(out, value, true);
    out += '"';
  }
  if (!bound.empty()) {
    out += before;
    out += bound;
  }
  out += '}';
}

static void append_latency(std::string& out, const std::string& name, const Series& series) {
  const LatencyCounts& latency = series.latency;
  const std::string bucket_name = name + "_bucket";
  constexpr std::size_t per_power = 4;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < metrics_detail::latency_overflow; ++i) {
    below += latency.buckets[i];
    if ((i + 1) % per_power != 0) continue;
    const std::uint64_t bound = metrics_detail::LatencyBuckets::lowest(i + 1)
                                << metrics_detail::latency_unit_bits;
    append_series(out, bucket_name, series.labels,
                  fmt::format("le=\"{}\"", static_cast<double>(bound) / 1e9));
    fmt::format_to(std::back_inserter(out), " {}\n", below);
  }
  append_series(out, bucket_name, series.labels, "le=\"+Inf\"");
  fmt::format_to(std::back_inserter(out), " {}\n", latency.count);
  append_series(out, name + "_sum", series.labels);
  fmt::format_to(std::back_inserter(out), " {}\n", static_cast<double>(latency.sum.count()) / 1e9);
  append_series(out, name + "_count", series.labels);
  fmt::format_to(std::back_inserter(out), " {}\n", latency.count);
}

static std::string_view type_name(Kind kind) noexcept {
  switch (kind) {
    case Kind::counter: return "counter";
    case Kind::gauge: return "gauge";
    case Kind::latency: return "histogram";
  }
  return "untyped";
}

}  // namespace metrics_prometheus_detail

std::string to_prometheus(const Snapshot& snapshot) {
  std::string out;
  for (const Family& family : snapshot.families) {
    if (!family.help.empty()) {
      out += "# HELP " + family.name + ' ';
      metrics_prometheus_detail::append_escaped(out, family.help, false);
      out += '\n';
    }
    out += "# TYPE " + family.name + ' ';
    out += metrics_prometheus_detail::type_name(family.kind);
    out += '\n';
    for (const Series& series : family.series) {
      if (family.kind == Kind::latency) {
        metrics_prometheus_detail::append_latency(out, family.name, series);
        continue;
      }
      metrics_prometheus_detail::append_series(out, family.name, series.labels);
      fmt::format_to(std::back_inserter(out), " {}\n", series.value);
    }
  }
  return out;
}

}  // namespace velo::metrics
