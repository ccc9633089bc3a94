// SPDX-License-Identifier: Apache-2.0
// The conformance suite over TCP, and what is particular to TCP's addresses.

#include <velo/transport/backends/tcp.hpp>

#include <velo/base/log.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/conformance/sim_driver.hpp>
#include <velo/transport/conformance/suite.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport {
namespace tcp_test {

class TcpKit final : public conformance::Kit {
 public:
  std::unique_ptr<Transport> make(std::size_t /*side*/) override { return make_tcp(); }
  std::optional<Endpoint> raw_endpoint(ByteSpan entry) override {
    const auto endpoints = parse_interface_endpoints(entry, "tcp");
    return Endpoint::tcp(endpoints->front().ip, endpoints->front().port);
  }
};

static std::unique_ptr<conformance::Kit> make_kit() { return std::make_unique<TcpKit>(); }

static const bool real =
    conformance::register_suite("TcpReal", conformance::make_real_driver, make_kit, true);
static const bool simulated = conformance::register_suite(
    "TcpSim", [] { return conformance::make_sim_driver(11); }, make_kit, true);

class Refuse final : public AcceptHandler {
 public:
  void on_accepted(ConnectionPtr) override {}
};

/// Starts a transport with the options; the error, or the endpoints it advertises.
static Result<std::vector<InterfaceEndpoint>> advertised(const TcpOptions& options) {
  const auto world = std::move(runtime::RealWorld::create()).value();
  Refuse refuse;
  const std::unique_ptr<Transport> transport = make_tcp(options);
  const InstanceId self = InstanceId::random(world->random());
  const Result<void> started =
      transport->start(TransportContext(*world, self, refuse, std::make_shared<MemoryBudget>()));
  if (!started) return started.error();
  const Bytes entry = transport->address_entry();
  transport->stop();
  if (entry.empty()) return std::vector<InterfaceEndpoint>();
  return parse_interface_endpoints(entry, "tcp");
}

}  // namespace tcp_test

using namespace tcp_test;  // NOLINT(google-build-using-namespace)

TEST(Tcp, ListensOnLoopbackUnlessTold) {
  const auto endpoints = advertised(TcpOptions());
  ASSERT_TRUE(endpoints) << endpoints.error().to_string();
  ASSERT_EQ(endpoints->size(), 1U);
  EXPECT_EQ(endpoints->front().ip, "127.0.0.1");
  EXPECT_EQ(endpoints->front().prefix_len, 32);
  EXPECT_NE(endpoints->front().port, 0);
}

TEST(Tcp, RefusesToListenBeyondLoopbackUnlessAllowed) {
  TcpOptions options;
  options.bind = Endpoint::tcp("0.0.0.0", 0);
  const auto refused = advertised(options);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(velo::Errc::permission_denied)) << refused.error().to_string();
  options.allow_plaintext_beyond_loopback = true;
  const auto endpoints = advertised(options);
  ASSERT_TRUE(endpoints) << endpoints.error().to_string();
  ASSERT_FALSE(endpoints->empty());
  for (const InterfaceEndpoint& endpoint : *endpoints) {
    EXPECT_FALSE(is_unspecified(endpoint.ip));
    EXPECT_NE(endpoint.port, 0);
  }
}

TEST(Tcp, ConnectsBeyondLoopbackOnlyWhenAllowed) {
  const auto world = std::move(runtime::RealWorld::create()).value();
  Refuse refuse;
  const InstanceId self = InstanceId::random(world->random());
  const Bytes beyond = Bytes::own(std::string("tcp://192.0.2.1:9"));
  const Bytes both = encode_interface_endpoints(
      std::vector<InterfaceEndpoint>{{"eth0", "192.0.2.1", 9, 24}, {"lo", "127.0.0.1", 9, 8}});
  for (const bool allowed : {false, true}) {
    TcpOptions options;
    options.allow_plaintext_beyond_loopback = allowed;
    const std::unique_ptr<Transport> transport = make_tcp(options);
    ASSERT_TRUE(
        transport->start(TransportContext(*world, self, refuse, std::make_shared<MemoryBudget>())));
    const log::Capture capture;
    const Result<void> checked = transport->check_entry(beyond);
    EXPECT_EQ(checked.has_value(), allowed);
    if (!checked) {
      EXPECT_TRUE(checked.error().is(velo::Errc::permission_denied));
    }
    static_cast<void>(transport->check_entry(beyond));
    // Once, however often it is asked.
    EXPECT_EQ(capture.lines().size(), allowed ? 1U : 0U);
    EXPECT_TRUE(transport->check_entry(both));
    transport->stop();
  }
}

