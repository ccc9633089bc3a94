// SPDX-License-Identifier: Apache-2.0
// The books as metrics: the same numbers, of one instant, gone with the messenger.

#include "testing/cluster.hpp"

#include <velo/base/metrics.hpp>

namespace velo::messenger::books_metrics_test {

using metrics::Registry;
using metrics::RegistryOptions;
using testing::Cluster;
using testing::echo;

static std::int64_t sum(const metrics::Snapshot& snapshot, std::string_view name) {
  std::int64_t total = 0;
  for (const metrics::Family& family : snapshot.families) {
    if (family.name != name) continue;
    for (const metrics::Series& series : family.series) total += series.value;
  }
  return total;
}

TEST(BooksMetrics, TellWhatTheBooksSay) {
  Registry registry;
  Cluster cluster(2);
  ASSERT_TRUE(cluster[1].register_handler(echo()));
  ASSERT_TRUE(cluster[0].publish_metrics(registry));
  ASSERT_TRUE(cluster[1].publish_metrics(registry));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(1)).send()));
  }
  EXPECT_FALSE(cluster.wait(cluster[0].am_sync("none").instance(cluster.id(1)).send()));
  const std::string a = cluster.id(0).to_string();
  const std::string b = cluster.id(1).to_string();

  const metrics::Snapshot now = registry.snapshot();
  EXPECT_EQ(now.value("velo_sends_total", {{"node", a}, {"pattern", "unary"}}), 3);
  EXPECT_EQ(
      now.value("velo_send_ends_total", {{"node", a}, {"pattern", "unary"}, {"fate", "handled"}}),
      3);
  EXPECT_EQ(
      now.value("velo_send_ends_total", {{"node", a}, {"pattern", "sync"}, {"fate", "rejected"}}),
      1);
  EXPECT_EQ(now.value("velo_send_rejections_total",
                      {{"node", a}, {"reason", "messenger.unknown_handler"}}),
            1);
  EXPECT_EQ(now.value("velo_sends_accepted_total", {{"node", a}}), 4);
  EXPECT_EQ(now.value("velo_sends_waited_total", {{"node", a}, {"what", "connection"}}), 1);
  EXPECT_EQ(now.value("velo_requests_total", {{"node", b}}), 4);
  EXPECT_EQ(now.value("velo_request_ends_total", {{"node", b}, {"end", "succeeded"}}), 3);
  EXPECT_EQ(now.value("velo_request_ends_total", {{"node", b}, {"end", "rejected"}}), 1);
  EXPECT_EQ(sum(now, "velo_sends_total"),
            sum(now, "velo_sends_in_flight") + sum(now, "velo_send_ends_total"));
  EXPECT_EQ(sum(now, "velo_send_rejections_total"), 1);
}

TEST(BooksMetrics, AreReadAnewByEachScrape) {
  Registry registry;
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].register_handler(echo()));
  ASSERT_TRUE(cluster[0].publish_metrics(registry));
  for (int sent = 1; sent <= 3; ++sent) {
    ASSERT_TRUE(cluster.wait(cluster[0].unary("echo").instance(cluster.id(0)).send()));
    const metrics::Snapshot now = registry.snapshot();
    EXPECT_EQ(sum(now, "velo_sends_total"), sent);
    EXPECT_EQ(sum(now, "velo_send_ends_total"), sent);
    EXPECT_EQ(sum(now, "velo_request_ends_total"), sent);
  }
}

TEST(BooksMetrics, EveryRejectionHasAReason) {
  Registry registry;
  Cluster cluster(1);
  ASSERT_TRUE(cluster[0].publish_metrics(registry));
  EXPECT_FALSE(cluster.wait(cluster[0].unary("").instance(cluster.id(0)).send()));
  const metrics::Snapshot now = registry.snapshot();
  const Books books = cluster[0].books();
  EXPECT_EQ(books.unary[Fate::rejected], 1U);
  EXPECT_EQ(sum(now, "velo_send_rejections_total"), 1);
}

TEST(BooksMetrics, AreGoneWithTheMessenger) {
  Registry registry;
  {
    Cluster cluster(1);
    ASSERT_TRUE(cluster[0].publish_metrics(registry));
    EXPECT_FALSE(registry.snapshot().families.empty());
    EXPECT_TRUE(cluster[0].publish_metrics(registry).error().is(velo::Errc::already_exists));
    EXPECT_FALSE(registry.snapshot().families.empty()) << "the first ones stay";
  }
  // What its transports and handlers did stays.
  for (const metrics::Family& family : registry.snapshot().families) {
    EXPECT_NE(family.kind, metrics::Kind::gauge) << family.name;
    for (const metrics::Series& series : family.series) {
      for (const auto& [label, value] : series.labels) EXPECT_NE(label, "node") << family.name;
    }
  }
}

TEST(BooksMetrics, ThatDoNotAllFitAreNotThereAtAll) {
  RegistryOptions options;
  options.series_max = 10;
  Registry registry(options);
  Cluster cluster(1);
  const auto published = cluster[0].publish_metrics(registry);
  ASSERT_FALSE(published);
  EXPECT_TRUE(published.error().is(velo::Errc::overloaded));
  EXPECT_TRUE(registry.snapshot().families.empty());
}

}  // namespace velo::messenger::books_metrics_test
