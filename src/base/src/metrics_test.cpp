// SPDX-License-Identifier: Apache-2.0
// Tests of the metrics registry: handles, stripes, limits, snapshots and the Prometheus text.

#include <velo/base/metrics.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace velo::metrics_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using metrics::Kind;
using metrics::Labels;
using metrics::Registry;
using metrics::RegistryOptions;
using testing::HasSubstr;

TEST(Metrics, ACounterAddsUpAndIsTheSameOneWhenRegisteredAgain) {
  Registry registry;
  const auto first = registry.counter("calls_total", "Calls.", {{"b", "2"}, {"a", "1"}});
  const auto again = registry.counter("calls_total", "Calls.", {{"a", "1"}, {"b", "2"}});
  const auto other = registry.counter("calls_total", "Calls.", {{"a", "1"}, {"b", "3"}});
  ASSERT_TRUE(first && again && other);
  first->add();
  again->add(5);
  other->add(7);
  const metrics::Snapshot snapshot = registry.snapshot();
  EXPECT_EQ(snapshot.value("calls_total", {{"b", "2"}, {"a", "1"}}), 6);
  EXPECT_EQ(snapshot.value("calls_total", {{"a", "1"}, {"b", "3"}}), 7);
  EXPECT_EQ(snapshot.find("calls_total"), nullptr);
  EXPECT_EQ(snapshot.find("missing"), nullptr);
  EXPECT_EQ(snapshot.value("missing"), 0);
}

TEST(Metrics, NeighboursInAChunkDoNotTouchEachOther) {
  Registry registry;
  std::vector<metrics::Counter> counters;
  for (int i = 0; i < 200; ++i) {
    const auto counter = registry.counter("n_total", "", {{"i", std::to_string(i)}});
    ASSERT_TRUE(counter);
    counters.push_back(*counter);
  }
  for (std::size_t i = 0; i < counters.size(); ++i) counters[i].add(i + 1);
  const metrics::Snapshot snapshot = registry.snapshot();
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(snapshot.value("n_total", {{"i", std::to_string(i)}}), i + 1);
  }
}

TEST(Metrics, HandlesWithoutARegistryDoNothing) {
  metrics::Counter().add();
  metrics::Gauge().set(1);
  metrics::Gauge().add(1);
  metrics::Latency().record(1ms);
}

TEST(Metrics, AGaugeIsSetAndMoved) {
  Registry registry;
  const auto gauge = registry.gauge("peers", "Peers.");
  ASSERT_TRUE(gauge);
  gauge->set(10);
  gauge->add(-12);
  EXPECT_EQ(registry.snapshot().value("peers"), -2);
}

TEST(Metrics, EachThreadsAdditionsCountMoreThreadsThanStripesToo) {
  Registry registry;
  const auto counter = registry.counter("adds_total", "");
  const auto latency = registry.latency("adds_seconds", "");
  ASSERT_TRUE(counter && latency);
  constexpr std::size_t threads = 40;
  constexpr int adds = 2000;
  {
    // All hold their stripe at once, so the last ones have to share.
    std::atomic<std::size_t> ready{0};
    std::vector<std::jthread> adders;
    adders.reserve(threads);
    for (std::size_t t = 0; t < threads; ++t) {
      adders.emplace_back([&] {
        counter->add();
        if (ready.fetch_add(1) + 1 == threads) ready.notify_all();
        for (std::size_t now = ready.load(); now < threads; now = ready.load()) ready.wait(now);
        for (int i = 1; i < adds; ++i) {
          counter->add();
          latency->record(5us);
        }
      });
    }
  }
  const metrics::Snapshot snapshot = registry.snapshot();
  EXPECT_EQ(snapshot.value("adds_total"), static_cast<std::int64_t>(threads) * adds);
  EXPECT_EQ(snapshot.find("adds_seconds")->latency.count, threads * (adds - 1));
  EXPECT_EQ(snapshot.find("adds_seconds")->latency.sum, 5us * threads * (adds - 1));
}

TEST(Metrics, AStripeIsPassedOnWithoutLosingWhatItsLastThreadCounted) {
  Registry registry;
  const auto counter = registry.counter("adds_total", "");
  ASSERT_TRUE(counter);
  for (int round = 0; round < 100; ++round) {
    const std::jthread one([&] { counter->add(3); });
    const std::jthread two([&] { counter->add(4); });
  }
  EXPECT_EQ(registry.snapshot().value("adds_total"), 700);
}

