// SPDX-License-Identifier: Apache-2.0
// An exporter and a collector on the simulated network.

#include <velo/telemetry/trace_exporter.hpp>

#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace velo::telemetry::trace_exporter_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

/// Keeps the bodies it is sent, and answers with what it is told.
class Collector {
 public:
  explicit Collector(sim::SimNode& node, std::uint16_t port) : node_(node), port_(port) { open(); }
  ~Collector() { close(); }
  Collector(const Collector&) = delete;

  void open() {
    auto listening = node_.network().listen(node_.shard(0), node_.endpoint(port_), ListenOptions(),
                                            [this](Result<std::unique_ptr<ByteStream>> stream) {
                                              if (stream) accept(std::move(*stream));
                                            });
    EXPECT_TRUE(listening) << listening.error().to_string();
    listener_ = std::move(*listening);
  }
  void close() {
    listener_ = nullptr;
    connections_.clear();
  }
  /// Every connection ends, new ones are welcome.
  void hang_up() { connections_.clear(); }

  std::size_t spans() const {
    std::size_t count = 0;
    for (const std::string& body : bodies) {
      for (std::size_t found = body.find("\"traceId\""); found != std::string::npos;
           found = body.find("\"traceId\"", found + 1)) {
        ++count;
      }
    }
    return count;
  }

  std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  bool silent = false;
  std::vector<std::string> bodies;  ///< of requests that were answered with 200
  std::vector<std::string> heads;
  int requests = 0;
  int connected = 0;

 private:
  struct Connection final : StreamEvents {
    Connection(Collector& to, std::unique_ptr<ByteStream> from)
        : collector(to), stream(std::move(from)) {}
    void on_readable() override {
      std::array<std::byte, 4096> piece;
      for (;;) {
        const IoResult result = stream->try_read(piece);
        if (result.status != IoResult::Status::ok) break;
        text += as_text(ByteSpan(piece).first(result.bytes));
      }
      take();
    }
    void on_writable() override {
      while (!out.empty()) {
        const iovec rest{out.data(), out.size()};
        const IoResult result = stream->try_write(std::span(&rest, 1));
        if (result.status == IoResult::Status::would_block) return stream->want_write();
        if (result.status != IoResult::Status::ok) return;
        out.erase(0, result.bytes);
      }
    }
    void take() {
      const std::size_t head = text.find("\r\n\r\n");
      const std::size_t length = text.find("Content-Length: ");
      if (head == std::string::npos || length == std::string::npos) return;
      const std::size_t size = std::stoul(text.substr(length + 16));
      if (text.size() < head + 4 + size) return;
      ++collector.requests;
      collector.heads.push_back(text.substr(0, head));
      const std::string body = text.substr(head + 4, size);
      text.erase(0, head + 4 + size);
      if (collector.silent) return;
      if (collector.answer.starts_with("HTTP/1.1 200")) collector.bodies.push_back(body);
      out += collector.answer;
      on_writable();
    }
    Collector& collector;
    std::unique_ptr<ByteStream> stream;
    std::string text;
    std::string out;
  };

  void accept(std::unique_ptr<ByteStream> stream) {
    ++connected;
    connections_.push_back(std::make_unique<Connection>(*this, std::move(stream)));
    connections_.back()->stream->attach(*connections_.back());
  }

  sim::SimNode& node_;
  const std::uint16_t port_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

class Exporting : public ::testing::Test {
 protected:
  Exporting() {
    ExportOptions options("http://" + where.endpoint(4318).to_string().substr(6));
    options.service_name = "shop";
    auto opened = TraceExporter::open(node, options);
    EXPECT_TRUE(opened) << opened.error().to_string();
    exporter = std::move(*opened);
  }
  ~Exporting() override {
    exporter = nullptr;
    sim.run_until_quiet(1min);
    collector.close();
    sim.run_until_quiet(1min);
  }

  void take(int count) {
    for (int i = 0; i < count; ++i) {
      trace::Span span;
      span.name = "test";
      span.context.trace.bytes[0] = 1;
      span.context.span.bytes[0] = 1;
      exporter->take(std::move(span));
    }
  }
  bool until(std::size_t exported, Duration limit = 5min) {
    return sim.run_until([&] { return exporter->counts().exported == exported; }, limit);
  }

