// SPDX-License-Identifier: Apache-2.0
// The conformance suite over TLS, and what is particular to its addresses and credentials.

#include <velo/transport/backends/tls.hpp>

#include "testing/tls_testing.hpp"

#include <velo/runtime/real_world.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/conformance/sim_driver.hpp>
#include <velo/transport/conformance/suite.hpp>

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport {
namespace tls_test {

namespace conf = velo::transport::conformance;

static TlsOptions options_of(std::shared_ptr<crypto::CredentialSource> credentials) {
  TlsOptions options;
  options.credentials = std::move(credentials);
  return options;
}

class TlsKit final : public conf::Kit {
 public:
  std::unique_ptr<Transport> make(std::size_t side) override {
    return make_tls(options_of(conf::test_credentials(static_cast<std::uint8_t>(side + 1))));
  }
  std::optional<Endpoint> raw_endpoint(ByteSpan entry) override {
    const auto endpoints = parse_interface_endpoints(entry, "tls");
    return Endpoint::tcp(endpoints->front().ip, endpoints->front().port);
  }
  std::unique_ptr<Connecting> connect_raw(World& world, ByteSpan entry,
                                          StreamHandler done) override {
    return std::make_unique<tls::testing::RawConnecting>(
        world, raw_endpoint(entry).value(), conf::test_credentials(3), std::move(done));
  }
  std::string ask_and_end(int socket, std::string_view bytes) override {
    tls::testing::Foreign peer(tls::testing::foreign_node(4));
    SSL_set_fd(peer.ssl(), socket);
    EXPECT_TRUE(peer.step());
    EXPECT_EQ(SSL_write(peer.ssl(), bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
    EXPECT_EQ(SSL_shutdown(peer.ssl()), 0);
    std::string all;
    std::array<char, 16'384> buffer;
    for (;;) {
      const int got = SSL_read(peer.ssl(), buffer.data(), static_cast<int>(buffer.size()));
      if (got <= 0) {
        EXPECT_EQ(SSL_get_error(peer.ssl(), got), SSL_ERROR_ZERO_RETURN) << "no goodbye";
        return all;
      }
      all.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }
};

static std::unique_ptr<conf::Kit> make_kit() { return std::make_unique<TlsKit>(); }

static const bool real = conf::register_suite("TlsReal", conf::make_real_driver, make_kit, true);
static const bool simulated =
    conf::register_suite("TlsSim", [] { return conf::make_sim_driver(14); }, make_kit, true);

}  // namespace tls_test
}  // namespace velo::transport
