// SPDX-License-Identifier: Apache-2.0
// A messenger over QUIC whose address changes while it calls, as behind a translated address: its
// calls end well, on the connection that they began on.

#include <velo/messenger/messenger.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/conformance/identities.hpp>
#include <velo/transport/interfaces.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::messenger_migration_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// Between a client, who knows it only, and a server, who sees the newest of its ports.
class Translator {
 public:
  Translator(sim::SimNode& node, Endpoint server) : node_(node), server_(std::move(server)) {
    front_ = open(5000, [this](const Endpoint& from, ByteSpan datagram) {
      client_ = from;
      (void)backs_.back()->try_send(server_, datagram);
    });
    change_port();
  }
  Endpoint front() const { return node_.endpoint(5000); }
  void change_port() {
    backs_.push_back(open(next_port_++, [this](const Endpoint&, ByteSpan datagram) {
      (void)front_->try_send(client_, datagram);
    }));
  }
  /// What is sent to the older ports reaches nobody any more.
  void forget_older_ports() { backs_.erase(backs_.begin(), backs_.end() - 1); }

 private:
  std::unique_ptr<DatagramSocket> open(std::uint16_t port, DatagramHandler handler) {
    return std::move(
        *node_.network().bind_datagram(node_.shard(0), node_.endpoint(port), std::move(handler)));
  }

  sim::SimNode& node_;
  std::uint16_t next_port_ = 6000;
  Endpoint server_;
  Endpoint client_;
  std::unique_ptr<DatagramSocket> front_;
  std::vector<std::unique_ptr<DatagramSocket>> backs_;
};

static std::unique_ptr<Messenger> build(sim::SimNode& node, std::uint8_t number,
                                        const transport::Transport** made) {
  transport::QuicOptions options;
  options.credentials = transport::conformance::test_credentials(number);
  options.bind = node.endpoint(4433);
  auto transport = transport::make_quic(std::move(options));
  *made = transport.get();
  auto builder = Messenger::builder(node);
  builder.add_transport(std::move(transport));
  auto built = builder.build();
  EXPECT_TRUE(built) << built.error().to_string();
  return std::move(*built);
}

TEST(MessengerMigration, CallsGoOnWhileTheCallersAddressChanges) {
  sim::Simulation simulation(5);
  sim::SimNode& server_node = simulation.add_node("server");
  sim::SimNode& client_node = simulation.add_node("client");
  sim::SimNode& between = simulation.add_node("translator");
  Translator translator(between, server_node.endpoint(4433));
  const transport::Transport* server_transport = nullptr;
  const transport::Transport* client_transport = nullptr;
  auto server = build(server_node, 1, &server_transport);
  auto client = build(client_node, 2, &client_transport);
  std::vector<std::string> arrived;
  ASSERT_TRUE(server->register_handler(Handler::unary_handler("echo",
                                                              [&arrived](Context& context) {
                                                                arrived.emplace_back(
                                                                    as_text(context.payload()));
                                                                return context.payload_bytes();
                                                              })
                                           .inline_()
                                           .build()));
  PeerInfo seen = server->peer_info();
  const Endpoint front = translator.front();
  const transport::InterfaceEndpoint one("", front.host, front.port, 32);
  seen.address["quic"] = transport::encode_interface_endpoints(std::span(&one, 1));
  ASSERT_TRUE(client->register_peer(seen));

  ASSERT_TRUE(simulation.wait(client->unary("echo").instance(server->instance_id()).send(), 10s));
  arrived.clear();

  std::vector<Op<Bytes>> calls;
  std::vector<std::string> expected;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 20; ++i) {
      expected.push_back(std::to_string(calls.size()) + std::string(5000, 'p'));
      calls.push_back(client->unary("echo")
                          .raw_payload(Bytes::copy(expected.back()))
                          .instance(server->instance_id())
                          .send());
      simulation.run_for(100us);
    }
    // In the middle of them.
    translator.change_port();
    translator.forget_older_ports();
    simulation.run_for(5ms);
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    ASSERT_TRUE(simulation.run_until([&] { return calls[i].done(); }, 60s));
    const auto reply = std::move(calls[i]).get();
    ASSERT_TRUE(reply) << i << ": " << reply.error().to_string();
    EXPECT_EQ(reply->text(), expected[i]);
  }
  EXPECT_TRUE(arrived == expected) << "each once, in order";
  EXPECT_EQ(transport::quic_counts(*server_transport)->gate.admitted, 1U) << "one connection";
  EXPECT_TRUE(client->books().balanced());
  client.reset();
  server.reset();
  simulation.run_for(1s);
}

}  // namespace velo::messenger_migration_test
