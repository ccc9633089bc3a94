// SPDX-License-Identifier: Apache-2.0
// Full queues, waiting, and the end.

#include "scenarios.hpp"

#include <optional>

namespace velo::queue::conformance {
namespace bound_scenarios_detail {

static void a_full_queue_refuses(Ground& ground) {
  QueueOptions options;
  options.items_max = 2;
  const auto queue = ground.open(options);
  ASSERT_TRUE(send(ground, *queue, "a"));
  ASSERT_TRUE(send(ground, *queue, "b"));
  const auto refused = send(ground, *queue, "c");
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::full)) << refused.error().to_string();
  EXPECT_EQ(refused.error().retry(), Retry::later);
  ASSERT_TRUE(ground.wait(queue->ack(receive_one(ground, *queue).lease)));
  EXPECT_TRUE(send(ground, *queue, "c"));
}

static void a_full_queue_lets_its_senders_wait(Ground& ground) {
  QueueOptions options;
  options.items_max = 1;
  options.overflow = Overflow::block;
  const auto queue = ground.open(options);
  ASSERT_TRUE(send(ground, *queue, "a"));
  auto blocked = queue->send(Bytes::copy("b"));
  const Delivery first = receive_one(ground, *queue);
  EXPECT_FALSE(blocked.done());
  ASSERT_TRUE(ground.wait(queue->ack(first.lease)));
  EXPECT_TRUE(ground.wait(std::move(blocked)));
  EXPECT_EQ(text_of(receive_one(ground, *queue)), "b");
}

static void who_waits_for_room_in_vain_is_told_so(Ground& ground) {
  QueueOptions options;
  options.items_max = 1;
  options.overflow = Overflow::block;
  const auto queue = ground.open(options);
  ASSERT_TRUE(send(ground, *queue, "a"));
  SendOptions soon;
  soon.timeout = 200ms;
  const auto ended = ground.wait(queue->send(Bytes::copy("b"), soon));
  ASSERT_FALSE(ended);
  EXPECT_TRUE(ended.error().is(velo::Errc::deadline_exceeded)) << ended.error().to_string();
}

static void a_receiver_waits_for_what_is_sent_later(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  auto received = queue->receive(waiting(30s));
  ASSERT_TRUE(send(ground, *queue, "a"));
  const auto batch = ground.wait(std::move(received));
  ASSERT_TRUE(batch) << batch.error().to_string();
  ASSERT_EQ(batch->size(), 1u);
  EXPECT_EQ(text_of(batch->front()), "a");
}

static void a_receiver_that_waits_in_vain_gets_nothing_and_no_error(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  const auto batch = ground.wait(queue->receive(waiting(100ms)));
  ASSERT_TRUE(batch) << batch.error().to_string();
  EXPECT_TRUE(batch->empty());
}

static void a_receiver_that_went_away_takes_nothing_along(Ground& ground) {
  const auto queue = ground.open(with_short_leases());
  {
    auto dropped = queue->receive(waiting(30s));
  }
  ASSERT_TRUE(send(ground, *queue, "a"));
  EXPECT_EQ(text_of(receive_one(ground, *queue)), "a");
}

static void a_batch_takes_what_is_there(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(ground, *queue, std::to_string(i)));
  std::size_t count = 0;
  while (count < 5) {
    const auto batch = receive(ground, *queue, 3);
    ASSERT_FALSE(batch.empty());
    ASSERT_LE(batch.size(), 3u);
    count += batch.size();
  }
  EXPECT_EQ(count, 5u);
}

static void a_closed_queue_takes_nothing_and_gives_what_it_has(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  ASSERT_TRUE(send(ground, *queue, "a"));
  const auto closed = ground.wait(queue->close());
  ASSERT_TRUE(closed) << closed.error().to_string();
  const auto refused = send(ground, *queue, "b");
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::closed)) << refused.error().to_string();
  const Delivery last = receive_one(ground, *queue);
  EXPECT_EQ(text_of(last), "a");
  auto waits = queue->receive(waiting(30s));
  ASSERT_TRUE(ground.wait(queue->ack(last.lease)));
  const auto over = ground.wait(std::move(waits));
  ASSERT_FALSE(over);
  EXPECT_TRUE(over.error().is(Errc::closed)) << over.error().to_string();
}

static void what_is_too_large_is_refused(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  const auto refused = send(ground, *queue, std::string(limits::payload_bytes_max + 1, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::too_large)) << refused.error().to_string();
}

static void the_state_adds_up(Ground& ground) {
  const auto queue = ground.open(QueueOptions());
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(send(ground, *queue, "x"));
  ASSERT_TRUE(ground.wait(queue->ack(receive_one(ground, *queue).lease)));
  (void)receive_one(ground, *queue);
  const auto state = ground.wait(queue->state());
  ASSERT_TRUE(state) << state.error().to_string();
  EXPECT_EQ(state->queued, 4u);
  EXPECT_EQ(state->acked, 1u);
  EXPECT_EQ(state->leased, 1u);
  EXPECT_EQ(state->ready, 2u);
  EXPECT_EQ(state->delayed + state->dead, 0u);
}

}  // namespace bound_scenarios_detail

std::span<const Scenario> bound_scenarios() {
  using namespace bound_scenarios_detail;  // NOLINT(google-build-using-namespace)
  static constexpr Scenario all[] = {
      {"AFullQueueRefuses", &a_full_queue_refuses},
      {"AFullQueueLetsItsSendersWait", &a_full_queue_lets_its_senders_wait},
      {"WhoWaitsForRoomInVainIsToldSo", &who_waits_for_room_in_vain_is_told_so},
      {"AReceiverWaitsForWhatIsSentLater", &a_receiver_waits_for_what_is_sent_later},
      {"AReceiverThatWaitsInVainGetsNothingAndNoError",
       &a_receiver_that_waits_in_vain_gets_nothing_and_no_error},
      {"AReceiverThatWentAwayTakesNothingAlong", &a_receiver_that_went_away_takes_nothing_along},
      {"ABatchTakesWhatIsThere", &a_batch_takes_what_is_there},
      {"AClosedQueueTakesNothingAndGivesWhatItHas",
       &a_closed_queue_takes_nothing_and_gives_what_it_has},
      {"WhatIsTooLargeIsRefused", &what_is_too_large_is_refused},
      {"TheStateAddsUp", &the_state_adds_up},
  };
  return all;
}

}  // namespace velo::queue::conformance
