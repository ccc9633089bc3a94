// SPDX-License-Identifier: Apache-2.0
// The scenarios that every transport passes under a messenger, in both kinds of World.

#include "arena.hpp"

#include <velo/base/limits.hpp>
#include <velo/messenger/error.hpp>
#include <velo/messenger/limits.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <set>
#include <tuple>

namespace velo::messenger_conformance_test {

class MessengerConformance : public Arena {};

TEST_P(MessengerConformance, SimultaneousDialsLoseNothing) {
  ASSERT_TRUE(server->register_handler(echo()));
  ASSERT_TRUE(client->register_handler(echo()));
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 20; ++i) {
    const std::string text = std::to_string(i);
    calls.push_back(client->unary("echo").raw_payload(text).instance(server->instance_id()).send());
    calls.push_back(server->unary("echo").raw_payload(text).instance(client->instance_id()).send());
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto reply = wait(std::move(calls[i]));
    ASSERT_TRUE(reply) << reply.error().to_string();
    EXPECT_EQ(reply->text(), std::to_string(i / 2));
  }
  // Each dialled the other once, and what it dialled stays.
  EXPECT_EQ(dials[0].times().size(), 1U);
  EXPECT_EQ(dials[1].times().size(), 1U);
}

TEST_P(MessengerConformance, APeerThatIsGoneIsRedialledAfterPausesThatDiffer) {
  ASSERT_TRUE(server->register_handler(echo()));
  const InstanceId gone = server->instance_id();
  ASSERT_TRUE(wait(client->unary("echo").instance(gone).send()));
  server.reset();
  std::vector<std::string> ends;
  for (int i = 0; i < 7; ++i) {
    ends.push_back(outcome(wait(client->unary("echo").instance(gone).timeout(20s).send())));
  }
  // Within a process it is known without dialling that nobody is there.
  const bool known = kind() == Kind::inproc;
  // The first may have been on its way when the connection ended.
  for (std::size_t i = 1; i < ends.size(); ++i) {
    EXPECT_EQ(ends[i], known ? "messenger.no_route" : "messenger.not_sent");
  }
  const std::vector<TimePoint> times = dials[1].times();
  EXPECT_TRUE(client->books().balanced());
  if (known) {
    EXPECT_EQ(times.size(), 1U);
    return;
  }
  ASSERT_GE(times.size(), 7U);
  EXPECT_LE(times.size(), 1U + ends.size()) << "more dials than sends";
  std::set<Duration> pauses;
  Duration longest = messenger::limits::redial_pause_first;
  for (std::size_t i = 2; i < times.size(); ++i) {
    const Duration pause = times[i] - times[i - 1];
    pauses.insert(pause);
    // Dialling itself takes a moment; where time is virtual it is known to be a short one.
    if (where() == Where::sim) {
      EXPECT_LE(pause, longest + dial_time_max() * 11 / 10) << "pause " << i;
    }
    longest = std::min(2 * longest, messenger::limits::redial_pause_longest);
  }
  EXPECT_GE(pauses.size(), 4U) << "a pause is drawn anew for each attempt";
}

TEST_P(MessengerConformance, ABrokenConnectionIsMadeAgainAndCarriesNothingOfTheOld) {
  Gate gate;
  ASSERT_TRUE(server->register_handler(gated("hold", gate)));
  ASSERT_TRUE(server->register_handler(echo()));
  const InstanceId peer = server->instance_id();
  auto old = client->unary("hold").raw_payload("old").instance(peer).send();
  ASSERT_TRUE(until([&gate] { return gate.entered() == 1; }));
  dials[1].break_last();
  const auto lost = wait(std::move(old));
  EXPECT_EQ(outcome(lost), "messenger.connection_lost");
  // The next one is made at once, and the old call's reply, which comes now, ends nobody's call.
  auto next = client->unary("hold").raw_payload("next").instance(peer).send();
  ASSERT_TRUE(until([&gate] { return gate.entered() == 2; }));
  gate.open();
  const auto reply = wait(std::move(next));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "next");
  const auto echoed = wait(client->unary("echo").raw_payload("after").instance(peer).send());
  ASSERT_TRUE(echoed) << echoed.error().to_string();
  EXPECT_EQ(echoed->text(), "after");
  EXPECT_EQ(dials[1].times().size(), 2U);
  EXPECT_TRUE(client->books().balanced());
}

