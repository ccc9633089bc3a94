// SPDX-License-Identifier: Apache-2.0
// Eight threads that open and end scrape endpoints of one registry, which they count in meanwhile,
// and that give spans to one exporter.

#include "crew.hpp"

#include <velo/runtime/real_world.hpp>
#include <velo/telemetry/scrape_endpoint.hpp>
#include <velo/telemetry/trace_exporter.hpp>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <string>

namespace velo::threads_test {
namespace shared_telemetry_test {

/// What the endpoint answers; as much as came before it ended.
static std::string scrape(const Endpoint& from) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(from.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string heard;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    constexpr std::string_view request = "GET /metrics HTTP/1.0\r\n\r\n";
    static_cast<void>(::send(socket, request.data(), request.size(), MSG_NOSIGNAL));
    std::array<char, 4096> piece{};
    for (ssize_t got = 0; (got = ::recv(socket, piece.data(), piece.size(), 0)) > 0;) {
      heard.append(piece.data(), static_cast<std::size_t>(got));
    }
  }
  ::close(socket);
  return heard;
}

TEST(SharedTelemetry, ScrapedWhileItEnds) {
  const auto world = runtime::RealWorld::create().value();
  metrics::Registry registry;
  const auto counter = registry.counter("velo_shared_total", "Rounds.").value();
  std::atomic<int> whole{0};
  in_eight_threads([&](int thread) {
    for (int i = 0; i < 20; ++i) {
      counter.add();
      auto endpoint = telemetry::ScrapeEndpoint::open(*world, registry);
      ASSERT_TRUE(endpoint) << endpoint.error().to_string();
      const Endpoint local = (*endpoint)->local();
      if ((thread + i) % 2 == 0) *endpoint = nullptr;
      if (scrape(local).find("velo_shared_total ") != std::string::npos) ++whole;
    }
  });
  EXPECT_GE(whole.load(), crew_size * 10);
}

TEST(SharedTelemetry, SpansOfEightThreadsAreExportedOrCounted) {
  const auto world = runtime::RealWorld::create().value();
  metrics::Registry registry;
  // Nobody listens there: a port that was free a moment ago.
  auto closed = telemetry::ScrapeEndpoint::open(*world, registry);
  ASSERT_TRUE(closed);
  const std::string address = (*closed)->local().to_string().substr(6);
  *closed = nullptr;
  auto opened =
      telemetry::TraceExporter::open(*world, telemetry::ExportOptions("http://" + address));
  ASSERT_TRUE(opened) << opened.error().to_string();
  const std::shared_ptr<telemetry::TraceExporter> exporter = std::move(*opened);
  ASSERT_TRUE(exporter->publish_metrics(registry));
  constexpr int each = 2000;
  in_eight_threads([&](int thread) {
    for (int i = 0; i < each; ++i) {
      trace::Span span;
      span.name = "shared";
      exporter->take(std::move(span));
      if (i % 500 == 0) exporter->set_instance(std::to_string(thread));
      if (i % 100 == 0) static_cast<void>(registry.snapshot());
      if (thread == 0 && i == each / 2) exporter->close();
      if (thread == 1 && i % 700 == 0) static_cast<void>(exporter->flush());
    }
  });
  exporter->close();
  const telemetry::ExportCounts counts = exporter->counts();
  EXPECT_EQ(counts.taken, static_cast<std::uint64_t>(each) * crew_size);
  EXPECT_EQ(counts.taken, counts.exported + counts.queued + counts.dropped_full +
                              counts.dropped_refused + counts.dropped_closed);
  EXPECT_EQ(counts.queued, 0U);
}

}  // namespace shared_telemetry_test
}  // namespace velo::threads_test