struct AddsAtThreadExit {
  metrics::Counter counter;
  ~AddsAtThreadExit() { counter.add(); }
};

TEST(Metrics, ADestructorThatRunsAfterTheStripeIsGivenBackStillCounts) {
  Registry registry;
  const auto counter = registry.counter("adds_total", "");
  ASSERT_TRUE(counter);
  std::jthread([&] {
    thread_local AddsAtThreadExit late;
    late.counter = *counter;
    counter->add();
  }).join();
  EXPECT_EQ(registry.snapshot().value("adds_total"), 2);
}

TEST(Metrics, ASnapshotNeverGoesBackWhileOthersCount) {
  Registry registry;
  const auto counter = registry.counter("adds_total", "");
  ASSERT_TRUE(counter);
  std::atomic<bool> stop{false};
  std::jthread one([&] {
    while (!stop) counter->add();
  });
  std::jthread two([&] {
    while (!stop) counter->add();
  });
  std::int64_t last = 0;
  for (int i = 0; i < 2000 || last == 0; ++i) {
    const std::int64_t now = registry.snapshot().value("adds_total");
    ASSERT_GE(now, last);
    last = now;
  }
  stop = true;
}

TEST(Metrics, LatenciesFallIntoBucketsAQuarterWide) {
  Registry registry;
  const auto latency = registry.latency("took_seconds", "");
  ASSERT_TRUE(latency);
  for (int i = 1; i <= 100; ++i) latency->record(i * 1ms);
  latency->record(-5ns);
  latency->record(Duration::max());
  const auto snapshot = registry.snapshot();
  const metrics::LatencyCounts& counts = snapshot.find("took_seconds")->latency;
  EXPECT_EQ(counts.count, 102U);
  EXPECT_EQ(counts.buckets.front(), 1U);
  EXPECT_EQ(counts.buckets.back(), 1U);
  for (const int percent : {10, 50, 90}) {
    EXPECT_GE(counts.percentile(percent), percent * 1ms);
    EXPECT_LE(counts.percentile(percent), percent * 1250us);
  }
  EXPECT_EQ(metrics::LatencyCounts().percentile(50), 0ns);
}

TEST(Metrics, NamesAndLabelsAreChecked) {
  Registry registry;
  const std::vector<std::pair<std::string, Labels>> bad{
      {"", {}},
      {"9lives", {}},
      {"with space", {}},
      {"caf\xc3\xa9", {}},
      {std::string(metrics::name_bytes_max + 1, 'a'), {}},
      {"ok", {{"", "v"}}},
      {"ok", {{"__reserved", "v"}}},
      {"ok", {{"le", "1"}}},
      {"ok", {{"a", "1"}, {"a", "2"}}},
      {"ok", {{"a", std::string(metrics::label_value_bytes_max + 1, 'v')}}},
      {"ok", {{"a", "\xff"}}},
      {"ok", Labels(metrics::labels_max + 1, {"a", "b"})},
  };
  for (const auto& [name, labels] : bad) {
    const auto result = registry.counter(name, "", labels);
    ASSERT_FALSE(result) << name;
    EXPECT_TRUE(result.error().is(Errc::invalid_argument)) << name;
  }
  EXPECT_TRUE(registry.snapshot().families.empty());
}

TEST(Metrics, ANameHasOneKind) {
  Registry registry;
  ASSERT_TRUE(registry.counter("x", ""));
  EXPECT_TRUE(registry.gauge("x", "").error().is(Errc::invalid_argument));
  EXPECT_TRUE(registry.latency("x", "", {{"a", "b"}}).error().is(Errc::invalid_argument));
  EXPECT_TRUE(registry.counter("x", "", {{"a", "b"}}));
}

TEST(Metrics, SeriesBeyondTheLimitAreRefusedByItsName) {
  RegistryOptions options;
  options.series_max = 2;
  Registry registry(options);
  ASSERT_TRUE(registry.counter("x_total", "", {{"peer", "1"}}));
  ASSERT_TRUE(registry.counter("x_total", "", {{"peer", "2"}}));
  const auto third = registry.counter("x_total", "", {{"peer", "3"}});
  ASSERT_FALSE(third);
  EXPECT_TRUE(third.error().is(Errc::overloaded));
  EXPECT_THAT(third.error().context(), HasSubstr("series_max (2)"));
  EXPECT_FALSE(registry.gauge("y", ""));
  EXPECT_TRUE(registry.counter("x_total", "", {{"peer", "1"}})) << "known series are still found";
}