TEST_P(MessengerConformance, WhoComesToTheAddressOfAnotherGetsNothingMeantForIt) {
  ASSERT_TRUE(server->register_handler(echo()));
  const InstanceId before = server->instance_id();
  ASSERT_TRUE(wait(client->unary("echo").instance(before).send()));
  server.reset();
  // UDP's port is free once the connections over it have gone.
  if (where() == Where::sim) until([] { return false; });
  ASSERT_TRUE(until([this] {
    auto built = try_build(0);
    if (built) server = std::move(*built);
    return built.has_value();
  }));
  std::atomic<int> misled{0};
  ASSERT_TRUE(server->register_handler(Handler::unary_handler("echo", [&misled](Context& context) {
                                         if (context.payload_bytes().text() == "for the old")
                                           ++misled;
                                         return context.payload_bytes();
                                       }).build()));
  for (int i = 0; i < 3; ++i) {
    const auto refused =
        wait(client->unary("echo").raw_payload("for the old").instance(before).timeout(2s).send());
    EXPECT_FALSE(refused);
  }
  EXPECT_EQ(misled.load(), 0);
  ASSERT_TRUE(client->register_peer(server->peer_info()));
  const auto fresh =
      wait(client->unary("echo").raw_payload("new").instance(server->instance_id()).send());
  ASSERT_TRUE(fresh) << fresh.error().to_string();
  EXPECT_EQ(fresh->text(), "new");
}

TEST_P(MessengerConformance, EmptyAndLargestPayloadsComeBack) {
  ASSERT_TRUE(server->register_handler(echo()));
  const InstanceId peer = server->instance_id();
  const auto empty = wait(client->unary("echo").instance(peer).send());
  ASSERT_TRUE(empty) << empty.error().to_string();
  EXPECT_TRUE(empty->empty());
  const Bytes large = Bytes::own(std::string(limits::frame_bytes_max - 1024, 'L'));
  const auto whole = wait(client->unary("echo").raw_payload(large).instance(peer).send());
  ASSERT_TRUE(whole) << whole.error().to_string();
  EXPECT_TRUE(*whole == large);
  const Bytes over = Bytes::own(std::string(limits::frame_bytes_max + 1, 'L'));
  const auto refused = wait(client->unary("echo").raw_payload(over).instance(peer).send());
  EXPECT_EQ(outcome(refused), "messenger.too_large");
}

TEST_P(MessengerConformance, SixtyFourCallsOfAQuarterMebibyteAreInFlight) {
  Gate gate;
  ASSERT_TRUE(server->register_handler(gated("hold", gate)));
  const InstanceId peer = server->instance_id();
  constexpr int count = 64;
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < count; ++i) {
    const Bytes payload =
        Bytes::own(std::string(std::size_t{256} << 10, static_cast<char>('0' + i)));
    calls.push_back(client->unary("hold").raw_payload(payload).instance(peer).send());
  }
  ASSERT_TRUE(until([&gate] { return gate.entered() == count; }));
  EXPECT_EQ(client->books().unary.in_flight, std::uint64_t{count});
  gate.open();
  for (int i = 0; i < count; ++i) {
    const auto reply = wait(std::move(calls[static_cast<std::size_t>(i)]));
    ASSERT_TRUE(reply) << reply.error().to_string();
    ASSERT_EQ(reply->text(), std::string(std::size_t{256} << 10, static_cast<char>('0' + i)));
  }
}

