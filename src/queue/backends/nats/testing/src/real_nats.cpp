// SPDX-License-Identifier: Apache-2.0
// The server's configuration.

#include <velo/queue/testing/real_nats.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace velo::queue::testing {

std::string RealNats::missing() {
  return velo::testing::find_program("nats-server").empty() ? "there is no nats-server in PATH"
                                                            : "";
}

RealNats::RealNats(const RealNatsOptions& options)
    : options_(options), process_("nats-server"), port_(velo::testing::free_loopback_port()) {
  if (options_.tls) make_certificate();
  write_configuration();
  start();
}

std::string RealNats::address() const { return fmt::format("127.0.0.1:{}", port_); }

std::string RealNats::certificate_file() const {
  const std::string path = process_.path("certificate.pem");
  return options_.tls && ::access(path.c_str(), R_OK) == 0 ? path : std::string();
}

void RealNats::make_certificate() const {
  const std::string command = fmt::format(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
      "-subj /CN=velo-test -addext subjectAltName=IP:127.0.0.1 -keyout {0}/key.pem "
      "-out {0}/certificate.pem >{0}/openssl.log 2>&1",
      process_.folder());
  [[maybe_unused]] const int ended = std::system(command.c_str());
}

void RealNats::write_configuration() const {
  std::ofstream file(process_.path("nats.conf"));
  file << "listen: 127.0.0.1:" << port_ << "\n";
  if (options_.jetstream) {
    file << "jetstream { store_dir: \"" << process_.folder()
         << "/store\", max_mem: 256M, max_file: " << options_.store_mib_max << "M }\n";
  }
  if (options_.payload_bytes_max > 0) file << "max_payload: " << options_.payload_bytes_max << "\n";
  if (!certificate_file().empty()) {
    file << "tls { cert_file: \"" << process_.folder() << "/certificate.pem\", key_file: \""
         << process_.folder() << "/key.pem\" }\n";
  }
  if (!options_.token.empty()) file << "authorization { token: \"" << options_.token << "\" }\n";
  if (!options_.user.empty()) {
    file << "authorization { user: \"" << options_.user << "\", password: \"" << options_.password
         << "\" }\n";
  }
}

void RealNats::set_store_mib_max(std::size_t mib) {
  options_.store_mib_max = mib;
  write_configuration();
}

void RealNats::start() { process_.start({"-c", process_.path("nats.conf")}, port_); }

}  // namespace velo::queue::testing