TEST(Metrics, AnObservedNumberIsReadAtEachSnapshotUntilItsObservationGoes) {
  Registry registry;
  std::int64_t now = 5;
  {
    auto observation = registry.observe(Kind::counter, "sent_total", "Sent.",
                                        {{"b", "1"}, {"a", "1"}}, [&now] { return now; });
    ASSERT_TRUE(observation);
    EXPECT_EQ(registry.snapshot().value("sent_total", {{"a", "1"}, {"b", "1"}}), 5);
    now = 8;
    EXPECT_EQ(registry.snapshot().value("sent_total", {{"a", "1"}, {"b", "1"}}), 8);
    EXPECT_TRUE(registry
                    .observe(Kind::counter, "sent_total", "", {{"a", "1"}, {"b", "1"}},
                             [] { return std::int64_t{0}; })
                    .error()
                    .is(Errc::already_exists));
    EXPECT_TRUE(registry.counter("sent_total", "", {{"a", "1"}, {"b", "1"}})
                    .error()
                    .is(Errc::already_exists));
    metrics::Observation moved = std::move(*observation);
    EXPECT_EQ(registry.snapshot().value("sent_total", {{"a", "1"}, {"b", "1"}}), 8);
  }
  EXPECT_TRUE(registry.snapshot().families.empty());
  EXPECT_TRUE(registry.gauge("sent_total", "")) << "the name is free again, for any kind";
  EXPECT_TRUE(registry.observe(Kind::latency, "z", "", {}, [] { return std::int64_t{0}; })
                  .error()
                  .is(Errc::invalid_argument));
  EXPECT_TRUE(registry.observe(Kind::gauge, "z", "", {}, {}).error().is(Errc::invalid_argument));
}

TEST(Metrics, AnObservationWaitsForTheSnapshotThatReadsIt) {
  Registry registry;
  std::atomic<bool> stop{false};
  std::jthread scraper([&] {
    while (!stop) registry.snapshot();
  });
  for (int i = 0; i < 2000; ++i) {
    auto alive = std::make_unique<std::int64_t>(i);
    const auto observation =
        registry.observe(Kind::gauge, "x", "", {}, [&value = *alive] { return value; });
    ASSERT_TRUE(observation);
  }
  stop = true;
}

TEST(Prometheus, CountersAndGaugesAreWrittenInOrderWithEscapes) {
  Registry registry;
  registry.gauge("peers", "Peers\nwith a \\ in \"help\".")->set(-3);
  registry.counter("calls_total", "Calls.", {{"handler", "a\"b\\c\nd"}})->add(2);
  registry.counter("calls_total", "Calls.", {{"handler", "A"}, {"fate", "handled"}})->add(1);
  EXPECT_EQ(registry.to_prometheus(),
            "# HELP calls_total Calls.\n"
            "# TYPE calls_total counter\n"
            "calls_total{fate=\"handled\",handler=\"A\"} 1\n"
            "calls_total{handler=\"a\\\"b\\\\c\\nd\"} 2\n"
            "# HELP peers Peers\\nwith a \\\\ in \"help\".\n"
            "# TYPE peers gauge\n"
            "peers -3\n");
}

TEST(Prometheus, ALatencyIsACumulativeHistogramInSeconds) {
  Registry registry;
  const auto latency = registry.latency("took_seconds", "Took.", {{"h", "x"}});
  ASSERT_TRUE(latency);
  latency->record(500ns);
  latency->record(1500ns);
  latency->record(1h);
  const std::string text = registry.to_prometheus();
  EXPECT_THAT(text, HasSubstr("# TYPE took_seconds histogram\n"
                              "took_seconds_bucket{h=\"x\",le=\"1.024e-06\"} 1\n"
                              "took_seconds_bucket{h=\"x\",le=\"2.048e-06\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("took_seconds_bucket{h=\"x\",le=\"137.438953472\"} 2\n"
                              "took_seconds_bucket{h=\"x\",le=\"+Inf\"} 3\n"
                              "took_seconds_sum{h=\"x\"} 3600.000002\n"
                              "took_seconds_count{h=\"x\"} 3\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2 + 28 + 3);
}

}  // namespace velo::metrics_test
