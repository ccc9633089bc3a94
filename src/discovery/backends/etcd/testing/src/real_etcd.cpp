// SPDX-License-Identifier: Apache-2.0
// The server's command line.

#include <velo/discovery/testing/real_etcd.hpp>

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace velo::discovery::testing {

std::string RealEtcd::missing() {
  return velo::testing::find_program("etcd").empty() ? "there is no etcd in PATH" : "";
}

RealEtcd::RealEtcd() : process_("etcd"), client_port_(velo::testing::free_loopback_port()) {
  do {
    peer_port_ = velo::testing::free_loopback_port();
  } while (peer_port_ == client_port_);
  start();
}

void RealEtcd::start() {
  const std::string client = fmt::format("http://127.0.0.1:{}", client_port_);
  const std::string peer = fmt::format("http://127.0.0.1:{}", peer_port_);
  process_.start({"--data-dir=" + process_.path("data"), "--listen-client-urls=" + client,
                  "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer,
                  "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
                  "--log-level=error"},
                 client_port_);
}

void RealEtcd::wipe() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(process_.path("data"), ignored);
}

}  // namespace velo::discovery::testing
