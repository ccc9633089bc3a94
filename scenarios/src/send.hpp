// SPDX-License-Identifier: Apache-2.0
// One send of one node, entered into the ledger at its beginning and at its end.
// Threading: the one thread that drives the simulation; from any of its executors, or from none.
#pragma once

#include "fleet.hpp"

#include <functional>

namespace velo::scenarios {

/// What the caller does with its Op.
enum class Manner : std::uint8_t {
  waits,
  waits_on_pool,  ///< for the continuation
  cancels,        ///< by its stop token, after `patience`
  drops,          ///< the Op, after `patience`
};

struct Order {
  Pattern pattern = Pattern::unary;
  Route route = Route::echo;
  Place to;
  Manner manner = Manner::waits;
  bool await_capacity = false;
  bool tight = false;
  Duration timeout = std::chrono::seconds(20);
  Duration patience{0};
  std::uint32_t bytes = 0;
  std::uint32_t reply_bytes = 0;
  std::uint32_t delay_us = 0;
  std::uint32_t relay_to = 0;
};

/// `then` runs after the end was entered, unless the Op was dropped; it may be empty.
void send(Fleet& fleet, Member& from, const Order& order,
          std::move_only_function<void(bool well)> then = {});

}  // namespace velo::scenarios
