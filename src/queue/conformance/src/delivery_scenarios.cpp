// SPDX-License-Identifier: Apache-2.0
// What becomes of one item.

#include "scenarios.hpp"

#include <atomic>

namespace velo::queue::conformance {
namespace delivery_scenarios_detail {

static void items_come_in_the_order_of_their_sending(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(send(ground, *queue, text));
  EXPECT_EQ(text_of(receive_one(ground, *queue)), "a");
  std::string rest;
  while (rest.size() < 2) {
    const auto batch = receive(ground, *queue, 10);
    ASSERT_FALSE(batch.empty());
    for (const Delivery& each : batch) rest += text_of(each);
  }
  EXPECT_EQ(rest, "bc");
}

static void everything_of_an_item_arrives(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  SendOptions options;
  options.id = "order/17";
  options.headers = {{"kind", "order"}, {"empty", ""}};
  const std::string binary("\0\xff\n payload", 11);
  const auto receipt = ground.wait(queue->send(Bytes::copy(binary), options));
  ASSERT_TRUE(receipt) << receipt.error().to_string();
  EXPECT_EQ(*receipt, (Receipt{"order/17", false}));
  const Delivery delivery = receive_one(ground, *queue);
  EXPECT_EQ(delivery.id, "order/17");
  EXPECT_EQ(text_of(delivery), binary);
  EXPECT_EQ(delivery.headers, options.headers);
  EXPECT_EQ(delivery.deliveries, 1u);
}

static void an_acknowledged_item_never_comes_again(Ground& ground) {
  const auto queue = ground.open(with_short_leases());
  ASSERT_TRUE(send(ground, *queue, "a"));
  const Delivery delivery = receive_one(ground, *queue);
  const auto acked = ground.wait(queue->ack(delivery.lease));
  EXPECT_TRUE(acked) << acked.error().to_string();
  EXPECT_TRUE(nothing_comes(ground, *queue, 3 * short_lease));
}

static void an_item_whose_lease_ran_out_is_delivered_again(Ground& ground) {
  const auto queue = ground.open(with_short_leases());
  ASSERT_TRUE(send(ground, *queue, "a"));
  const Delivery first = receive_one(ground, *queue);
  const Delivery second = receive_one(ground, *queue);
  EXPECT_EQ(text_of(second), "a");
  EXPECT_EQ(second.id, first.id);
  EXPECT_EQ(second.deliveries, 2u);
  EXPECT_TRUE(ground.wait(queue->ack(second.lease)));
}

static void who_has_lost_its_lease_is_told_so(Ground& ground) {
  const auto queue = ground.open(with_short_leases());
  ASSERT_TRUE(send(ground, *queue, "a"));
  const Delivery first = receive_one(ground, *queue);
  const Delivery second = receive_one(ground, *queue);
  const auto late = ground.wait(queue->ack(first.lease));
  ASSERT_FALSE(late);
  EXPECT_TRUE(late.error().is(Errc::lease_lost)) << late.error().to_string();
  EXPECT_TRUE(ground.wait(queue->ack(second.lease)));
  const auto twice = ground.wait(queue->ack(second.lease));
  ASSERT_FALSE(twice);
  EXPECT_TRUE(twice.error().is(Errc::lease_lost)) << twice.error().to_string();
}

static void an_item_that_is_given_back_comes_at_once(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  ASSERT_TRUE(send(ground, *queue, "a"));
  const Delivery first = receive_one(ground, *queue);
  ASSERT_TRUE(ground.wait(queue->nack(first.lease)));
  const Delivery second = receive_one(ground, *queue);
  EXPECT_EQ(second.id, first.id);
  EXPECT_EQ(second.deliveries, 2u);
}

static void an_item_may_be_given_back_for_later(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  ASSERT_TRUE(send(ground, *queue, "a"));
  ASSERT_TRUE(ground.wait(queue->nack(receive_one(ground, *queue).lease, 600ms)));
  EXPECT_TRUE(nothing_comes(ground, *queue, 200ms));
  EXPECT_EQ(receive_one(ground, *queue).deliveries, 2u);
}

static void a_lease_that_is_extended_holds(Ground& ground) {
  const auto queue = ground.open(with_short_leases());
  ASSERT_TRUE(send(ground, *queue, "a"));
  const Delivery delivery = receive_one(ground, *queue);
  const auto extended = ground.wait(queue->extend(delivery.lease, 30s));
  ASSERT_TRUE(extended) << extended.error().to_string();
  EXPECT_TRUE(nothing_comes(ground, *queue, 3 * short_lease));
  EXPECT_TRUE(ground.wait(queue->ack(delivery.lease)));
}

static void a_delayed_item_comes_later(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  SendOptions options;
  options.delay = 600ms;
  ASSERT_TRUE(ground.wait(queue->send(Bytes::copy("later"), options)));
  ASSERT_TRUE(send(ground, *queue, "now"));
  EXPECT_EQ(text_of(receive_one(ground, *queue)), "now");
  EXPECT_TRUE(nothing_comes(ground, *queue, 200ms));
  EXPECT_EQ(text_of(receive_one(ground, *queue)), "later");
}

static void the_same_id_is_queued_once(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  ASSERT_TRUE(send(ground, *queue, "a", "id"));
  const auto again = send(ground, *queue, "a", "id");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(again->duplicate);
  ASSERT_TRUE(ground.wait(queue->ack(receive_one(ground, *queue).lease)));
  EXPECT_TRUE(nothing_comes(ground, *queue, 200ms));
}

static void an_item_that_nobody_can_handle_becomes_a_dead_letter(Ground& ground) {
  const auto letters = std::make_shared<MemoryDeadLetters>();
  QueueOptions options = with_short_leases();
  options.deliveries_max = 2;
  options.dead_letters = letters;
  const auto queue = ground.open(options);
  ASSERT_TRUE(send(ground, *queue, "poison", "p"));
  ASSERT_TRUE(ground.wait(queue->nack(receive_one(ground, *queue).lease)));
  (void)receive_one(ground, *queue);
  ASSERT_TRUE(ground.until([&] { return letters->size() == 1; }));
  const auto dead = letters->drain();
  EXPECT_EQ(dead[0].id, "p");
  EXPECT_EQ(dead[0].payload.text(), "poison");
  EXPECT_EQ(dead[0].deliveries, 2u);
  EXPECT_FALSE(dead[0].reason.empty());
  EXPECT_TRUE(nothing_comes(ground, *queue, 2 * short_lease));
}

/// Takes letters only once it is allowed to.
class Stubborn final : public DeadLetterSink {
 public:
  Result<void> take(const DeadLetter& letter) override {
    if (!willing) return velo::make_error(velo::Errc::overloaded);
    return letters.take(letter);
  }
  std::atomic<bool> willing{false};
  MemoryDeadLetters letters;
};

static void a_dead_letter_that_is_not_taken_is_not_lost(Ground& ground) {
  const auto sink = std::make_shared<Stubborn>();
  QueueOptions options;
  options.deliveries_max = 1;
  options.dead_letters = sink;
  const auto queue = ground.open(options);
  ASSERT_TRUE(send(ground, *queue, "poison"));
  ASSERT_TRUE(ground.wait(queue->nack(receive_one(ground, *queue).lease)));
  sink->willing = true;
  EXPECT_TRUE(ground.until([&] { return sink->letters.size() == 1; }));
}

}  // namespace delivery_scenarios_detail

std::span<const Scenario> delivery_scenarios() {
  using namespace delivery_scenarios_detail;  // NOLINT(google-build-using-namespace)
  static constexpr Scenario all[] = {
      {"ItemsComeInTheOrderOfTheirSending", &items_come_in_the_order_of_their_sending},
      {"EverythingOfAnItemArrives", &everything_of_an_item_arrives},
      {"AnAcknowledgedItemNeverComesAgain", &an_acknowledged_item_never_comes_again},
      {"AnItemWhoseLeaseRanOutIsDeliveredAgain", &an_item_whose_lease_ran_out_is_delivered_again},
      {"WhoHasLostItsLeaseIsToldSo", &who_has_lost_its_lease_is_told_so},
      {"AnItemThatIsGivenBackComesAtOnce", &an_item_that_is_given_back_comes_at_once},
      {"AnItemMayBeGivenBackForLater", &an_item_may_be_given_back_for_later},
      {"ALeaseThatIsExtendedHolds", &a_lease_that_is_extended_holds},
      {"ADelayedItemComesLater", &a_delayed_item_comes_later},
      {"TheSameIdIsQueuedOnce", &the_same_id_is_queued_once},
      {"AnItemThatNobodyCanHandleBecomesADeadLetter",
       &an_item_that_nobody_can_handle_becomes_a_dead_letter},
      {"ADeadLetterThatIsNotTakenIsNotLost", &a_dead_letter_that_is_not_taken_is_not_lost},
  };
  return all;
}

}  // namespace velo::queue::conformance
