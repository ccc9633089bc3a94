// SPDX-License-Identifier: Apache-2.0
// Handlers by name, up to many thousands of them.

#include "handler_table.hpp"

#include <velo/messenger/limits.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

namespace velo::messenger::handler_table_test {

static Handler named(std::string name) {
  return Handler::am_handler(std::move(name), [](Context&) {}).inline_().build();
}

TEST(HandlerTable, FindsWhatWasAddedAndNothingElse) {
  HandlerTable table;
  ASSERT_TRUE(table.add(named("a"), false));
  ASSERT_NE(table.find("a"), nullptr);
  EXPECT_EQ(table.find("a")->name(), "a");
  EXPECT_EQ(table.find("b"), nullptr);
  EXPECT_EQ(table.find(""), nullptr);
}

// A copy of the table per registration took 34 GB here.
TEST(HandlerTable, RegisteringManyCopiesTheTableOnlyWhenItGrows) {
  HandlerTable table;
  constexpr int count = 40'000;
  for (int i = 0; i < count; ++i) ASSERT_TRUE(table.add(named("h" + std::to_string(i)), false));
  for (int i = 0; i < count; ++i) ASSERT_NE(table.find("h" + std::to_string(i)), nullptr) << i;
  const auto names = table.names();
  EXPECT_EQ(names.size(), static_cast<std::size_t>(count));
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

TEST(HandlerTable, RefusesMoreThanItsLimit) {
  HandlerTable table;
  for (std::size_t i = 0; i < limits::handlers_max; ++i) {
    ASSERT_TRUE(table.add(named("h" + std::to_string(i)), false)) << i;
  }
  const auto one_more = table.add(named("one more"), false);
  ASSERT_FALSE(one_more);
  EXPECT_TRUE(one_more.error().is(velo::Errc::overloaded));
}

TEST(HandlerTable, LookupsGoOnWhileHandlersAreAdded) {
  HandlerTable table;
  ASSERT_TRUE(table.add(named("always"), false));
  std::atomic<bool> over{false};
  std::atomic<int> lost{0};
  std::jthread reader([&] {
    while (!over.load()) {
      const Handler* found = table.find("always");
      if (found == nullptr || found->name() != "always") lost.fetch_add(1);
      const Handler* last = table.find("h999");
      if (last != nullptr && last->name() != "h999") lost.fetch_add(1);
    }
  });
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(table.add(named("h" + std::to_string(i)), false));
  over.store(true);
  reader.join();
  EXPECT_EQ(lost.load(), 0);
}

}  // namespace velo::messenger::handler_table_test