  sim::Simulation sim{1};
  sim::SimNode& node = sim.add_node("node");
  sim::SimNode& where = sim.add_node("collector");
  Collector collector{where, 4318};
  std::shared_ptr<TraceExporter> exporter;
};

TEST_F(Exporting, SpansArriveInBatchesOverOneConnection) {
  exporter->set_instance("0007");
  take(3);
  EXPECT_FALSE(until(3, 900ms)) << "they wait for company";
  ASSERT_TRUE(until(3));
  EXPECT_EQ(collector.requests, 1);
  EXPECT_NE(collector.bodies[0].find(R"("stringValue":"shop")"), std::string::npos);
  EXPECT_NE(collector.bodies[0].find(R"("stringValue":"0007")"), std::string::npos);
  EXPECT_TRUE(collector.heads[0].starts_with("POST /v1/traces HTTP/1.1\r\n"));
  EXPECT_NE(collector.heads[0].find("Content-Type: application/json"), std::string::npos);
  take(static_cast<int>(limits::spans_per_batch_max));
  ASSERT_TRUE(until(3 + limits::spans_per_batch_max, 500ms)) << "a full batch need not wait";
  EXPECT_EQ(collector.connected, 1);
  EXPECT_EQ(collector.spans(), 3 + limits::spans_per_batch_max);
}

TEST_F(Exporting, WhatACollectorCannotTakeNowIsSentAgain) {
  collector.answer = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
  take(2);
  ASSERT_TRUE(sim.run_until([&] { return collector.requests == 4; }, 5min));
  collector.answer = "HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
  ASSERT_TRUE(sim.run_until([&] { return collector.requests == 5; }, 5min));
  collector.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  EXPECT_FALSE(until(2, 2900ms));
  ASSERT_TRUE(until(2));
  EXPECT_EQ(exporter->counts().failed_exports, 5u);
  EXPECT_EQ(collector.spans(), 2u);
}

TEST_F(Exporting, ACollectorThatWasDownGetsWhatWaited) {
  collector.close();
  take(2);
  ASSERT_TRUE(sim.run_until([&] { return exporter->counts().failed_exports >= 3; }, 5min));
  take(2);
  collector.open();
  ASSERT_TRUE(until(4));
  EXPECT_EQ(collector.spans(), 4u);
}

TEST_F(Exporting, AnIdleConnectionThatEndedIsNoFailure) {
  take(1);
  ASSERT_TRUE(until(1));
  collector.hang_up();
  sim.run_until_idle(1min);
  take(1);
  ASSERT_TRUE(until(2));
  EXPECT_EQ(exporter->counts().failed_exports, 0u);
  EXPECT_EQ(collector.connected, 2);
}

TEST_F(Exporting, ASilentCollectorIsGivenUpAndAskedAgain) {
  collector.silent = true;
  take(1);
  EXPECT_TRUE(sim.run_until([&] { return exporter->counts().failed_exports == 1; },
                            limits::export_patience + 2s));
  collector.silent = false;
  ASSERT_TRUE(until(1));
}

TEST_F(Exporting, WhatIsRefusedForGoodIsDroppedAndCounted) {
  collector.answer = "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n";
  take(2);
  ASSERT_TRUE(sim.run_until([&] { return exporter->counts().dropped_refused == 2; }, 5min));
  EXPECT_EQ(collector.requests, 1);
  collector.answer = "nonsense\r\n\r\n";
  take(1);
  ASSERT_TRUE(sim.run_until([&] { return exporter->counts().failed_exports == 1; }, 5min));
}

TEST_F(Exporting, ACallerNeverWaitsAndWhatDoesNotFitIsCounted) {
  collector.close();
  take(static_cast<int>(limits::spans_queued_max) + 5);
  EXPECT_EQ(exporter->counts().dropped_full, 5u);
  EXPECT_EQ(exporter->counts().queued, limits::spans_queued_max);
  collector.open();
  ASSERT_TRUE(until(limits::spans_queued_max));
  EXPECT_EQ(collector.spans(), limits::spans_queued_max);
}

TEST_F(Exporting, AFlushEndsWithWhatItWasFor) {
  EXPECT_TRUE(sim.wait(exporter->flush(), 1ms)) << "there is nothing";
  take(1);
  EXPECT_TRUE(sim.wait(exporter->flush(), 500ms));
  EXPECT_EQ(collector.spans(), 1u);
  collector.close();
  take(1);
  const auto failed = sim.wait(exporter->flush(), 1min);
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().is(Errc::io)) << failed.error().to_string();
}

TEST_F(Exporting, ItsMetricsSayWhatBecameOfTheSpans) {
  metrics::Registry registry;
  ASSERT_TRUE(exporter->publish_metrics(registry));
  take(3);
  ASSERT_TRUE(until(3));
  EXPECT_EQ(registry.snapshot().value("velo_trace_spans_exported_total"), 3);
  exporter->close();
  take(1);
  EXPECT_EQ(exporter->counts().dropped_closed, 1u);
  EXPECT_EQ(registry.snapshot().find("velo_trace_spans_exported_total"), nullptr);
}

TEST(ExporterOptions, ComeFromTheStandardVariables) {
  const char* const all[] = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT",
                             "OTEL_SERVICE_NAME"};
  for (const char* each : all) ::unsetenv(each);
  EXPECT_FALSE(TraceExporter::from_environment());
  ::setenv(all[1], "http://localhost:4318", 1);
  auto options = TraceExporter::from_environment();
  ASSERT_TRUE(options);
  EXPECT_EQ(options->endpoint, "http://localhost:4318");
  EXPECT_FALSE(options->endpoint_has_path);
  EXPECT_EQ(options->service_name, "velo");
  ::setenv(all[0], "http://localhost:1/own", 1);
  ::setenv(all[2], "shop", 1);
  options = TraceExporter::from_environment();
  ASSERT_TRUE(options);
  EXPECT_EQ(options->endpoint, "http://localhost:1/own");
  EXPECT_TRUE(options->endpoint_has_path);
  EXPECT_EQ(options->service_name, "shop");
  for (const char* each : all) ::unsetenv(each);
}

}  // namespace velo::telemetry::trace_exporter_test
