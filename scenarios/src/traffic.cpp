// SPDX-License-Identifier: Apache-2.0
// Drawing sends.

#include "traffic.hpp"

#include <algorithm>
#include <numeric>

namespace velo::scenarios {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

Traffic::Traffic(Fleet& fleet, const TrafficOptions& options)
    : fleet_(fleet),
      options_(options),
      random_(fleet.sim().random()),
      paths_(fleet),
      routes_total_(std::accumulate(options.routes.begin(), options.routes.end(), 0U)) {}

bool Traffic::drive() {
  while (started_ < options_.calls) {
    burst();
    const Duration gap(static_cast<std::int64_t>(
        random_.below(static_cast<std::uint64_t>(options_.gap_max.count()) + 1)));
    if (!fleet_.run_for(gap)) return false;
    fleet_.revive();
    if (fleet_.ledger().open() < options_.open_max) continue;
    const auto fewer = [this] { return fleet_.ledger().open() < options_.open_max; };
    if (!fleet_.run_until(fewer, 10min, "the end of sends")) return false;
  }
  return fleet_.run_until([this] { return fleet_.ledger().open() == 0; }, 10min,
                          "the end of all sends");
}

void Traffic::burst() {
  if (chance(options_.all_at_once_per_thousand)) return all_at_once();
  const std::uint64_t count = 1 + random_.below(options_.burst_max);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto from = static_cast<std::uint32_t>(random_.below(fleet_.size()));
    const auto to = static_cast<std::uint32_t>(random_.below(fleet_.size()));
    start_one(from, to);
  }
  if (chance(options_.drains_per_thousand)) {
    const auto node = static_cast<std::uint32_t>(random_.below(fleet_.size()));
    const Duration patience = std::chrono::milliseconds(random_.below(3'000));
    fleet_.drain(node, patience);
  }
  if (options_.path_changes_per_thousand != 0 && chance(options_.path_changes_per_thousand)) {
    paths_.draw();
  }
}

void Traffic::all_at_once() {
  for (std::uint32_t from = 0; from < fleet_.size(); ++from) {
    for (std::uint32_t to = 0; to < fleet_.size(); ++to) start_one(from, to);
  }
}

void Traffic::start_one(std::uint32_t from, std::uint32_t to) {
  ++started_;
  const Order order = draw(to);
  const std::uint64_t context = random_.below(4);
  Member* member = fleet_.member(from);
  if (member == nullptr || member->draining) return;
  if (context == 0) return send(fleet_, *member, order);
  // The member may be gone when the task runs, but then the task does not run.
  auto task = [&fleet = fleet_, member, order] {
    if (!member->draining) send(fleet, *member, order);
  };
  if (context == 1) return post(member->node().pool(), std::move(task));
  const std::size_t shard = order.bytes % member->node().shard_count();
  post(member->node().shard(shard), std::move(task));
}

Order Traffic::draw(std::uint32_t to) {
  Order order;
  order.to = fleet_.latest(to);
  if (order.to.run > 0 && chance(options_.stale_per_thousand)) --order.to.run;
  order.route = draw_route();
  const std::uint64_t pattern = random_.below(10);
  const bool returns_nothing = order.route == Route::note || order.route == Route::note_spawn;
  if (returns_nothing) {
    order.pattern = pattern < 5 ? Pattern::fire : Pattern::sync;
  } else if (order.route != Route::typed && order.route != Route::typed_spawn) {
    order.pattern = Pattern::unary;
    if (pattern < 2) order.pattern = pattern == 0 ? Pattern::fire : Pattern::sync;
  }
  order.bytes = draw_bytes();
  order.reply_bytes = draw_bytes();
  order.delay_us = static_cast<std::uint32_t>(random_.below(50'000));
  order.relay_to = static_cast<std::uint32_t>(random_.below(fleet_.size()));
  order.timeout = options_.timeout;
  if (order.route == Route::never) order.timeout = std::chrono::milliseconds(random_.below(3'000));
  draw_manner(order);
  return order;
}

void Traffic::draw_manner(Order& order) {
  order.await_capacity = chance(options_.capacity_per_thousand);
  if (chance(options_.tight_per_thousand)) {
    order.tight = true;
    order.timeout = std::chrono::microseconds(random_.below(3'000));
  }
  if (chance(250)) order.manner = Manner::waits_on_pool;
  if (chance(options_.cancel_per_thousand)) order.manner = Manner::cancels;
  // A fire-and-forget send that is dropped is only forgotten.
  if (chance(options_.drop_per_thousand) && order.pattern != Pattern::fire) {
    order.manner = Manner::drops;
  }
  order.patience = std::chrono::microseconds(random_.below(2'000));
}

Route Traffic::draw_route() {
  std::uint64_t at = random_.below(routes_total_);
  for (std::size_t i = 0; i < route_count; ++i) {
    if (at < options_.routes[i]) return static_cast<Route>(i);
    at -= options_.routes[i];
  }
  return Route::echo;
}

std::uint32_t Traffic::draw_bytes() {
  const bool big = chance(options_.big_per_thousand);
  return static_cast<std::uint32_t>(
      random_.below((big ? options_.big_bytes_max : options_.bytes_max) + 1));
}

}  // namespace velo::scenarios
