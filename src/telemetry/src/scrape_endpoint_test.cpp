// SPDX-License-Identifier: Apache-2.0
// The endpoint as its clients see it, over the simulated network.

#include <velo/telemetry/scrape_endpoint.hpp>

#include <velo/sim/simulation.hpp>
#include <velo/telemetry/limits.hpp>

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace velo::telemetry::scrape_endpoint_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// A connection that sends what it is told and keeps what it hears.
class Client final : public StreamEvents {
 public:
  Client(World& world, const Endpoint& to) {
    connecting_ = world.network().connect(world.shard(0), to, ConnectOptions(),
                                          [this](Result<std::unique_ptr<ByteStream>> stream) {
                                            if (!stream) return;
                                            stream_ = std::move(*stream);
                                            stream_->attach(*this);
                                            flush();
                                          });
  }
  Client(const Client&) = delete;

  void send(std::string_view text) {
    out_ += text;
    flush();
  }
  void stop_reading() { reads_ = false; }

  void on_readable() override {
    if (!reads_) return;
    std::array<std::byte, 512> piece;
    for (;;) {
      const IoResult result = stream_->try_read(piece);
      if (result.status == IoResult::Status::would_block) return;
      if (result.status != IoResult::Status::ok) {
        closed = true;
        return;
      }
      heard += as_text(ByteSpan(piece).first(result.bytes));
    }
  }
  void on_writable() override { flush(); }

  std::string heard;
  bool closed = false;

 private:
  void flush() {
    while (stream_ != nullptr && !out_.empty()) {
      const iovec rest{out_.data(), out_.size()};
      const IoResult result = stream_->try_write(std::span(&rest, 1));
      if (result.status == IoResult::Status::would_block) return stream_->want_write();
      if (result.status != IoResult::Status::ok) return;
      out_.erase(0, result.bytes);
    }
  }

  std::unique_ptr<Connecting> connecting_;
  std::unique_ptr<ByteStream> stream_;
  std::string out_;
  bool reads_ = true;
};

class Scrape : public ::testing::Test {
 protected:
  Scrape() {
    registry.counter("velo_test_total", "What was tested.", {}).value().add(7);
    ScrapeOptions options;
    options.bind = server.endpoint(9464);
    options.allow_plaintext_beyond_loopback = true;
    auto opened = ScrapeEndpoint::open(server, registry, options);
    EXPECT_TRUE(opened) << opened.error().to_string();
    endpoint = std::move(*opened);
  }
  ~Scrape() override {
    clients.clear();
    endpoint = nullptr;
    sim.run_until_quiet(1min);
  }

  Client& client() {
    clients.push_back(std::make_unique<Client>(user, endpoint->local()));
    return *clients.back();
  }
  /// What comes back until the connection is closed or nothing comes any longer.
  std::string ask(std::string_view text) {
    Client& one = client();
    one.send(text);
    sim.run_until([&] { return one.closed; }, 1s);
    return one.heard;
  }

  sim::Simulation sim{1};
  sim::SimNode& server = sim.add_node("server");
  sim::SimNode& user = sim.add_node("user");
  metrics::Registry registry;
  std::unique_ptr<ScrapeEndpoint> endpoint;
  std::vector<std::unique_ptr<Client>> clients;
};

TEST_F(Scrape, MetricsAreServedAsPrometheusText) {
  const std::string answer = ask("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            std::string::npos);
  const std::size_t body = answer.find("\r\n\r\n") + 4;
  EXPECT_EQ(answer.substr(body), metrics::to_prometheus(registry.snapshot()));
  EXPECT_NE(answer.find("velo_test_total 7\n"), std::string::npos);
  EXPECT_NE(answer.find("Content-Length: " + std::to_string(answer.size() - body) + "\r\n"),
            std::string::npos);
}

TEST_F(Scrape, HeadTellsTheLengthAlone) {
  const std::string answer = ask("HEAD /metrics HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(Scrape, AConnectionServesRequestAfterRequest) {
  Client& one = client();
  one.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /other HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(sim.run_until([&] { return one.heard.find("404") != std::string::npos; }, 5s));
  EXPECT_TRUE(one.heard.starts_with("HTTP/1.1 200 OK"));
  EXPECT_FALSE(one.closed);
  one.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(sim.run_until([&] { return one.closed; }, 5s));
}

TEST_F(Scrape, OtherMethodsAndBrokenRequestsAreRefusedByStatus) {
  EXPECT_TRUE(ask("DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_TRUE(ask("hello\r\n\r\n").starts_with("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_TRUE(ask("POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
                  .starts_with("HTTP/1.1 413 Content Too Large\r\n"));
  EXPECT_TRUE(ask("GET /" + std::string(100'000, 'a')).starts_with("HTTP/1.1 431"));
}

TEST_F(Scrape, WhoSendsNothingOrTakesNothingIsClosed) {
  Client& silent = client();
  Client& deaf = client();
  deaf.stop_reading();
  for (int i = 0; i < 200; ++i) {
    const std::string name = "velo_filler_" + std::to_string(i);
    ASSERT_TRUE(registry.counter(name, std::string(4000, 'x'), {}));
  }
  for (int i = 0; i < 50; ++i) deaf.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_FALSE(sim.run_until([&] { return silent.closed; }, limits::scrape_patience - 1s));
  EXPECT_TRUE(sim.run_until([&] { return silent.closed; }, 2s));
  sim.run_until_idle(1min);
  // All places are free again.
  for (std::size_t i = 0; i < limits::scrape_connections_max; ++i) {
    Client& one = client();
    one.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(sim.run_until([&] { return one.heard.ends_with("\r\n\r\n"); }, 5s)) << i;
  }
}

TEST_F(Scrape, ConnectionsAreBounded) {
  for (std::size_t i = 0; i < limits::scrape_connections_max; ++i) client();
  ASSERT_FALSE(sim.run_until([] { return false; }, 1s));
  Client& refused = client();
  EXPECT_TRUE(sim.run_until([&] { return refused.closed; }, 1s));
  for (auto& one : clients) {
    if (one.get() != &refused) {
      EXPECT_FALSE(one->closed);
    }
  }
}

TEST_F(Scrape, NothingIsServedAfterTheEnd) {
  Client& open = client();
  open.send("GET /metr");
  sim.run_until([] { return false; }, 1s);
  const Endpoint where = endpoint->local();
  endpoint = nullptr;
  EXPECT_TRUE(sim.run_until([&] { return open.closed; }, 1s));
  EXPECT_EQ(open.heard, "");
}

TEST_F(Scrape, BeyondThisHostOnlyWhenAskedFor) {
  ScrapeOptions options;
  options.bind = server.endpoint(9465);
  const auto refused = ScrapeEndpoint::open(server, registry, options);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::permission_denied)) << refused.error().to_string();
  options.bind = server.endpoint(9464);
  options.allow_plaintext_beyond_loopback = true;
  EXPECT_FALSE(ScrapeEndpoint::open(server, registry, options)) << "the port is taken";
  options.path = "metrics";
  EXPECT_TRUE(ScrapeEndpoint::open(server, registry, options).error().is(Errc::invalid_argument));
}

}  // namespace velo::telemetry::scrape_endpoint_test
