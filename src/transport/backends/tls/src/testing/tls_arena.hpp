// SPDX-License-Identifier: Apache-2.0
// A TLS listener in a simulated network, with well-behaved clients and others.
// Threading: the simulation's thread.
#pragma once

#include "tls_testing.hpp"

#include <velo/sim/simulation.hpp>
#include <velo/transport/backends/tls.hpp>
#include <velo/transport/connection.hpp>

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::transport::tls::testing {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// One end of a connection.
class End final : public ConnectionEvents {
 public:
  explicit End(ConnectionPtr with) : connection(std::move(with)) { connection->start(*this); }
  void on_frame(Connection&, const InFrame& frame) override {
    frames.emplace_back(as_text(frame.payload()));
  }
  void on_written(Connection&) noexcept override {}
  void on_closed(Connection&, const Error& reason) override { closed = reason; }

  ConnectionPtr connection;
  std::vector<std::string> frames;
  std::optional<Error> closed;
};

/// Speaks TLS over a simulated stream, as far as a test lets it.
class ForeignPeer final : private StreamEvents {
 public:
  ForeignPeer(std::unique_ptr<ByteStream> stream, const ForeignOptions& options)
      : foreign(options), stream_(std::move(stream)) {
    foreign.use_memory();
    stream_->attach(*this);
    advance();
  }
  bool done() const { return done_; }
  bool ended() const { return ended_; }
  void say(std::string_view text) {
    SSL_write(foreign.ssl(), text.data(), static_cast<int>(text.size()));
    flush();
  }
  void flush() {
    unsent_ += foreign.take();
    const iovec vector{unsent_.data(), unsent_.size()};
    if (!unsent_.empty()) {
      const IoResult result = stream_->try_write(std::span(&vector, 1));
      if (result.status == IoResult::Status::ok) unsent_.erase(0, result.bytes);
      if (!unsent_.empty()) stream_->want_write();
    }
  }
  void write_raw(std::string_view bytes) {
    unsent_ += bytes;
    flush();
  }

  Foreign foreign;
  std::string heard;

 private:
  void advance() {
    if (!done_) done_ = foreign.step();
    if (done_) {
      std::array<char, 4096> buffer;
      for (int got = 1; got > 0;) {
        got = SSL_read(foreign.ssl(), buffer.data(), static_cast<int>(buffer.size()));
        if (got > 0) heard.append(buffer.data(), static_cast<std::size_t>(got));
      }
    }
    flush();
  }
  void on_readable() override {
    std::array<std::byte, 4096> buffer;
    for (;;) {
      const IoResult result = stream_->try_read(buffer);
      if (result.status == IoResult::Status::would_block) break;
      if (result.status != IoResult::Status::ok) {
        ended_ = true;
        break;
      }
      foreign.give(std::span(buffer).first(result.bytes));
    }
    advance();
  }
  void on_writable() override { flush(); }

  std::unique_ptr<ByteStream> stream_;
  std::string unsent_;
  bool done_ = false;
  bool ended_ = false;
};

class TlsArena : public ::testing::Test, private AcceptHandler {
 protected:
  void start(TlsOptions options = TlsOptions()) {
    if (options.credentials == nullptr) options.credentials = conf::test_credentials(1);
    options.bind = node.endpoint(0);
    server = make_tls(std::move(options));
    const InstanceId self = InstanceId::random(node.random());
    ASSERT_TRUE(server->start(TransportContext(node, self, *this, budget)));
    const auto endpoints = parse_interface_endpoints(server->address_entry(), "tls");
    where = Endpoint::tcp(endpoints->front().ip, endpoints->front().port);
  }
  void TearDown() override {
    for (End& end : accepted) {
      if (!end.closed) end.connection->close(make_error(Errc::closed_locally));
    }
    for (End& end : dialled) {
      if (!end.closed) end.connection->close(make_error(Errc::closed_locally));
    }
    simulation.run_for(1s);
    if (client) client->stop();
    if (server) server->stop();
    accepted.clear();
    dialled.clear();
    streams.clear();
    foreign.clear();
    if (server) {
      EXPECT_EQ(server->gate_counts().connections, 0U);
      EXPECT_EQ(server->gate_counts().unauthenticated, 0U);
    }
    EXPECT_EQ(budget->used(), 0U);
  }

  /// A stream to the listener, from a node; kept in `streams`.
  void reach_from(sim::SimNode& from) {
    attempts.push_back(from.network().connect(from.shard(0), where, ConnectOptions(),
                                              [this](Result<std::unique_ptr<ByteStream>> stream) {
                                                if (stream) streams.push_back(std::move(*stream));
                                              }));
  }
  ForeignPeer& meet(const ForeignOptions& options) {
    reach_from(other);
    const std::size_t before = streams.size();
    EXPECT_TRUE(simulation.run_until([&] { return streams.size() > before; }, 5s));
    foreign.push_back(std::make_unique<ForeignPeer>(std::move(streams.back()), options));
    streams.pop_back();
    simulation.run_for(1s);
    return *foreign.back();
  }
  /// Dials as a well-behaved client.
  Result<End*> dial(std::shared_ptr<crypto::CredentialSource> as = conf::test_credentials(2)) {
    if (client) client->stop();
    TlsOptions options;
    options.credentials = std::move(as);
    options.bind.reset();
    client = make_tls(std::move(options));
    const InstanceId self = InstanceId::random(other.random());
    EXPECT_TRUE(
        client->start(TransportContext(other, self, *this, std::make_shared<MemoryBudget>())));
    std::optional<Result<End*>> outcome;
    const auto attempt = client->connect(
        other.shard(0), server->address_entry(), [&](Result<ConnectionPtr> connection) {
          if (!connection) {
            outcome.emplace(connection.error());
          } else {
            outcome.emplace(&dialled.emplace_back(std::move(*connection)));
          }
        });
    EXPECT_TRUE(simulation.run_until([&] { return outcome.has_value(); }, 20s));
    return std::move(*outcome);
  }

  sim::Simulation simulation{31};
  sim::SimNode& node = simulation.add_node("server");
  sim::SimNode& other = simulation.add_node("other");
  std::shared_ptr<MemoryBudget> budget = std::make_shared<MemoryBudget>();
  std::unique_ptr<Transport> server;
  std::unique_ptr<Transport> client;
  Endpoint where;
  std::deque<End> accepted;
  std::deque<End> dialled;
  std::vector<std::unique_ptr<ByteStream>> streams;
  std::vector<std::unique_ptr<Connecting>> attempts;
  std::vector<std::unique_ptr<ForeignPeer>> foreign;

 private:
  void on_accepted(ConnectionPtr connection) override {
    accepted.emplace_back(std::move(connection));
  }
};

}  // namespace velo::transport::tls::testing
