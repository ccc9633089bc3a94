// SPDX-License-Identifier: Apache-2.0
// The filesystem backend passes the conformance suite.

#include <velo/discovery/backends/filesystem.hpp>

#include <velo/discovery/conformance.hpp>

namespace velo::discovery::conformance_test {

static std::shared_ptr<PeerDiscovery> make(World& world, const std::string& medium) {
  FilesystemOptions options;
  options.poll_interval = std::chrono::milliseconds(5);
  auto made = FilesystemDiscovery::create(world, medium, "conformance", options);
  return made ? std::move(*made) : nullptr;
}

static const bool registered = [] {
  conformance::Backend backend("filesystem", &make);
  backend.outage = conformance::Outage::at_participants;
  return conformance::register_backend(backend);
}();

}  // namespace velo::discovery::conformance_test
