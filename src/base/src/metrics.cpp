// SPDX-License-Identifier: Apache-2.0
// The registry: which series exist, where their cells lie, and their sums.

#include <velo/base/metrics.hpp>

#include "utf8.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

namespace velo::metrics {

namespace metrics_detail {

constexpr std::size_t cache_line_bytes = 64;

struct alignas(cache_line_bytes) CounterChunk {
  std::array<Cell, stripe_count * counter_stride> cells{};
};

struct alignas(cache_line_bytes) LatencyChunk {
  std::array<Cell, stripe_count * latency_stride> cells{};
};

struct alignas(cache_line_bytes) GaugeChunk {
  std::atomic<std::int64_t> cell{0};
};

struct SeriesState {
  Cell* cells = nullptr;  ///< of a counter or a latency; the chunks own them
  std::unique_ptr<GaugeChunk> gauge;
  std::unique_ptr<LatencyChunk> latency;
  mutable std::move_only_function<std::int64_t()> read;
};

struct FamilyState {
  std::string help;
  Kind kind = Kind::counter;
  std::map<Labels, SeriesState> series;
};

static bool is_name(std::string_view text) noexcept {
  const auto first = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && text.size() <= name_bytes_max && first(text[0]) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return first(c) || (c >= '0' && c <= '9'); });
}

static Result<void> check(std::string_view name, Labels& labels) {
  const auto invalid = [&](const char* why, std::string_view what) {
    return make_error(Errc::invalid_argument, "metric \"" + std::string(name.substr(0, 80)) +
                                                  "\": " + why + " \"" +
                                                  std::string(what.substr(0, 80)) + '"');
  };
  if (!is_name(name)) return invalid("not a name:", name);
  if (labels.size() > labels_max) return invalid("too many labels, from", labels[labels_max].first);
  std::sort(labels.begin(), labels.end());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto& [label, value] = labels[i];
    if (!is_name(label) || label.starts_with("__")) return invalid("not a label name:", label);
    if (label == "le") return invalid("a label name with a meaning of its own:", label);
    if (i > 0 && labels[i - 1].first == label) return invalid("twice the label", label);
    if (value.size() > label_value_bytes_max) return invalid("too long a value of", label);
    // One would make a scraper refuse the whole text.
    if (!utf8::well_formed(value)) return invalid("invalid UTF-8 in the value of", label);
  }
  return {};
}

static std::uint64_t sum(const Cell* cell, std::size_t stride) noexcept {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < stripe_count; ++i) {
    total += cell[i * stride].load(std::memory_order_relaxed);
  }
  return total;
}

static Series read_series(Kind kind, const Labels& labels, const SeriesState& state) {
  Series series;
  series.labels = labels;
  if (state.read) {
    series.value = state.read();
  } else if (kind == Kind::counter) {
    series.value = static_cast<std::int64_t>(sum(state.cells, counter_stride));
  } else if (kind == Kind::gauge) {
    series.value = state.gauge->cell.load(std::memory_order_relaxed);
  } else {
    for (std::size_t i = 0; i < latency_buckets; ++i) {
      series.latency.buckets[i] = sum(state.cells + i, latency_stride);
      series.latency.count += series.latency.buckets[i];
    }
    series.latency.sum =
        Duration(static_cast<std::int64_t>(sum(state.cells + latency_buckets, latency_stride)));
  }
  return series;
}

}  // namespace metrics_detail

struct Registry::State {
  explicit State(RegistryOptions o) noexcept : options(o) {}

  const RegistryOptions options;
  mutable std::mutex mutex;
  std::map<std::string, metrics_detail::FamilyState, std::less<>> families;
  std::size_t series_count = 0;
  std::vector<std::unique_ptr<metrics_detail::CounterChunk>> counters;
  std::size_t counters_used = 0;

  struct Found {
    metrics_detail::SeriesState* series;
    bool is_new;
  };

  /// The series, made if it is missing. The caller holds the mutex.
  Result<Found> find_or_add(Kind kind, std::string_view name, std::string_view help,
                            Labels labels) {
    if (auto checked = metrics_detail::check(name, labels); !checked) return checked.error();
    const auto family = families.find(name);
    if (family != families.end()) {
      if (family->second.kind != kind) {
        return make_error(Errc::invalid_argument,
                          "metric \"" + std::string(name) + "\" exists with another kind");
      }
      const auto series = family->second.series.find(labels);
      if (series != family->second.series.end()) return Found{&series->second, false};
    }
    if (series_count >= options.series_max) {
      return make_error(Errc::overloaded, "metric \"" + std::string(name) + "\": series_max (" +
                                              std::to_string(options.series_max) + ") is reached");
    }
    ++series_count;
    auto& added = families[std::string(name)];
    if (added.series.empty()) {
      added.kind = kind;
      added.help = help;
    }
    return Found{&added.series[std::move(labels)], true};
  }

