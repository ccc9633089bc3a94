// SPDX-License-Identifier: Apache-2.0
// A connection's window as a value: what fits, the shard's share, and that nothing is lost between
// the two.

#include "request_window.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace velo::messenger::request_window_test {

struct Nowhere final : Executor {
  void post(Task0 /*task*/) noexcept override {}
};

TEST(RequestWindow, FitsSoManyCallsAndBytes) {
  Nowhere shard;
  RequestWindow window(shard, std::make_shared<MemoryBudget>());
  window.open(3, 100);
  EXPECT_TRUE(window.take(60));
  EXPECT_FALSE(window.take(41));
  EXPECT_TRUE(window.take(20));
  EXPECT_TRUE(window.take(20));
  EXPECT_FALSE(window.take(0)) << "three calls";
  window.give(60);
  EXPECT_FALSE(window.take(61));
  EXPECT_TRUE(window.take(60));
}

TEST(RequestWindow, ChargesNoRequestMoreThanAllBytes) {
  Nowhere shard;
  RequestWindow window(shard, std::make_shared<MemoryBudget>());
  window.open(3, 100);
  EXPECT_EQ(window.charge_of(99), 99u);
  EXPECT_EQ(window.charge_of(1'000), 100u);
}

TEST(RequestWindow, TheShardGetsAllOfIt) {
  Nowhere shard;
  RequestWindow window(shard, std::make_shared<MemoryBudget>());
  window.open(1'024, 1 << 20);
  const Executor::Scope here(&shard);
  for (int i = 0; i < 1'024; ++i) EXPECT_TRUE(window.take(1'024)) << i;
  EXPECT_FALSE(window.take(1));
}

TEST(RequestWindow, TheShardKeepsOnlyAShareToItself) {
  Nowhere shard;
  RequestWindow window(shard, std::make_shared<MemoryBudget>());
  window.open(1'024, 1 << 20);
  {
    const Executor::Scope here(&shard);
    for (int i = 0; i < 1'024; ++i) EXPECT_TRUE(window.take(1'024));
    for (int i = 0; i < 1'024; ++i) window.give(1'024);
  }
  int others = 0;
  while (window.take(1'024)) ++others;
  EXPECT_GE(others, 1'024 - 128);
}

TEST(RequestWindow, OffersOfAPeerAreCut) {
  Nowhere shard;
  RequestWindow window(shard, std::make_shared<MemoryBudget>());
  window.open(UINT64_MAX, UINT64_MAX);
  EXPECT_EQ(window.left().calls, std::uint64_t{1} << 22U);
  EXPECT_LT(window.left().bytes, std::uint64_t{1} << 40U);
  EXPECT_TRUE(window.take(window.charge_of(SIZE_MAX)));
  EXPECT_FALSE(window.take(1));
}

TEST(RequestWindow, NothingIsLostOnRandomWalks) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    std::mt19937 random(seed);
    Nowhere shard;
    RequestWindow window(shard, std::make_shared<MemoryBudget>());
    const std::uint64_t calls = 1 + random() % 300;
    const std::uint64_t bytes = 1 + random() % 100'000;
    window.open(calls, bytes);
    std::vector<std::uint64_t> taken;
    std::uint64_t sum = 0;
    for (int i = 0; i < 2'000; ++i) {
      const Executor::Scope here(random() % 2 == 0 ? &shard : nullptr);
      if (random() % 2 == 0) {
        const std::uint64_t charge = window.charge_of(random() % 2'000);
        if (!window.take(charge)) continue;
        taken.push_back(charge);
        sum += charge;
      } else if (!taken.empty()) {
        window.give(taken.back());
        sum -= taken.back();
        taken.pop_back();
      }
      ASSERT_EQ(window.left().calls, calls - taken.size()) << "seed " << seed;
      ASSERT_EQ(window.left().bytes, bytes - sum) << "seed " << seed;
    }
  }
}

TEST(RequestWindow, WhatWaitsComesOutInOrder) {
  Nowhere shard;
  RequestWindow window(shard, std::make_shared<MemoryBudget>());
  window.open(1, 1);
  auto of = [](const char* name) {
    PendingSend send;
    send.handler = name;
    return send;
  };
  EXPECT_FALSE(window.holds());
  EXPECT_EQ(window.hold(of("a")), RequestWindow::Held::first);
  EXPECT_EQ(window.hold(of("b")), RequestWindow::Held::behind_others);
  auto first = window.pop();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->handler, "a");
  window.put_back(std::move(*first));
  EXPECT_EQ(window.pop()->handler, "a");
  EXPECT_EQ(window.pop()->handler, "b");
  EXPECT_TRUE(window.holds()) << "until the shard saw that nothing is left";
  EXPECT_FALSE(window.pop());
  EXPECT_FALSE(window.holds());
  EXPECT_EQ(window.hold(of("c")), RequestWindow::Held::first);
  EXPECT_EQ(window.close().size(), 1u);
  EXPECT_EQ(window.hold(of("d")), RequestWindow::Held::closed);
}

}  // namespace velo::messenger::request_window_test
