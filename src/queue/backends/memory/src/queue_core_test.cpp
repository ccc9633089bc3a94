// SPDX-License-Identifier: Apache-2.0
// Items of one queue, and where they are.

#include "queue_core.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace velo::queue::queue_core_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

struct Core {
  explicit Core(QueueOptions options = QueueOptions()) : core(options, 1000, 7) {}

  Result<Receipt> send(std::string_view text, std::string id = {}, Duration delay = Duration(0)) {
    SendOptions options;
    options.id = std::move(id);
    options.delay = delay;
    return core.send(now, Bytes::copy(text), options);
  }
  std::vector<Delivery> receive(std::size_t batch = 1) {
    core.expire(now);
    ReceiveOptions options;
    options.batch = batch;
    return core.receive(now, options);
  }
  std::string text(const Delivery& delivery) { return std::string(delivery.payload.text()); }

  TimePoint now{1h};
  QueueCore core;
};

TEST(QueueCore, ItemsComeInTheOrderInWhichTheyWereSent) {
  Core queue;
  for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(queue.send(text));
  const auto first = queue.receive(2);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(queue.text(first[0]) + queue.text(first[1]), "ab");
  EXPECT_EQ(queue.text(queue.receive(9).at(0)), "c");
  EXPECT_TRUE(queue.receive().empty());
}

TEST(QueueCore, AnItemIsGoneOnceItIsAcknowledged) {
  Core queue;
  ASSERT_TRUE(queue.send("a"));
  const Lease lease = queue.receive().at(0).lease;
  EXPECT_TRUE(queue.core.ack(queue.now, lease));
  EXPECT_TRUE(queue.core.empty());
  EXPECT_TRUE(queue.core.ack(queue.now, lease).error().is(Errc::lease_lost));
}

TEST(QueueCore, ALeaseThatRanOutIsDeliveredAgainAndItsReceiverHasLostIt) {
  Core queue;
  ASSERT_TRUE(queue.send("a"));
  const Delivery first = queue.receive().at(0);
  EXPECT_EQ(first.deliveries, 1u);
  queue.now = queue.now + (30s - 1ns);
  EXPECT_TRUE(queue.receive().empty());
  EXPECT_EQ(queue.core.next_change(), queue.now + 1ns);
  queue.now = queue.now + 1ns;
  const Delivery second = queue.receive().at(0);
  EXPECT_EQ(second.deliveries, 2u);
  EXPECT_EQ(second.id, first.id);
  for (const auto& refused : {queue.core.ack(queue.now, first.lease),
                              queue.core.nack(queue.now, first.lease, Duration(0)),
                              queue.core.extend(queue.now, first.lease, 1s)}) {
    EXPECT_TRUE(refused.error().is(Errc::lease_lost));
  }
  EXPECT_TRUE(queue.core.ack(queue.now, second.lease));
}

TEST(QueueCore, ALeaseRunsOutAlsoWhenNobodyLookedInBetween) {
  Core queue;
  ASSERT_TRUE(queue.send("a"));
  const Lease lease = queue.receive().at(0).lease;
  queue.now = queue.now + 1min;
  EXPECT_TRUE(queue.core.ack(queue.now, lease).error().is(Errc::lease_lost));
  EXPECT_EQ(queue.core.state(queue.now).ready, 1u);
}

TEST(QueueCore, AnExtendedLeaseHoldsLonger) {
  Core queue;
  ASSERT_TRUE(queue.send("a"));
  const Lease lease = queue.receive().at(0).lease;
  queue.now = queue.now + 20s;
  ASSERT_TRUE(queue.core.extend(queue.now, lease, 1min));
  queue.now = queue.now + 59s;
  EXPECT_TRUE(queue.receive().empty());
  EXPECT_TRUE(queue.core.ack(queue.now, lease));
}

TEST(QueueCore, WhatIsGivenBackComesBeforeWhatIsNewer) {
  Core queue;
  for (const char* text : {"a", "b"}) ASSERT_TRUE(queue.send(text));
  const Lease lease = queue.receive().at(0).lease;
  ASSERT_TRUE(queue.core.nack(queue.now, lease, Duration(0)));
  EXPECT_EQ(queue.text(queue.receive().at(0)), "a");
}

