// SPDX-License-Identifier: Apache-2.0
// Traffic: who sends what to whom, drawn from the simulation's seed: every pattern, kind of
// handler, size and manner, from shards, from the pool and from outside.
// Threading: the one thread that drives the simulation.
#pragma once

#include "path_changes.hpp"
#include "send.hpp"

#include <array>

namespace velo::scenarios {

struct TrafficOptions {
  std::uint64_t calls = 1'000;
  /// Relative frequency of each Route.
  std::array<std::uint32_t, route_count> routes{8, 6, 24, 10, 6, 3, 6, 3, 2, 2, 1, 1, 1};
  std::uint32_t bytes_max = 300;  ///< of a usual body
  std::uint32_t big_per_thousand = 2;
  std::uint32_t big_bytes_max = 200'000;
  Duration gap_max = std::chrono::microseconds(400);  ///< of virtual time between bursts
  std::uint32_t burst_max = 1;                        ///< sends at one instant
  /// Now and then everybody sends to everybody at one instant.
  std::uint32_t all_at_once_per_thousand = 0;
  std::uint32_t tight_per_thousand = 20;
  std::uint32_t cancel_per_thousand = 20;
  std::uint32_t drop_per_thousand = 10;
  std::uint32_t stale_per_thousand = 20;  ///< to an earlier run of the target, if there was one
  std::uint32_t capacity_per_thousand = 0;
  std::uint32_t drains_per_thousand = 0;
  std::uint32_t path_changes_per_thousand = 0;
  std::uint64_t open_max = 4'000;  ///< no more begin while so many are open
  Duration timeout = std::chrono::seconds(20);
  TrafficOptions() = default;
};

class Traffic {
 public:
  Traffic(Fleet& fleet, const TrafficOptions& options);

  /// Begins all sends and waits for their ends; false once a promise is broken.
  bool drive();

 private:
  void burst();
  void all_at_once();
  void start_one(std::uint32_t from, std::uint32_t to);
  Order draw(std::uint32_t to);
  void draw_manner(Order& order);
  Route draw_route();
  std::uint32_t draw_bytes();
  bool chance(std::uint32_t per_thousand) { return random_.below(1'000) < per_thousand; }

  Fleet& fleet_;
  const TrafficOptions options_;
  Random& random_;
  PathChanges paths_;
  std::uint32_t routes_total_ = 0;
  std::uint64_t started_ = 0;
};

}  // namespace velo::scenarios
