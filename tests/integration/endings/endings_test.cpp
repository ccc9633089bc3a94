// SPDX-License-Identifier: Apache-2.0
// Nothing hangs, between real processes over real sockets: the other one is killed, frozen, or does
// its worst. What can be said more exactly in simulation is tested there; docs/coverage/endings.md
// maps each way of hanging that the public velo has to its test.

#include "peer_process.hpp"

#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/uds.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace velo::endings_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

static std::unique_ptr<runtime::RealWorld> make_world() {
  runtime::RuntimeOptions options;
  options.workers = 2;
  auto world = runtime::RealWorld::create(options);
  EXPECT_TRUE(world) << world.error().to_string();
  return std::move(*world);
}

template <class T>
static std::string outcome(const Result<T>& result) {
  return result ? "ok" : error_code_name(result.error().code());
}

/// This process, with a messenger over the transport of the parameter.
class Endings : public ::testing::TestWithParam<std::string> {
 protected:
  Endings() : world(make_world()) {
    auto builder = Messenger::builder(*world);
    if (GetParam() == "uds") {
      transport::UdsOptions options;
      options.folder = folder.path();
      builder.add_transport(transport::make_uds(std::move(options)));
    } else {
      builder.add_transport(transport::make_tcp());
    }
    auto built = builder.build();
    EXPECT_TRUE(built) << built.error().to_string();
    messenger = std::move(*built);
  }

  std::unique_ptr<PeerProcess> spawn() {
    auto peer = std::make_unique<PeerProcess>(GetParam(), folder.path());
    EXPECT_TRUE(messenger->register_peer(peer->info()));
    return peer;
  }

  Send<Bytes> call(const PeerProcess& peer, std::string_view handler) {
    auto send = messenger->unary(handler);
    send.instance(peer.id());
    return send;
  }
  TimePoint now() const { return world->clock().now(); }

  Folder folder;
  std::unique_ptr<runtime::RealWorld> world;
  std::unique_ptr<Messenger> messenger;
};

TEST_P(Endings, AKilledPeerEndsItsCallsAsLostWithinASecond) {
  const auto peer = spawn();
  std::vector<Op<Bytes>> calls;
  std::vector<Op<void>> syncs;
  for (int i = 0; i < 200; ++i) calls.push_back(call(*peer, "hold").send());
  for (int i = 0; i < 50; ++i) {
    syncs.push_back(messenger->am_sync("hold").instance(peer->id()).send());
  }
  ASSERT_TRUE(peer->ask_until("held", "250"));
  const TimePoint before = now();
  peer->kill();
  for (auto& ended : calls) {
    EXPECT_EQ(outcome(std::move(ended).get()), "messenger.connection_lost");
  }
  for (auto& ended : syncs) {
    EXPECT_EQ(outcome(std::move(ended).get()), "messenger.connection_lost");
  }
  EXPECT_LT(now() - before, 1s);
  const Books books = messenger->books();
  EXPECT_EQ(books.unary[Fate::unknown], 200u);
  EXPECT_EQ(books.sync[Fate::unknown], 50u);
  EXPECT_TRUE(books.balanced());
  EXPECT_EQ(outcome(call(*peer, "echo").send().get()), "messenger.not_sent");
}

TEST_P(Endings, AFrozenPeerIsEndedByDeadlinesAndItsLateRepliesMatchNothing) {
  const auto peer = spawn();
  ASSERT_TRUE(call(*peer, "echo").send().get());
  peer->freeze();
  std::vector<Op<Bytes>> late;
  for (int i = 0; i < 200; ++i) {
    late.push_back(call(*peer, "echo").raw_payload("late").timeout(300ms).send());
  }
  for (auto& ended : late) {
    const auto result = std::move(ended).get();
    ASSERT_EQ(outcome(result), "messenger.deadline_exceeded");
    EXPECT_EQ(result.error().context(), "sent, and not answered in time");
  }
  EXPECT_EQ(messenger->books().unary[Fate::expired], 200u);
  // These take over the slots of those, and the late replies come first.
  std::vector<Op<Bytes>> next;
  for (int i = 0; i < 400; ++i) {
    next.push_back(call(*peer, "echo").raw_payload("n" + std::to_string(i)).send());
  }
  peer->thaw();
  for (int i = 0; i < 400; ++i) {
    const auto reply = std::move(next[static_cast<std::size_t>(i)]).get();
    ASSERT_TRUE(reply) << reply.error().to_string();
    EXPECT_EQ(reply->text(), "n" + std::to_string(i));
  }
  EXPECT_TRUE(messenger->books().balanced());
  EXPECT_EQ(messenger->books().unary.in_flight, 0u);
}

