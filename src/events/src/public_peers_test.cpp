// SPDX-License-Identifier: Apache-2.0
// Events together with peers of the public velo: the messages that it has, and what follows from
// their saying less.

#include "event_messages.hpp"
#include "testing/machines.hpp"
#include "testing/raw_peer.hpp"

#include <velo/messenger/subsystem.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace velo::events::public_peers_test {

using testing::Machines;
using testing::with_legacy;

TEST(PublicEvents, APeerOfThePublicVeloAwaitsOurs) {
  Machines machines(2, with_legacy(1), 1);
  Event good = machines.make(0);
  Event bad = machines.make(0);
  auto first = machines[1].awaiter(good.handle());
  auto second = machines[1].awaiter(bad.handle());
  ASSERT_TRUE(machines.subscribed(0, 2));
  ASSERT_TRUE(std::move(good).trigger());
  const EventHandle handle = bad.handle();
  ASSERT_TRUE(std::move(bad).poison("why not"));
  EXPECT_EQ(machines.outcome(std::move(first)), "ready");
  EXPECT_EQ(machines.outcome(std::move(second)), "events.poisoned: why not");
  // Late, and by a machine that has not heard of it: at once.
  EXPECT_EQ(machines.outcome(machines[1].awaiter(handle)), "events.poisoned: why not");
}

TEST(PublicEvents, WeAwaitTheirs) {
  Machines machines(2, with_legacy(1), 1);
  Event good = machines.make(1);
  const EventHandle bad = machines.make(1).into_handle();
  auto first = machines[0].awaiter(good.handle());
  ASSERT_TRUE(machines.subscribed(1));
  ASSERT_TRUE(std::move(good).trigger());
  EXPECT_EQ(machines.outcome(std::move(first)), "ready");
  ASSERT_EQ(machines.outcome(machines[1].poison(bad, "theirs")), "ready");
  EXPECT_EQ(machines.outcome(machines[0].awaiter(bad)), "events.poisoned: theirs");
}

TEST(PublicEvents, EachCompletesTheOthers) {
  Machines machines(2, with_legacy(1), 1);
  const EventHandle ours = machines.make(0).into_handle();
  const EventHandle theirs = machines.make(1).into_handle();
  EXPECT_EQ(machines.outcome(machines[1].poison(ours, "they")), "ready");
  EXPECT_EQ(machines.outcome(machines[0].awaiter(ours)), "events.poisoned: they");
  EXPECT_EQ(machines.outcome(machines[0].trigger(theirs)), "ready");
  EXPECT_EQ(machines.outcome(machines[1].awaiter(theirs)), "ready");
  EXPECT_EQ(machines.code(machines[0].poison(theirs, "late")), "events.already_completed");
}

TEST(PublicEvents, AGuardedEventIsNotCompletedByThem) {
  Machines machines(2, testing::with_legacy(1), 1);
  NewEvent how;
  how.guarded = true;
  Event event = machines.make(0, how);
  protocol::TriggerRequest body;
  body.handle = event.handle().to_u128();
  body.requester_worker = machines.cluster.id(1).worker_id().value();
  body.requester_instance = machines.cluster.id(1);
  const auto refused =
      machines.cluster.wait(messenger::system_sync(machines.cluster[1], protocol::request_name)
                                .raw_payload(protocol::encode(body))
                                .send_to(machines.cluster.id(0)));
  EXPECT_FALSE(refused);
  EXPECT_EQ(*machines.cluster.wait(machines[0].poll(event.handle())), EventStatus::pending);
  EXPECT_TRUE(std::move(event).trigger());
}

TEST(PublicEvents, ARequestThatNamesACallIsAcknowledged) {
  Machines machines(1);
  messenger::testing::RawPeer peer(machines.cluster);
  ASSERT_TRUE(machines.cluster[0].register_peer(peer.info));
  auto& end = peer.dial(machines.cluster[0]);
  const EventHandle event = machines.make(0).into_handle();
  const auto request = [&](std::uint64_t call) {
    protocol::TriggerRequest body;
    body.handle = event.to_u128();
    body.requester_worker = peer.info.worker_id().value();
    body.requester_instance = peer.info.instance_id;
    body.response_id = codec::u128_from_halves(call, peer.info.worker_id().value());
    end.send(transport::FrameType::message,
             messenger::testing::request_header(messenger::protocol::ResponseType::fire, peer.id(1),
                                                protocol::request_name),
             protocol::encode(body).span());
  };
  request(77);
  request(78);
  // It is answered by dialling back.
  auto& back = peer.wait_accepted();
  const auto hello = peer.next(back);
  EXPECT_EQ(hello.request().name, "_hello");
  const auto done = peer.next(back);
  EXPECT_EQ(done.type, transport::FrameType::ack);
  EXPECT_EQ(done.header, messenger::testing::ack_header(peer.id(77), false));
  const auto late = peer.next(back);
  EXPECT_EQ(late.header, messenger::testing::ack_header(peer.id(78), true));
  EXPECT_EQ(as_text(late.payload.span()), "events.already_completed: triggered");
}

TEST(PublicEvents, TheBodiesAreThoseOfThePublicVelo) {
  const EventHandle event(WorkerId(1), 2, 3);
  protocol::Subscribe subscribe;
  subscribe.handle = event.to_u128();
  subscribe.subscriber_worker = 9;
  subscribe.subscriber_instance = *InstanceId::parse("00112233-4455-4677-8899-aabbccddeeff");
  EXPECT_EQ(as_text(protocol::encode(subscribe).span()),
            R"({"handle":18446744082299486211,"subscriber_worker":9,)"
            R"("subscriber_instance":"00112233-4455-4677-8899-aabbccddeeff"})");
  EXPECT_EQ(as_text(protocol::completion(event, Outcome::ready()).span()),
            R"({"handle":18446744082299486211,"poisoned":null})");
  EXPECT_EQ(as_text(protocol::completion(event, Outcome::poisoned(make_reason("no"))).span()),
            R"({"handle":18446744082299486211,"poisoned":"no"})");
  const auto request = protocol::decode<protocol::TriggerRequest>(as_bytes(
      std::string_view(R"({"handle":18446744082299486211,"requester_worker":9,)"
                       R"("requester_instance":"00112233-4455-4677-8899-aabbccddeeff"})")));
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(EventHandle::from_u128(request->handle), event);
  EXPECT_FALSE(request->poisoned);
}

}  // namespace velo::events::public_peers_test
