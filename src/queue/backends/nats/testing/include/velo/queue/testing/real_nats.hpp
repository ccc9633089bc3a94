// SPDX-License-Identifier: Apache-2.0
// A NATS server with JetStream of the machine, on a free port of loopback with a folder of its own,
// for tests. It dies with the process that started it.
// Threading: one thread, the one that lives as long as the process.
#pragma once

#include <velo/testing/server_process.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace velo::queue::testing {

struct RealNatsOptions {
  std::string token;
  std::string user;
  std::string password;
  std::size_t payload_bytes_max = 0;  ///< of the server's messages; 0: its own default
  std::size_t store_mib_max = 1024;
  bool jetstream = true;
  bool tls = false;  ///< with a certificate of its own for 127.0.0.1, made by openssl's program

  RealNatsOptions() = default;
};

class RealNats {
 public:
  /// Why there is none on this machine; empty if there is.
  static std::string missing();

  /// Starts it and waits until it accepts; aborts if it does not within 30 s.
  explicit RealNats(const RealNatsOptions& options = RealNatsOptions());

  /// "127.0.0.1:PORT".
  std::string address() const;
  std::uint16_t port() const noexcept { return port_; }
  /// The server's certificate, which has signed itself; empty when there is none.
  std::string certificate_file() const;
  /// SIGKILL; what it stored stays.
  void kill() { process_.kill(); }
  /// Starts it again on the same port.
  void start();
  /// For its next start.
  void set_store_mib_max(std::size_t mib);
  /// It keeps its connections, and says nothing.
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

 private:
  void write_configuration() const;
  void make_certificate() const;

  RealNatsOptions options_;
  velo::testing::ServerProcess process_;
  std::uint16_t port_ = 0;
};

}  // namespace velo::queue::testing
