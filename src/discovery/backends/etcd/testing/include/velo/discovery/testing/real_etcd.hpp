// SPDX-License-Identifier: Apache-2.0
// An etcd server of the machine, on free ports of loopback with a folder of its own, for tests.
// It dies with the process that started it.
// Threading: one thread, the one that lives as long as the process.
#pragma once

#include <velo/base/network.hpp>
#include <velo/testing/server_process.hpp>

#include <cstdint>
#include <string>

namespace velo::discovery::testing {

class RealEtcd {
 public:
  /// Why there is none on this machine; empty if there is.
  static std::string missing();

  /// Starts it and waits until it answers; aborts if it does not within 30 s.
  RealEtcd();

  Endpoint endpoint() const { return Endpoint::tcp("127.0.0.1", client_port_); }
  /// Kills it; its data stay.
  void kill() { process_.kill(); }
  /// Its data go, too.
  void wipe();
  /// Starts it again on the same port.
  void start();
  /// It keeps its connections, and says nothing.
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

 private:
  velo::testing::ServerProcess process_;
  std::uint16_t client_port_ = 0;
  std::uint16_t peer_port_ = 0;
};

}  // namespace velo::discovery::testing