TEST_P(Endings, EveryBadEndOfAHandlerIsATypedError) {
  const auto peer = spawn();
  const std::map<std::string, std::string> ends = {{"throw", "messenger.handler_threw"},
                                                   {"drop", "messenger.failed"},
                                                   {"flood", "messenger.too_large"},
                                                   {"nobody", "messenger.unknown_handler"}};
  for (const auto& [handler, expected] : ends) {
    EXPECT_EQ(outcome(call(*peer, handler).send().get()), expected) << handler;
    if (handler == "flood") continue;  // an acknowledgement carries no body
    EXPECT_EQ(outcome(messenger->am_sync(handler).instance(peer->id()).send().get()), expected)
        << handler;
  }
  EXPECT_EQ(outcome(messenger->am_send("nobody").instance(peer->id()).send().get()),
            "messenger.unknown_handler");
  EXPECT_TRUE(messenger->books().balanced());
}

TEST_P(Endings, AHandlerThatNeverAnswersIsEndedByTheDeadlineOnBothSides) {
  const auto peer = spawn();
  for (const char* handler : {"hold", "keep"}) {
    const TimePoint before = now();
    const auto ended = call(*peer, handler).timeout(300ms).send().get();
    EXPECT_EQ(outcome(ended), "messenger.deadline_exceeded") << handler;
    EXPECT_GE(now() - before, 300ms);
    EXPECT_LT(now() - before, 2s);
  }
  // succeeded, failed, rejected, abandoned, running
  EXPECT_TRUE(peer->ask_until("books", "0 0 0 2 0")) << peer->ask("books");
}

TEST_P(Endings, ADestroyedCallerEndsItsCallsAndTheHandlersOfThem) {
  const auto peer = spawn();
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(call(*peer, "hold").send());
  ASSERT_TRUE(peer->ask_until("held", "100"));
  const TimePoint before = now();
  messenger.reset();
  for (auto& ended : calls) {
    EXPECT_EQ(outcome(std::move(ended).get()), "messenger.shutting_down");
  }
  EXPECT_LT(now() - before, 1s);
  EXPECT_TRUE(peer->ask_until("books", "0 0 0 100 0")) << peer->ask("books");
}

TEST_P(Endings, AMessengerIsDestroyedPromptlyWhateverItsPeerDoes) {
  const auto peer = spawn();
  ASSERT_TRUE(call(*peer, "echo").send().get());
  peer->freeze();
  std::vector<Op<Bytes>> calls;
  const Bytes large = Bytes::own(std::vector<std::byte>(4'000'000));
  for (int i = 0; i < 8; ++i) calls.push_back(call(*peer, "echo").raw_payload(large).send());
  const TimePoint before = now();
  messenger.reset();
  EXPECT_LT(now() - before, messenger::limits::flush_patience + 2s);
  for (auto& ended : calls) EXPECT_FALSE(std::move(ended).get());
}

TEST_P(Endings, APeerThatIsKilledDuringTheDrainIsNotWaitedFor) {
  std::atomic<int> entered{0};
  std::vector<HandlerDone> held;
  ASSERT_TRUE(messenger->register_handler(
      Handler::Builder("hold", HandlerKind::unary,
                       Handler::Async([&](const Context&, HandlerDone done) {
                         held.push_back(std::move(done));
                         entered.store(1);
                         entered.notify_all();
                       }))
          .build()));
  const auto peer = spawn();
  ASSERT_EQ(peer->ask("call hold " + codec::to_json(messenger->peer_info())), "called");
  entered.wait(0);
  auto over = messenger->shutdown(ShutdownPolicy(30s));
  EXPECT_EQ(messenger->drain_state().running, 1u);
  const TimePoint before = now();
  peer->kill();
  EXPECT_EQ(outcome(std::move(over).get()), "ok");
  EXPECT_LT(now() - before, 1s);
  EXPECT_EQ(messenger->books().received.abandoned, 1u);
}

TEST_P(Endings, AHandlerThatNeverEndsBoundsTheDrainByItsPatience) {
  const auto peer = spawn();
  auto held = call(*peer, "hold").send();
  ASSERT_TRUE(peer->ask_until("held", "1"));
  const TimePoint before = now();
  EXPECT_EQ(peer->ask("drain 500"), "base.deadline_exceeded");
  EXPECT_GE(now() - before, 500ms);
  EXPECT_LT(now() - before, 3s);
  EXPECT_EQ(outcome(std::move(held).get()), "messenger.connection_lost");
}

