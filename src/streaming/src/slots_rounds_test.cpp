// SPDX-License-Identifier: Apache-2.0
// Both ends of a connection's streams as values: loss, random rounds, and signs of life.

#include "peer_watch.hpp"
#include "testing/slot_pair.hpp"

#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace velo::streaming::slots_rounds_test {

using slots_testing::Pair;
using slots_testing::text_of;

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST(StreamSlots, ALostBatchEndsTheEpochUntilTheNextOneBegins) {
  Batcher back;
  Ingress ingress(back);
  const auto arrive = [&](std::uint64_t epoch, std::uint32_t sequence) {
    BatchHeader header;
    header.epoch = epoch;
    header.sequence = sequence;
    return ingress.on_batch(header, 99);
  };
  EXPECT_EQ(arrive(5, 0), Ingress::Arrival::next);
  EXPECT_EQ(arrive(5, 1), Ingress::Arrival::next);
  EXPECT_EQ(arrive(5, 3), Ingress::Arrival::gap);
  EXPECT_EQ(arrive(5, 4), Ingress::Arrival::stale);
  EXPECT_EQ(arrive(6, 0), Ingress::Arrival::next);
  EXPECT_EQ(arrive(7, 0), Ingress::Arrival::new_epoch);
  // What began elsewhere goes on here, and slots that were opened there are not known.
  EXPECT_EQ(arrive(8, 2), Ingress::Arrival::new_epoch);
  EXPECT_EQ(arrive(8, 3), Ingress::Arrival::next);
  EXPECT_EQ(ingress.on_data(Slot(0, 0), 0, 1), Ingress::Verdict::ignore);
  EXPECT_FALSE(back.empty());
  EXPECT_EQ(arrive(9, 0), Ingress::Arrival::new_epoch);
  ingress.abandon_epoch();
  EXPECT_EQ(arrive(9, 1), Ingress::Arrival::stale);
  EXPECT_EQ(arrive(10, 0), Ingress::Arrival::next);
}

TEST(StreamSlots, WhoGaveUpOurEpochIsBelievedAndWhoTookItIsToo) {
  Batcher back;
  constexpr std::uint64_t ours = 99;
  const auto arrive = [&](Ingress& ingress, std::uint64_t epoch, std::uint64_t of, bool alive) {
    BatchHeader header;
    header.epoch = epoch;
    header.hears = HeardEpoch{of, alive};
    return ingress.on_batch(header, ours);
  };
  // We gave up its epoch, and it took ours before it gave that up, too.
  Ingress both(back);
  EXPECT_EQ(both.heard(), std::nullopt);
  EXPECT_EQ(arrive(both, 5, 98, true), Ingress::Arrival::next);
  EXPECT_EQ(both.heard(), (HeardEpoch{5, true}));
  both.abandon_epoch();
  EXPECT_EQ(both.heard(), (HeardEpoch{5, false}));
  EXPECT_EQ(arrive(both, 6, ours, false), Ingress::Arrival::new_epoch);
  EXPECT_EQ(both.heard(), (HeardEpoch{6, true}));
  // It gave up an older one of ours: the present one has not reached it yet.
  Ingress older(back);
  EXPECT_EQ(arrive(older, 5, 98, true), Ingress::Arrival::next);
  older.abandon_epoch();
  EXPECT_EQ(arrive(older, 6, 98, false), Ingress::Arrival::next);
  // It began anew and takes ours: if we began anew, too, so would it, without end.
  Ingress restarted(back);
  EXPECT_EQ(arrive(restarted, 5, ours, true), Ingress::Arrival::next);
  EXPECT_EQ(arrive(restarted, 6, ours, true), Ingress::Arrival::restarted);
  EXPECT_EQ(arrive(restarted, 7, 98, true), Ingress::Arrival::new_epoch);
}

TEST(StreamSlots, AResetNamesEverySlotInUseOnce) {
  Pair pair;
  const Slot a = pair.open();
  const Slot b = pair.open();
  pair.fill(a, 100, 4);
  pair.egress.end(b, {});
  pair.deliver();
  EXPECT_EQ(pair.egress.reset(), (std::vector<Slot>{a, b}));
  EXPECT_EQ(pair.ingress.reset(), (std::vector<Slot>{a, b}));
  EXPECT_TRUE(pair.egress.reset().empty());
  EXPECT_EQ(pair.egress.outstanding_bytes(), 0u);
  EXPECT_EQ(pair.ingress.held_bytes(), 0u);
  EXPECT_FALSE(pair.egress.knows(a));
}

