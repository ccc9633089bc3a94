// SPDX-License-Identifier: Apache-2.0
// Series that come and go together.

#include <velo/base/observed_series.hpp>

#include <gtest/gtest.h>

#include <utility>

namespace velo::metrics::observed_series_test {

TEST(ObservedSeries, HaveTheirOwnLabelsAndThoseInCommonAndGoTogether) {
  Registry registry;
  ObservedSeries series(registry, {{"node", "a"}});
  series.add(Kind::gauge, "velo_test_depth", "Depth.", {}, [] { return 3; });
  series.add(Kind::counter, "velo_test_ends_total", "Ends.", {{"end", "well"}}, [] { return 4; });
  {
    const auto kept = series.take();
    ASSERT_TRUE(kept) << kept.error().to_string();
    EXPECT_EQ(kept->size(), 2u);
    const Snapshot now = registry.snapshot();
    EXPECT_EQ(now.value("velo_test_depth", {{"node", "a"}}), 3);
    EXPECT_EQ(now.value("velo_test_ends_total", {{"end", "well"}, {"node", "a"}}), 4);
  }
  EXPECT_TRUE(registry.snapshot().families.empty());
}

TEST(ObservedSeries, AreAllThereOrNone) {
  Registry registry;
  ObservedSeries series(registry);
  series.add(Kind::gauge, "velo_test_depth", "Depth.", {}, [] { return 3; });
  series.add(Kind::gauge, "velo_test_depth", "Depth.", {}, [] { return 4; });  // a second time
  series.add(Kind::gauge, "velo_test_other", "Other.", {}, [] { return 5; });
  const auto refused = series.take();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::already_exists)) << refused.error().to_string();
  EXPECT_TRUE(registry.snapshot().families.empty());
}

}  // namespace velo::metrics::observed_series_test