TEST_P(Endings, RequestsInTheSocketWhenTheDrainBeginsAreAnswered) {
  for (int round = 0; round < 10; ++round) {
    const auto peer = spawn();
    ASSERT_TRUE(call(*peer, "echo").send().get());
    peer->freeze();
    std::vector<Op<Bytes>> calls;
    for (int i = 0; i < 100; ++i) calls.push_back(call(*peer, "echo").send());
    peer->tell("drain 5000");
    peer->thaw();
    for (auto& ended : calls) {
      const std::string how = outcome(std::move(ended).get());
      EXPECT_TRUE(how == "ok" || how == "messenger.shutting_down") << how;
    }
    EXPECT_EQ(peer->answer(), "ok");
  }
}

TEST_P(Endings, CallsUnderWayWhenThePeerDrainsAllEndAndNoneIsForgotten) {
  const auto peer = spawn();
  std::atomic<bool> over{false};
  std::map<std::string, int> ends;
  std::jthread caller([&] {
    while (!over.load()) {
      std::vector<Op<Bytes>> calls;
      for (int i = 0; i < 50; ++i) calls.push_back(call(*peer, "echo").timeout(5s).send());
      for (auto& ended : calls) ++ends[outcome(std::move(ended).get())];
    }
  });
  while (messenger->books().unary[Fate::handled] < 1000) std::this_thread::yield();
  EXPECT_EQ(peer->ask("drain 5000"), "ok");
  over.store(true);
  caller.join();
  EXPECT_GE(ends["ok"], 1000);
  EXPECT_EQ(ends["messenger.deadline_exceeded"], 0);
  EXPECT_TRUE(messenger->books().balanced());
  EXPECT_EQ(messenger->books().unary.in_flight, 0u);
}

INSTANTIATE_TEST_SUITE_P(Sockets, Endings, ::testing::Values("tcp", "uds"),
                         [](const ::testing::TestParamInfo<std::string>& kind) {
                           return kind.param == "tcp" ? "Tcp" : "Uds";
                         });

/// Whoever listens need not be a messenger.
class Strangers : public ::testing::Test {
 protected:
  Strangers() : world(make_world()) {
    auto builder = Messenger::builder(*world);
    builder.add_transport(transport::make_tcp());
    auto built = builder.build();
    EXPECT_TRUE(built) << built.error().to_string();
    messenger = std::move(*built);
  }

  std::string call(Stranger& stranger, Duration timeout = 30s) {
    EXPECT_TRUE(messenger->register_peer(stranger.info()));
    auto send = messenger->unary("echo");
    auto op = send.instance(stranger.info().instance_id).timeout(timeout).send();
    stranger.receive();
    return outcome(std::move(op).get());
  }

  std::unique_ptr<runtime::RealWorld> world;
  std::unique_ptr<Messenger> messenger;
};

TEST_F(Strangers, WhoNeverAnswersTheGreetingIsGivenUp) {
  Stranger backlog(Stranger::Manner::never_accepts);
  Stranger silent(Stranger::Manner::silent);
  const TimePoint before = world->clock().now();
  for (Stranger* stranger : {&backlog, &silent}) {
    ASSERT_TRUE(messenger->register_peer(stranger->info()));
  }
  auto first = messenger->unary("echo").instance(backlog.info().instance_id).send();
  auto second = messenger->unary("echo").instance(silent.info().instance_id).send();
  silent.receive();
  EXPECT_EQ(outcome(std::move(first).get()), "messenger.not_sent");
  EXPECT_EQ(outcome(std::move(second).get()), "messenger.not_sent");
  const Duration took = world->clock().now() - before;
  EXPECT_GE(took, messenger::limits::hello_timeout - 100ms);
  EXPECT_LT(took, messenger::limits::hello_timeout + 2s);
}

TEST_F(Strangers, ACallsOwnDeadlineDoesNotWaitForTheGreeting) {
  Stranger silent(Stranger::Manner::silent);
  EXPECT_EQ(call(silent, 200ms), "messenger.deadline_exceeded");
  EXPECT_EQ(messenger->books().unary[Fate::expired], 1u);
}

TEST_F(Strangers, WhoBabblesIsNoPeer) {
  Stranger babbler(Stranger::Manner::babbles);
  EXPECT_EQ(call(babbler), "messenger.not_sent");
}

TEST_F(Strangers, WhoClosesHalfOfTheConnectionIsNoPeer) {
  Stranger half(Stranger::Manner::half_closes);
  EXPECT_EQ(call(half), "messenger.not_sent");
}

TEST_F(Strangers, WhoHangsUpIsNoPeer) {
  Stranger rude(Stranger::Manner::hangs_up);
  EXPECT_EQ(call(rude), "messenger.not_sent");
}

}  // namespace velo::endings_test