/// Many streams with random sizes, consumers and endings: nothing is against the rules, all frames
/// arrive in order, nobody waits for ever, and every slot comes back.
TEST(StreamSlots, OverManySeedsEverythingArrivesAndEverySlotComesBack) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    sim::Simulation draws(seed);
    Random& random = draws.random();
    Pair pair(50'000, 64);
    std::map<Slot, std::size_t> sent;
    for (int round = 0; round < 600; ++round) {
      if (sent.size() < 12) {
        pair.terms = StreamTerms(1 + static_cast<std::uint32_t>(random.below(20)),
                                 1'000 + random.below(9'000));
        if (const auto slot = pair.egress.open(1, 1 + random.below(1'000), pair.terms)) {
          sent[*slot] = 0;
          pair.deliver();
        }
      }
      for (auto& [slot, count] : sent) {
        if (!pair.egress.is_open(slot) || pair.egress.waiting(slot)) continue;
        const std::size_t size = 1 + random.below(3'000);
        ++count;
        if (pair.egress.admits(slot, size)) {
          pair.egress.send(slot, as_bytes(text_of(size)));
        } else {
          pair.egress.wait(slot, Bytes::copy(text_of(size)));
        }
        if (random.below(40) == 0) {
          ++count;
          pair.egress.end(slot, as_bytes("bye"));
        }
      }
      pair.deliver();
      for (const auto& entry : sent) pair.consume(entry.first, random.below(6));
      pair.answer();
      for (auto it = sent.begin(); it != sent.end();) {
        const auto [slot, count] = *it;
        if (pair.taken[slot].size() == count && !pair.egress.is_open(slot)) {
          EXPECT_EQ(pair.taken[slot].back(), "bye");
          pair.ingress.finish(slot);
          pair.answer();
          EXPECT_FALSE(pair.egress.knows(slot));
          pair.taken.erase(slot);
          it = sent.erase(it);
        } else {
          ++it;
        }
      }
    }
    for (const auto& entry : sent) pair.egress.end(entry.first, as_bytes("bye"));
    for (int round = 0; round < 500; ++round) {
      pair.deliver();
      for (const auto& entry : sent) pair.consume(entry.first, 100);
      pair.answer();
    }
    for (const auto& entry : sent) {
      EXPECT_EQ(pair.taken[entry.first].back(), "bye");
      pair.ingress.finish(entry.first);
    }
    pair.answer();
    EXPECT_EQ(pair.violations, 0);
    EXPECT_EQ(pair.egress.live(), 0u);
    EXPECT_EQ(pair.ingress.live(), 0u);
    EXPECT_EQ(pair.egress.outstanding_bytes(), 0u);
    EXPECT_EQ(pair.ingress.held_bytes(), 0u);
  }
}

TEST(StreamPeerWatch, SpeaksWhenSilentAndEndsWhatIsDead) {
  PeerWatch watch;
  const TimePoint start(1s);
  EXPECT_EQ(watch.next(), TimePoint::never());
  watch.begin(start, 5s);
  EXPECT_EQ(watch.next(), start + 5s);
  EXPECT_FALSE(watch.must_speak(start + 4s));
  EXPECT_TRUE(watch.must_speak(start + 5s));
  watch.said(start + 5s);
  EXPECT_FALSE(watch.must_speak(start + 6s));
  EXPECT_FALSE(watch.is_dead(start + 14s));
  EXPECT_TRUE(watch.is_dead(start + 15s));
  watch.heard(start + 10s);
  EXPECT_FALSE(watch.is_dead(start + 24s));
  EXPECT_TRUE(watch.is_dead(start + 25s));
  watch.begin(start + 10s, 1s);
  EXPECT_EQ(watch.heartbeat(), Duration(1s));
  EXPECT_TRUE(watch.is_dead(start + 13s));
  watch.rest();
  EXPECT_FALSE(watch.is_dead(start + 100s));
  EXPECT_FALSE(watch.must_speak(start + 100s));
}

}  // namespace velo::streaming::slots_rounds_test
