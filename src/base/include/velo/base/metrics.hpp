// SPDX-License-Identifier: Apache-2.0
// Metrics of one composition: counters, gauges and latencies with fixed labels, registered once and
// updated through handles that cost a few nanoseconds; merged when somebody looks (snapshot) or
// scrapes (Prometheus text). Never global: a registry is passed in. Not the ledger of the
// messenger, which counts for itself and is observed here.
// Threading: everything from any thread. Handles stay valid as long as their registry lives.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/histogram.hpp>
#include <velo/base/stripe.hpp>
#include <velo/base/time.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::metrics {

enum class Kind : std::uint8_t { counter, gauge, latency };

/// Pairs of name and value; their order does not matter.
using Labels = std::vector<std::pair<std::string, std::string>>;

namespace metrics_detail {

using Cell = std::atomic<std::uint64_t>;

inline void add(Cell* cell, std::uint32_t stripe, std::uint64_t amount) noexcept {
  stripe_add(*cell, stripe == shared_stripe, amount);
}

/// Counters of one stripe lie together: 64 of them, eight cache lines, before the next stripe's.
constexpr std::size_t counter_stride = 64;

/// 256 ns wide below 1 us, then four per power of two; the last takes what is 137 s or longer.
using LatencyBuckets = LogLinear<2>;
constexpr unsigned latency_unit_bits = 8;
constexpr std::size_t latency_overflow =
    LatencyBuckets::index((std::uint64_t{1} << (37 - latency_unit_bits)) - 1) + 1;
constexpr std::size_t latency_buckets = latency_overflow + 1;
constexpr std::size_t latency_stride = (latency_buckets + 1 + 7) / 8 * 8;

}  // namespace metrics_detail

/// A number that only grows. Without a registry (default-constructed) it counts nothing.
class Counter {
 public:
  Counter() noexcept = default;
  void add(std::uint64_t amount = 1) const noexcept {
    if (cells_ == nullptr) return;
    const std::uint32_t stripe = stripe_of_thread();
    metrics_detail::add(cells_ + stripe * metrics_detail::counter_stride, stripe, amount);
  }

 private:
  friend class Registry;
  explicit Counter(metrics_detail::Cell* cells) noexcept : cells_(cells) {}
  metrics_detail::Cell* cells_ = nullptr;
};

/// A number that goes up and down.
class Gauge {
 public:
  Gauge() noexcept = default;
  void set(std::int64_t value) const noexcept {
    if (cell_ != nullptr) cell_->store(value, std::memory_order_relaxed);
  }
  void add(std::int64_t amount) const noexcept {
    if (cell_ != nullptr) cell_->fetch_add(amount, std::memory_order_relaxed);
  }

 private:
  friend class Registry;
  explicit Gauge(std::atomic<std::int64_t>* cell) noexcept : cell_(cell) {}
  std::atomic<std::int64_t>* cell_ = nullptr;
};

/// How long something took, in buckets from 1 us to 137 s that are at most a quarter wide.
class Latency {
 public:
  Latency() noexcept = default;
  /// Negative durations count as zero.
  void record(Duration duration) const noexcept {
    if (cells_ == nullptr) return;
    const std::uint64_t value =
        duration.count() < 0 ? 0 : static_cast<std::uint64_t>(duration.count());
    std::size_t bucket =
        metrics_detail::LatencyBuckets::index(value >> metrics_detail::latency_unit_bits);
    if (bucket > metrics_detail::latency_overflow) bucket = metrics_detail::latency_overflow;
    const std::uint32_t stripe = stripe_of_thread();
    metrics_detail::Cell* row = cells_ + stripe * metrics_detail::latency_stride;
    metrics_detail::add(row + bucket, stripe, 1);
    metrics_detail::add(row + metrics_detail::latency_buckets, stripe, value);
  }

 private:
  friend class Registry;
  explicit Latency(metrics_detail::Cell* cells) noexcept : cells_(cells) {}
  metrics_detail::Cell* cells_ = nullptr;
};

/// What a Latency had counted at one instant.
struct LatencyCounts {
  std::uint64_t count = 0;
  Duration sum{0};
  std::array<std::uint64_t, metrics_detail::latency_buckets> buckets{};

  /// The upper bound of the bucket in which `percent` (0 to 100) of all are reached; zero when
  /// empty.
  Duration percentile(double percent) const noexcept;
};

struct Series {
  Labels labels;           ///< sorted by name
  std::int64_t value = 0;  ///< of a counter or a gauge
  LatencyCounts latency;
};

struct Family {
  std::string name;
  std::string help;
  Kind kind = Kind::counter;
  std::vector<Series> series;  ///< sorted by labels
};

/// All metrics, sorted by name. Each number is exact; numbers that change together need not be from
/// the same instant.
struct Snapshot {
  std::vector<Family> families;

  /// The series of that name and those labels; null if there is none.
  const Series* find(std::string_view name, const Labels& labels = {}) const;
  /// Its value; 0 if there is none.
  std::int64_t value(std::string_view name, const Labels& labels = {}) const;
};

/// The text that Prometheus scrapes (exposition format 0.0.4); latencies in seconds, a bucket per
/// power of two.
std::string to_prometheus(const Snapshot& snapshot);

/// Longer names and label values, and more labels, are Errc::invalid_argument.
constexpr std::size_t name_bytes_max = 128;
constexpr std::size_t label_value_bytes_max = 256;
constexpr std::size_t labels_max = 16;

struct RegistryOptions {
  /// Refused beyond this with Errc::overloaded: labels are often made of things that peers choose.
  std::size_t series_max = 4096;
  RegistryOptions() = default;
};

/// Keeps an observed number registered; destroying it waits for a snapshot that is being taken.
class Observation {
 public:
  Observation() noexcept = default;
  Observation(Observation&&) noexcept = default;
  Observation& operator=(Observation&& other) noexcept {
    std::swap(remove_, other.remove_);
    return *this;
  }
  ~Observation() {
    if (remove_) remove_();
  }

 private:
  friend class Registry;
  explicit Observation(std::move_only_function<void()> remove) : remove_(std::move(remove)) {}
  std::move_only_function<void()> remove_;
};

class Registry {
 public:
  explicit Registry(RegistryOptions options = RegistryOptions());
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();

  /// The series of that name and those labels, registered at first use and the same one afterwards.
  /// Names are Prometheus's: snake_case, a counter's ends in _total, a latency's in _seconds.
  /// Errc::invalid_argument for a malformed name or label and for a name in use with another kind;
  /// Errc::overloaded beyond series_max.
  Result<Counter> counter(std::string_view name, std::string_view help, Labels labels = {});
  Result<Gauge> gauge(std::string_view name, std::string_view help, Labels labels = {});
  Result<Latency> latency(std::string_view name, std::string_view help, Labels labels = {});

  /// A counter or gauge that `read` tells when a snapshot is taken, for numbers that are counted
  /// elsewhere. `read` runs on the thread that takes the snapshot and must not use the registry.
  /// Errc::already_exists for a second one of the same name and labels; otherwise as above. The
  /// registry must outlive the observation.
  Result<Observation> observe(Kind kind, std::string_view name, std::string_view help,
                              Labels labels, std::move_only_function<std::int64_t()> read);

  Snapshot snapshot() const;
  std::string to_prometheus() const { return metrics::to_prometheus(snapshot()); }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace velo::metrics