  metrics_detail::Cell* new_counter() {
    if (counters_used == counters.size() * metrics_detail::counter_stride) {
      counters.push_back(std::make_unique<metrics_detail::CounterChunk>());
    }
    const std::size_t slot = counters_used++ % metrics_detail::counter_stride;
    return counters.back()->cells.data() + slot;
  }

  void remove(const std::string& name, const Labels& labels) {
    const std::scoped_lock lock(mutex);
    const auto family = families.find(name);
    family->second.series.erase(labels);
    if (family->second.series.empty()) families.erase(family);
    --series_count;
  }
};

Registry::Registry(RegistryOptions options) : state_(std::make_unique<State>(options)) {}
Registry::~Registry() = default;

Result<Counter> Registry::counter(std::string_view name, std::string_view help, Labels labels) {
  const std::scoped_lock lock(state_->mutex);
  auto found = state_->find_or_add(Kind::counter, name, help, std::move(labels));
  if (!found) return found.error();
  if (found->is_new) found->series->cells = state_->new_counter();
  if (found->series->cells == nullptr) {
    return make_error(Errc::already_exists, "metric \"" + std::string(name) + "\" is observed");
  }
  return Counter(found->series->cells);
}

Result<Gauge> Registry::gauge(std::string_view name, std::string_view help, Labels labels) {
  const std::scoped_lock lock(state_->mutex);
  auto found = state_->find_or_add(Kind::gauge, name, help, std::move(labels));
  if (!found) return found.error();
  if (found->is_new) found->series->gauge = std::make_unique<metrics_detail::GaugeChunk>();
  if (found->series->gauge == nullptr) {
    return make_error(Errc::already_exists, "metric \"" + std::string(name) + "\" is observed");
  }
  return Gauge(&found->series->gauge->cell);
}

Result<Latency> Registry::latency(std::string_view name, std::string_view help, Labels labels) {
  const std::scoped_lock lock(state_->mutex);
  auto found = state_->find_or_add(Kind::latency, name, help, std::move(labels));
  if (!found) return found.error();
  if (found->is_new) {
    found->series->latency = std::make_unique<metrics_detail::LatencyChunk>();
    found->series->cells = found->series->latency->cells.data();
  }
  return Latency(found->series->cells);
}

Result<Observation> Registry::observe(Kind kind, std::string_view name, std::string_view help,
                                      Labels labels, std::move_only_function<std::int64_t()> read) {
  if (kind == Kind::latency || !read) {
    return make_error(Errc::invalid_argument,
                      "metric \"" + std::string(name.substr(0, 80)) +
                          "\": only a counter or a gauge can be observed, by a function");
  }
  const std::scoped_lock lock(state_->mutex);
  auto found = state_->find_or_add(kind, name, help, labels);
  if (!found) return found.error();
  if (!found->is_new) {
    return make_error(Errc::already_exists, "metric \"" + std::string(name) + "\" exists");
  }
  found->series->read = std::move(read);
  std::sort(labels.begin(), labels.end());
  return Observation([state = state_.get(), name = std::string(name), labels = std::move(labels)] {
    state->remove(name, labels);
  });
}

Snapshot Registry::snapshot() const {
  Snapshot snapshot;
  const std::scoped_lock lock(state_->mutex);
  snapshot.families.reserve(state_->families.size());
  for (const auto& [name, state] : state_->families) {
    Family family{name, state.help, state.kind, {}};
    family.series.reserve(state.series.size());
    for (const auto& [labels, series] : state.series) {
      family.series.push_back(metrics_detail::read_series(state.kind, labels, series));
    }
    snapshot.families.push_back(std::move(family));
  }
  return snapshot;
}

const Series* Snapshot::find(std::string_view name, const Labels& labels) const {
  Labels sorted = labels;
  std::sort(sorted.begin(), sorted.end());
  for (const Family& family : families) {
    if (family.name != name) continue;
    for (const Series& series : family.series) {
      if (series.labels == sorted) return &series;
    }
  }
  return nullptr;
}

std::int64_t Snapshot::value(std::string_view name, const Labels& labels) const {
  const Series* series = find(name, labels);
  return series != nullptr ? series->value : 0;
}

Duration LatencyCounts::percentile(double percent) const noexcept {
  if (count == 0) return Duration::zero();
  const double exact = std::ceil(percent / 100 * static_cast<double>(count));
  const std::uint64_t rank =
      exact >= 1 ? std::min(count, static_cast<std::uint64_t>(exact)) : std::uint64_t{1};
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  while (bucket < buckets.size() - 1 && (seen += buckets[bucket]) < rank) ++bucket;
  const std::uint64_t bound = metrics_detail::LatencyBuckets::lowest(bucket + 1);
  return Duration(static_cast<std::int64_t>(bound << metrics_detail::latency_unit_bits));
}

}  // namespace velo::metrics
