// SPDX-License-Identifier: Apache-2.0
// Silence about unencrypted listeners, which the tests of simulated nodes have many of.
// Threading: one thread.
#pragma once

#include <velo/base/log.hpp>

namespace velo::sim_tests {

/// While it lives, nobody hears that simulated nodes listen beyond loopback.
class Quiet {
 public:
  Quiet() { log::set_level(Room::transport, log::Level::error); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  ~Quiet() { log::set_level(Room::transport, before_); }

 private:
  const log::Level before_ = log::level(Room::transport);
};

}  // namespace velo::sim_tests