TEST_P(MessengerConformance, EachOfConcurrentSendersKeepsItsOrder) {
  constexpr std::size_t senders = 4;
  constexpr std::size_t count = 200;
  std::mutex mutex;
  std::array<std::size_t, senders> next{};
  std::size_t arrived = 0;
  std::size_t misplaced = 0;
  ASSERT_TRUE(server->register_handler(
      Handler::am_handler("note",
                          [&](Context& context) {
                            const std::string_view text = as_text(context.payload());
                            const auto sender = static_cast<std::size_t>(text[0] - 'a');
                            const std::lock_guard lock(mutex);
                            if (text.substr(1) != std::to_string(next.at(sender)++)) ++misplaced;
                            ++arrived;
                          })
          .inline_()
          .build()));
  const InstanceId peer = server->instance_id();
  std::array<std::vector<Op<void>>, senders> sends;
  driver().concurrently(senders, count, [&](std::size_t sender, std::size_t i) {
    const std::string text = static_cast<char>('a' + sender) + std::to_string(i);
    sends.at(sender).push_back(client->am_send("note").raw_payload(text).instance(peer).send());
  });
  for (auto& of_sender : sends) {
    for (Op<void>& send : of_sender) EXPECT_TRUE(wait(std::move(send)));
  }
  ASSERT_TRUE(until([&] {
    const std::lock_guard lock(mutex);
    return arrived == senders * count;
  }));
  EXPECT_EQ(misplaced, 0U);
}

TEST_P(MessengerConformance, SendsThatWaitForASlotTakeEachThatIsFree) {
  constexpr int slots = 4;
  Gate gate;
  client.reset();
  client = build(1, slots);
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(client->register_peer(server->peer_info()));
  ASSERT_TRUE(server->register_handler(gated("hold", gate)));
  std::vector<Op<Bytes>> calls;
  // The greeting ends while they are sent, and leaves its slot to one of them.
  for (int i = 0; i < 3 * slots; ++i) {
    calls.push_back(client->unary("hold").instance(server->instance_id()).await_capacity().send());
  }
  ASSERT_TRUE(until([&gate] { return gate.entered() == slots; })) << gate.entered();
  gate.open();
  // The slots are given on although those who had them first are asked last.
  for (; !calls.empty(); calls.pop_back()) {
    EXPECT_EQ(outcome(wait(std::move(calls.back()))), "ok");
  }
  EXPECT_TRUE(client->books().balanced());
}

TEST_P(MessengerConformance, ADrainLetsWhatRunsFinishAndRefusesTheRest) {
  Gate gate;
  ASSERT_TRUE(server->register_handler(gated("hold", gate)));
  const InstanceId peer = server->instance_id();
  auto running = client->unary("hold").raw_payload("running").instance(peer).send();
  ASSERT_TRUE(until([&gate] { return gate.entered() == 1; }));
  auto over = server->shutdown();
  const auto refused = wait(client->unary("hold").instance(peer).send());
  EXPECT_EQ(outcome(refused), "messenger.shutting_down");
  EXPECT_FALSE(over.done());
  gate.open();
  const auto reply = wait(std::move(running));
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->text(), "running");
  EXPECT_TRUE(wait(std::move(over)));
  EXPECT_EQ(gate.entered(), 1);
}

static std::string name_of(const testing::TestParamInfo<std::tuple<Kind, Where>>& param) {
  constexpr const char* names[] = {"Tcp", "Tls", "Quic", "Uds", "Inproc", "Shm"};
  const bool real = std::get<1>(param.param) == Where::real;
  return names[static_cast<std::size_t>(std::get<0>(param.param))] +
         std::string(real ? "Real" : "Sim");
}

INSTANTIATE_TEST_SUITE_P(Transports, MessengerConformance,
                         testing::Combine(testing::Values(Kind::tcp, Kind::tls, Kind::quic,
                                                          Kind::uds, Kind::inproc, Kind::shm),
                                          testing::Values(Where::real, Where::sim)),
                         name_of);

}  // namespace velo::messenger_conformance_test