TEST(QueueCore, DelayedItemsComeWhenTheDelayIsOver) {
  Core queue;
  ASSERT_TRUE(queue.send("later", {}, 10s));
  ASSERT_TRUE(queue.send("now"));
  const Delivery now = queue.receive(5).at(0);
  EXPECT_EQ(queue.text(now), "now");
  ASSERT_TRUE(queue.core.nack(queue.now, now.lease, 20s));
  queue.now = queue.now + 10s;
  EXPECT_EQ(queue.text(queue.receive(5).at(0)), "later");
  queue.now = queue.now + 10s;
  EXPECT_EQ(queue.text(queue.receive(5).at(0)), "now");
}

TEST(QueueCore, TheSameIdIsQueuedOnceWhileItIsRemembered) {
  Core queue;
  EXPECT_EQ(*queue.send("a", "id"), (Receipt{"id", false}));
  EXPECT_EQ(*queue.send("a", "id"), (Receipt{"id", true}));
  ASSERT_TRUE(queue.core.ack(queue.now, queue.receive().at(0).lease));
  EXPECT_EQ(*queue.send("a", "id"), (Receipt{"id", true})) << "also when it is done";
  queue.now = queue.now + 2min;
  EXPECT_EQ(*queue.send("a", "id"), (Receipt{"id", false}));
}

TEST(QueueCore, ItemsAndBytesAreBounded) {
  QueueOptions options;
  options.items_max = 2;
  Core queue(options);
  ASSERT_TRUE(queue.send("a"));
  ASSERT_TRUE(queue.send("b"));
  EXPECT_TRUE(queue.send("c").error().is(Errc::full));
  const Lease lease = queue.receive().at(0).lease;
  EXPECT_TRUE(queue.send("c").error().is(Errc::full)) << "leased items are still here";
  ASSERT_TRUE(queue.core.ack(queue.now, lease));
  EXPECT_TRUE(queue.send("c"));
  options.items_max = 100;
  options.bytes_max = 2000;
  Core small(options);
  EXPECT_TRUE(small.send(std::string(2000, 'x')).error().is(Errc::too_large));
  ASSERT_TRUE(small.send(std::string(1000, 'x')));
  EXPECT_TRUE(small.send(std::string(1000, 'x')).error().is(Errc::full));
}

TEST(QueueCore, WhatIsWrongWithAnItemIsSaid) {
  Core queue;
  EXPECT_TRUE(queue.core
                  .send(queue.now, Bytes::copy(std::string(limits::payload_bytes_max + 1, 'x')),
                        SendOptions())
                  .error()
                  .is(Errc::too_large));
  EXPECT_TRUE(queue.send("a", std::string(limits::id_bytes_max + 1, 'i'))
                  .error()
                  .is(velo::Errc::invalid_argument));
  SendOptions options;
  options.headers.emplace("name", std::string(limits::header_bytes_max, 'v'));
  EXPECT_TRUE(
      queue.core.send(queue.now, Bytes(), options).error().is(velo::Errc::invalid_argument));
  queue.core.close();
  EXPECT_TRUE(queue.send("a").error().is(Errc::closed));
}

TEST(QueueCore, ABatchEndsBeforeItBecomesTooLarge) {
  QueueOptions options;
  Core queue(options);
  const std::string large(limits::batch_bytes_max / 2, 'x');
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue.send(large));
  EXPECT_EQ(queue.receive(10).size(), 1u);
  EXPECT_EQ(queue.receive(10).size(), 1u);
}

