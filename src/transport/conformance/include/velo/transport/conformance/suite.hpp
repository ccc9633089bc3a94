// SPDX-License-Identifier: Apache-2.0
// The conformance suite of transports: every scenario that a Transport must pass, for one backend
// in one kind of World.
//   static const bool registered = velo::transport::conformance::register_suite(
//       "TcpReal", [] { return make_real_driver(); }, [] { return std::make_unique<TcpKit>(); });
// Not a test program: the backend's test file is.
// Threading: register before main() runs the tests.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/network.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/conformance/driver.hpp>
#include <velo/transport/transport.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace velo::transport::conformance {

/// What a scenario has to know of a backend. One per scenario.
class Kit {
 public:
  virtual ~Kit() = default;
  virtual std::unique_ptr<Transport> make(std::size_t side) = 0;
  /// For backends over byte streams: where the listener of an entry is, for peers that speak raw
  /// bytes.
  virtual std::optional<Endpoint> raw_endpoint(ByteSpan entry) {
    static_cast<void>(entry);
    return std::nullopt;
  }
  /// Over a blocking socket that is connected to the listener: writes `bytes`, ends that direction,
  /// and returns everything up to the orderly end of the other one.
  virtual std::string ask_and_end(int socket, std::string_view bytes);
  /// Connects such a peer; to raw_endpoint(), unless the backend's streams come about another way
  /// or wrap what they carry.
  virtual std::unique_ptr<Connecting> connect_raw(World& world, ByteSpan entry,
                                                  StreamHandler done) {
    return world.network().connect(world.shard(0), raw_endpoint(entry).value(), ConnectOptions(),
                                   std::move(done));
  }
};

using DriverFactory = std::function<std::unique_ptr<Driver>()>;
using KitFactory = std::function<std::unique_ptr<Kit>()>;

/// Registers one GoogleTest test `name`.Scenario for each scenario that applies; true, so that a
/// static can be initialised. `over_streams`: the backend's connections can be reached by raw
/// bytes.
bool register_suite(const std::string& name, const DriverFactory& driver, const KitFactory& kit,
                    bool over_streams);

}  // namespace velo::transport::conformance
