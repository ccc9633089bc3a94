// SPDX-License-Identifier: Apache-2.0
// The author of a transport runs velo's conformance suite over it; here TCP plays the new backend.

#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/conformance/sim_driver.hpp>
#include <velo/transport/conformance/suite.hpp>

#include <memory>

namespace backend {

class Kit final : public velo::transport::conformance::Kit {
 public:
  std::unique_ptr<velo::transport::Transport> make(std::size_t /*side*/) override {
    return velo::transport::make_tcp();
  }
};

static const bool registered = velo::transport::conformance::register_suite(
    "Backend", [] { return velo::transport::conformance::make_sim_driver(1); },
    [] { return std::make_unique<Kit>(); }, false);

}  // namespace backend