TEST(QueueCore, AfterTheLastDeliveryAnItemIsADeadLetter) {
  QueueOptions options;
  options.deliveries_max = 2;
  options.dead_letters = std::make_shared<MemoryDeadLetters>();
  Core queue(options);
  ASSERT_TRUE(queue.send("a", "poison"));
  ASSERT_TRUE(queue.core.nack(queue.now, queue.receive().at(0).lease, Duration(0)));
  EXPECT_TRUE(queue.core.take_dead("q", WallTime()).empty());
  (void)queue.receive();
  queue.now = queue.now + 30s;
  EXPECT_TRUE(queue.receive().empty());
  const auto dead = queue.core.take_dead("q", WallTime());
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].second.id, "poison");
  EXPECT_EQ(dead[0].second.deliveries, 2u);
  EXPECT_FALSE(dead[0].second.reason.empty());
  EXPECT_FALSE(queue.core.empty()) << "it is here until its sink has it";
  queue.core.spared(dead[0].first, queue.now + 5s);
  EXPECT_TRUE(queue.core.take_dead("q", WallTime()).empty());
  queue.now = queue.now + 5s;
  queue.core.expire(queue.now);
  ASSERT_EQ(queue.core.take_dead("q", WallTime()).size(), 1u);
  queue.core.buried(dead[0].first);
  EXPECT_TRUE(queue.core.empty());
  EXPECT_EQ(queue.core.state(queue.now).dead, 1u);
}

TEST(QueueCore, WithoutASinkAnItemIsDeliveredOnRatherThanLost) {
  QueueOptions options;
  options.deliveries_max = 1;
  Core queue(options);
  ASSERT_TRUE(queue.send("a"));
  for (std::uint32_t i = 1; i <= 5; ++i) {
    const Delivery delivery = queue.receive().at(0);
    EXPECT_EQ(delivery.deliveries, i);
    ASSERT_TRUE(queue.core.nack(queue.now, delivery.lease, Duration(0)));
  }
}

/// A small generator of its own, so that each seed is one history.
struct Chance {
  std::uint64_t state;
  std::uint64_t below(std::uint64_t bound) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33U) % bound;
  }
};

// The books: whatever happens, every item that was queued is somewhere, and once.
TEST(QueueCore, NoItemIsLostWhateverItsReceiversDo) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Chance chance{seed};
    QueueOptions options;
    options.items_max = 1 + chance.below(30);
    options.deliveries_max = 1 + static_cast<std::uint32_t>(chance.below(4));
    if (chance.below(2) == 0) options.dead_letters = std::make_shared<MemoryDeadLetters>();
    Core queue(options);
    std::map<std::string, int> settled;
    std::vector<Delivery> held;
    std::size_t accepted = 0;
    for (int step = 0; step < 400; ++step) {
      switch (chance.below(6)) {
        case 0:
        case 1: {
          const auto sent = queue.send("x", "item" + std::to_string(chance.below(300)),
                                       std::chrono::seconds(chance.below(3)));
          if (sent && !sent->duplicate) ++accepted;
          break;
        }
        case 2:
          for (auto& delivery : queue.receive(1 + chance.below(3))) held.push_back(delivery);
          break;
        case 3:
          if (held.empty()) break;
          if (queue.core.ack(queue.now, held.back().lease)) ++settled[held.back().id];
          held.pop_back();
          break;
        case 4:
          if (held.empty()) break;
          (void)queue.core.nack(queue.now, held.front().lease,
                                std::chrono::seconds(chance.below(9)));
          held.erase(held.begin());
          break;
        default: queue.now = queue.now + std::chrono::seconds(chance.below(20));
      }
      queue.core.expire(queue.now);
      for (const auto& [item, letter] : queue.core.take_dead("q", WallTime())) {
        if (chance.below(3) == 0) {
          queue.core.spared(item, queue.now + 1s);
        } else {
          ++settled[letter.id];
          queue.core.buried(item);
        }
      }
      const QueueState state = queue.core.state(queue.now);
      ASSERT_EQ(state.queued, accepted) << seed;
      ASSERT_EQ(state.queued, state.ready + state.leased + state.delayed + state.acked + state.dead)
          << seed;
    }
    const QueueState state = queue.core.state(queue.now);
    std::size_t ends = 0;
    for (const auto& [id, times] : settled) ends += static_cast<std::size_t>(times);
    EXPECT_EQ(ends, state.acked + state.dead) << seed;
  }
}

}  // namespace velo::queue::queue_core_test
