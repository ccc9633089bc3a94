// SPDX-License-Identifier: Apache-2.0
// Which number is which series.

#include "tally.hpp"

#include <velo/base/observed_series.hpp>

#include <string>
#include <vector>

namespace velo::rendezvous {
namespace tally_detail {

constexpr std::array<const char*, operations> names = {"register", "metadata", "acquire", "pull",
                                                       "ref",      "detach",   "release", "get"};

static std::int64_t of(const std::atomic<std::uint64_t>& number) noexcept {
  return static_cast<std::int64_t>(number.load(std::memory_order_relaxed));
}

struct Now {
  const char* name;
  const char* help;
  std::int64_t (*read)(const RendezvousUse&);
};
constexpr std::array nows{
    Now{"velo_rendezvous_active_slots", "Pieces of data that are registered or staged.",
        [](const RendezvousUse& use) { return static_cast<std::int64_t>(use.entries); }},
    Now{"velo_rendezvous_active_leases", "Read locks on these.",
        [](const RendezvousUse& use) { return static_cast<std::int64_t>(use.leases); }},
    Now{"velo_rendezvous_registered_bytes", "Bytes of these.",
        [](const RendezvousUse& use) { return static_cast<std::int64_t>(use.bytes); }},
    Now{"velo_rendezvous_active_transfers", "Transfers that read from others.",
        [](const RendezvousUse& use) { return static_cast<std::int64_t>(use.transfers); }},
};

}  // namespace tally_detail

struct Tally::Published {
  Published(Tally& counted, std::function<RendezvousUse()> now) noexcept
      : tally(counted), use(std::move(now)) {}
  ~Published() {
    observations.clear();
    const std::lock_guard lock(tally.mutex_);
    tally.took_ = metrics::Latency();
  }
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

  Tally& tally;
  std::function<RendezvousUse()> use;  ///< keeps what is counted
  std::vector<metrics::Observation> observations;
};

void Tally::got(bool well, std::uint64_t bytes, Duration took) noexcept {
  count(Operation::get, well);
  received_.fetch_add(bytes, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  took_.record(took);
}

Result<std::shared_ptr<void>> Tally::publish(metrics::Registry& registry, const InstanceId& node,
                                             const std::function<RendezvousUse()>& use) {
  auto published = std::make_shared<Published>(*this, use);
  metrics::ObservedSeries series(registry, {{"node", node.to_string()}});
  for (std::size_t i = 0; i < operations; ++i) {
    for (const bool well : {true, false}) {
      const Number& number = ends_[i][well ? 0 : 1];
      series.add(metrics::Kind::counter, "velo_rendezvous_operations_total",
                 "Operations on large data, by how they ended.",
                 {{"operation", tally_detail::names[i]}, {"outcome", well ? "success" : "error"}},
                 [&number] { return tally_detail::of(number); });
    }
  }
  for (const bool out : {true, false}) {
    const Number& number = out ? sent_ : received_;
    series.add(metrics::Kind::counter, "velo_rendezvous_bytes_total",
               "Bytes of large data that were given to readers, and read from owners.",
               {{"direction", out ? "sent" : "received"}},
               [&number] { return tally_detail::of(number); });
  }
  for (const auto& each : tally_detail::nows) {
    series.add(metrics::Kind::gauge, each.name, each.help, {},
               [use, read = each.read] { return read(use()); });
  }
  auto observed = series.take();
  if (!observed) return observed.error();
  published->observations = std::move(*observed);
  auto took = registry.latency("velo_rendezvous_operation_duration_seconds",
                               "How long reading took, from the first request to the last write.",
                               {{"node", node.to_string()}, {"operation", "get"}});
  if (!took) return took.error();
  const std::lock_guard lock(mutex_);
  took_ = *took;
  return std::shared_ptr<void>(std::move(published));
}

}  // namespace velo::rendezvous
