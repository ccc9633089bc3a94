// SPDX-License-Identifier: Apache-2.0
// Handlers by name, up to many thousands of them.

#include "handler_table.hpp"

#include "hello.hpp"

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

// More made every greeting unreadable for the peer, and so the messenger unreachable.
TEST(HandlerTable, NamesThatNoGreetingCouldListAreRefused) {
  HandlerTable table;
  std::size_t added = 0;
  Result<void> last;
  for (; last && added < 1000; ++added) {
    std::string name = std::to_string(added) + std::string(60'000, 'x');
    last = table.add(named(std::move(name)), false);
  }
  ASSERT_FALSE(last);
  EXPECT_TRUE(last.error().is(velo::Errc::overloaded)) << last.error().to_string();
  HandlersResponse greeting;
  greeting.handlers = table.names();
  EXPECT_GT(greeting.handlers.size(), 60u);
  greeting.offer = local_offer(1);
  EXPECT_TRUE(decode_handlers_response(encode_handlers_response(greeting)));
}

TEST(HandlerTable, NamesCountAsTheGreetingEscapesThem) {
  HandlerTable table;
  Result<void> last;
  for (int i = 0; last && i < 1000; ++i) {
    last = table.add(named(std::to_string(i) + std::string(60'000, '\x01')), false);
  }
  ASSERT_FALSE(last);
  HandlersResponse greeting;
  greeting.handlers = table.names();
  EXPECT_TRUE(decode_handlers_response(encode_handlers_response(greeting)));
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