TEST(Tcp, AcceptsNoMoreConnectionsThanItIsTold) {
  sim::Simulation simulation(23);
  sim::SimNode& server = simulation.add_node("server");
  sim::SimNode& near = simulation.add_node("near");
  sim::SimNode& far = simulation.add_node("far");
  TcpOptions options;
  options.allow_plaintext_beyond_loopback = true;
  options.bind = server.endpoint(0);
  options.gate.connections_max = 3;
  options.gate.connections_per_source_max = 2;
  class Keep final : public AcceptHandler {
   public:
    void on_accepted(ConnectionPtr connection) override { kept.push_back(std::move(connection)); }
    std::vector<ConnectionPtr> kept;
  } keep;
  const std::unique_ptr<Transport> transport = make_tcp(options);
  const InstanceId self = InstanceId::random(server.random());
  ASSERT_TRUE(
      transport->start(TransportContext(server, self, keep, std::make_shared<MemoryBudget>())));
  const auto endpoints = parse_interface_endpoints(transport->address_entry(), "tcp");
  const Endpoint where = Endpoint::tcp(endpoints->front().ip, endpoints->front().port);
  std::vector<std::unique_ptr<ByteStream>> streams;
  const auto connect = [&](sim::SimNode& from) {
    const auto attempt = from.network().connect(from.shard(0), where, ConnectOptions(),
                                                [&](Result<std::unique_ptr<ByteStream>> stream) {
                                                  ASSERT_TRUE(stream);
                                                  streams.push_back(std::move(*stream));
                                                });
    simulation.run_for(std::chrono::seconds(1));
  };
  for (int i = 0; i < 3; ++i) connect(near);
  EXPECT_EQ(keep.kept.size(), 2U);
  for (int i = 0; i < 2; ++i) connect(far);
  EXPECT_EQ(keep.kept.size(), 3U);
  keep.kept.erase(keep.kept.begin());
  connect(near);
  EXPECT_EQ(keep.kept.size(), 3U);
  const GateCounts counts = transport->gate_counts();
  EXPECT_EQ(counts.refused_for(GateRefusal::source_connections), 1U);
  EXPECT_EQ(counts.refused_for(GateRefusal::connections), 1U);
  EXPECT_EQ(counts.admitted, 4U);
  EXPECT_EQ(counts.connections, 3U);
  keep.kept.clear();
  EXPECT_EQ(transport->gate_counts().connections, 0U);
  transport->stop();
}

TEST(Tcp, ConnectsWithoutListening) {
  TcpOptions options;
  options.bind.reset();
  const auto endpoints = advertised(options);
  ASSERT_TRUE(endpoints) << endpoints.error().to_string();
  EXPECT_TRUE(endpoints->empty());
}

TEST(Tcp, AdvertisesWhatItIsTold) {
  TcpOptions options;
  options.advertise = InterfaceFilter::listed({{"eth7", "192.0.2.1", 1, 24, 3}});
  const auto endpoints = advertised(options);
  ASSERT_TRUE(endpoints) << endpoints.error().to_string();
  ASSERT_EQ(endpoints->size(), 1U);
  EXPECT_EQ(endpoints->front().ip, "192.0.2.1");
  EXPECT_GT(endpoints->front().port, 1);
  options.advertise = InterfaceFilter::listed({});
  EXPECT_FALSE(advertised(options));
}

TEST(Tcp, RefusesToBindWhatIsNotTcp) {
  TcpOptions options;
  options.bind = Endpoint::unix_socket("/tmp/x");
  EXPECT_FALSE(advertised(options));
}

}  // namespace velo::transport
