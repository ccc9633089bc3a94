// SPDX-License-Identifier: Apache-2.0
// Two transports over QUIC on two simulated machines, what their connections were told, and a relay
// between them that can lose datagrams and come from another port.
// Threading: the test's thread.
#pragma once

#include "speaking.hpp"
#include "testing/quic_testing.hpp"

#include <velo/sim/simulation.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/interfaces.hpp>
#include <velo/transport/transport.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport::quic_testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// One end of a connection, and what it was told.
struct End final : ConnectionEvents {
  struct Frame {
    std::string header;
    std::size_t payload_bytes;
  };
  std::vector<Frame> frames;
  std::optional<Error> closed;
  ConnectionPtr connection;

  void take(ConnectionPtr given) {
    connection = std::move(given);
    connection->start(*this);
  }
  SendResult send(std::string_view header, std::size_t payload_bytes = 1, std::uint32_t lane = 0,
                  bool may_be_lost = false) {
    const Bytes payload = Bytes::own(std::string(payload_bytes, 'p'));
    OutFrame frame(FrameType::event, as_bytes(header), payload);
    frame.lane = lane;
    frame.may_be_lost = may_be_lost;
    return connection->send(frame);
  }
  void on_frame(Connection&, const InFrame& frame) override {
    frames.push_back({std::string(as_text(frame.header())), frame.payload().size()});
  }
  void on_written(Connection&) noexcept override {}
  void on_closed(Connection&, const Error& reason) override { closed = reason; }
};

class Pair final : private AcceptHandler {
 public:
  explicit Pair(std::uint64_t seed, QuicOptions of_server = options(20),
                QuicOptions of_client = options(21), const sim::SimOptions& sim_options = {},
                const std::array<std::string, 2>& protocols = {std::string(quic_protocol),
                                                               std::string(quic_protocol)})
      : simulation(seed, sim_options),
        server_node(simulation.add_node("server")),
        client_node(simulation.add_node("client")),
        relay_node(simulation.add_node("relay")) {
    of_server.bind = server_node.endpoint(4433);
    of_client.bind.reset();
    server_transport = make_quic_speaking(protocols[0], std::move(of_server));
    client_transport = make_quic_speaking(protocols[1], std::move(of_client));
    for (const std::size_t side : {0U, 1U}) {
      sim::SimNode& node = side == 0 ? server_node : client_node;
      const InstanceId self = InstanceId::random(node.random());
      const auto& transport = side == 0 ? server_transport : client_transport;
      started = started && transport->start(TransportContext(node, self, *this, budgets[side]));
    }
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    for (End* end : {&client, &server}) {
      if (end->connection) end->connection->close(make_error(Errc::closed_locally));
    }
    dial.reset();
    until([this] { return ended(client) && ended(server); });
    client.connection = ConnectionPtr();
    server.connection = ConnectionPtr();
    client_transport->stop();
    server_transport->stop();
    simulation.run_for(seconds(1));
  }

  template <class P>
  bool until(P condition, Duration limit = seconds(60)) {
    return simulation.run_until(condition, limit);
  }

  /// To the server, or to who stands between.
  std::optional<Error> connect(std::optional<Endpoint> to = std::nullopt) {
    const Endpoint there = to.value_or(server_node.endpoint(4433));
    const InterfaceEndpoint one("", there.host, there.port, 32);
    const Bytes entry = encode_interface_endpoints(std::span(&one, 1));
    std::optional<Result<ConnectionPtr>> outcome;
    dial = client_transport->connect(client_node.shard(0), entry, [&](Result<ConnectionPtr> made) {
      if (made) client.take(*made);
      outcome.emplace(std::move(made));
    });
    if (!until([&] { return outcome.has_value(); })) return make_error(Errc::connect_failed);
    if (!*outcome) return outcome->error();
    if (!until([&] { return bool(server.connection); })) return make_error(Errc::connect_failed);
    return std::nullopt;
  }

  static bool ended(const End& end) { return !end.connection || end.closed.has_value(); }
  QuicCounts server_counts() const { return *quic_counts(*server_transport); }
  QuicConnectionCounts counts(const End& end) const { return *quic_counts(*end.connection); }

  sim::Simulation simulation;
  sim::SimNode& server_node;
  sim::SimNode& client_node;
  sim::SimNode& relay_node;
  std::array<std::shared_ptr<MemoryBudget>, 2> budgets{std::make_shared<MemoryBudget>(),
                                                       std::make_shared<MemoryBudget>()};
  std::unique_ptr<Transport> server_transport;
  std::unique_ptr<Transport> client_transport;
  bool started = true;
  std::unique_ptr<Dial> dial;
  End client;
  End server;

 private:
  void on_accepted(ConnectionPtr connection) override {
    if (!server.connection) server.take(std::move(connection));
  }
};

/// Passes datagrams on between a client, who knows it only, and the server, who sees its back.
class Relay {
 public:
  explicit Relay(Pair& pair) : pair_(pair) {
    front_ = open(5000, [this](const Endpoint& from, ByteSpan datagram) {
      client_ = from;
      if (first.empty()) first = Bytes::copy(datagram);
      last = Bytes::copy(datagram);
      if (!lossy) (void)backs_.back()->try_send(pair_.server_node.endpoint(4433), datagram);
    });
    change_port();
  }

  Endpoint front() const { return pair_.relay_node.endpoint(5000); }
  /// What follows comes from another port, as after a rebinding of a translated address.
  void change_port() {
    backs_.push_back(open(static_cast<std::uint16_t>(6000 + backs_.size()),
                          [this](const Endpoint&, ByteSpan datagram) {
                            bytes_back += datagram.size();
                            if (!lossy) (void)front_->try_send(client_, datagram);
                          }));
  }

  bool lossy = false;  ///< nothing passes
  Bytes first;         ///< the client's first datagram
  Bytes last;          ///< and its latest
  std::size_t bytes_back = 0;

 private:
  std::unique_ptr<DatagramSocket> open(std::uint16_t port, DatagramHandler handler) {
    return std::move(*pair_.relay_node.network().bind_datagram(
        pair_.relay_node.shard(0), pair_.relay_node.endpoint(port), std::move(handler)));
  }

  Pair& pair_;
  Endpoint client_;
  std::unique_ptr<DatagramSocket> front_;
  std::vector<std::unique_ptr<DatagramSocket>> backs_;
};

}  // namespace velo::transport::quic_testing
