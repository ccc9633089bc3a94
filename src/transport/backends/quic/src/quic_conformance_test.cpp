// SPDX-License-Identifier: Apache-2.0
// The conformance suite over QUIC, in both kinds of World.

#include "testing/quic_testing.hpp"

#include <velo/transport/backends/quic.hpp>
#include <velo/transport/conformance/sim_driver.hpp>
#include <velo/transport/conformance/suite.hpp>

#include <chrono>
#include <cstdint>
#include <memory>

namespace velo::transport {
namespace quic_conformance_test {

class QuicKit final : public conformance::Kit {
 public:
  std::unique_ptr<Transport> make(std::size_t side) override {
    QuicOptions options = quic_testing::options(static_cast<std::uint8_t>(10 + side));
    // Nobody says that nobody listens: that is only known after this.
    options.connect_timeout = std::chrono::seconds(2);
    return make_quic(std::move(options));
  }
};

static std::unique_ptr<conformance::Kit> make_kit() { return std::make_unique<QuicKit>(); }

static const bool real =
    conformance::register_suite("QuicReal", conformance::make_real_driver, make_kit, false);
static const bool simulated = conformance::register_suite(
    "QuicSim", [] { return conformance::make_sim_driver(17); }, make_kit, false);

}  // namespace quic_conformance_test
}  // namespace velo::transport
