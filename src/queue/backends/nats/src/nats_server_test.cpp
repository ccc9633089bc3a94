// SPDX-License-Identifier: Apache-2.0
// Queues while their NATS server is killed, frozen, strict, small or not there at all. Skipped
// where there is none.

#include <velo/queue/backends/nats.hpp>

#include <velo/queue/testing/real_nats.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace velo::queue::nats_server_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

struct NatsServerTest : ::testing::Test {
  std::unique_ptr<runtime::RealWorld> world = runtime::RealWorld::create().value();
  std::unique_ptr<testing::RealNats> server;

  void SetUp() override {
    if (const std::string why = testing::RealNats::missing(); !why.empty()) GTEST_SKIP() << why;
  }
  void serve(const testing::RealNatsOptions& options = testing::RealNatsOptions()) {
    server = std::make_unique<testing::RealNats>(options);
  }
  NatsOptions here() const {
    NatsOptions nats;
    nats.servers = {server->address()};
    return nats;
  }
  std::shared_ptr<WorkQueue> open(const QueueOptions& options = QueueOptions()) {
    return open(options, here());
  }
  std::shared_ptr<WorkQueue> open(const QueueOptions& options, const NatsOptions& nats) {
    auto made = make_nats_queue(*world, "jobs", options, nats);
    EXPECT_TRUE(made) << made.error().to_string();
    return std::move(*made);
  }
  template <class T>
  Result<T> wait(Op<T> op) {
    return std::move(op).get();
  }
  static SendOptions named(std::string id) {
    SendOptions options;
    options.id = std::move(id);
    return options;
  }
  static ReceiveOptions batch(std::size_t most, Duration patience = 20s) {
    ReceiveOptions options;
    options.batch = most;
    options.wait = patience;
    return options;
  }
};

TEST_F(NatsServerTest, ItemsAndLeasesOutliveTheObjectThatMadeThem) {
  serve();
  QueueOptions options;
  options.visibility = 1s;
  {
    const auto queue = open(options);
    for (const char* id : {"a", "b", "c"}) {
      ASSERT_TRUE(wait(queue->send(Bytes::copy("x"), named(id))));
    }
    ASSERT_EQ(wait(queue->receive(batch(1)))->size(), 1u);
  }
  const auto queue = open(options);
  EXPECT_TRUE(wait(queue->send(Bytes::copy("x"), named("b")))->duplicate);
  std::set<std::string> seen;
  while (seen.size() < 3) {
    const auto items = wait(queue->receive(batch(3)));
    ASSERT_TRUE(items && !items->empty());
    for (const Delivery& item : *items) {
      seen.insert(item.id);
      EXPECT_EQ(item.deliveries, item.id == "a" ? 2u : 1u) << item.id;
      EXPECT_TRUE(wait(queue->ack(item.lease)));
    }
  }
  EXPECT_EQ(wait(queue->state())->acked, 3u);
}

TEST_F(NatsServerTest, NothingIsLostOrSentTwiceWhileTheServerIsKilledUnderLoad) {
  serve();
  QueueOptions options;
  options.visibility = 2s;
  options.deliveries_max = 1000;
  const auto queue = open(options);
  constexpr int count = 600;
  std::vector<Op<Receipt>> sends;
  std::map<std::string, int> handled;
  const auto work_off = [&](Duration patience) {
    const auto items = wait(queue->receive(batch(16, patience)));
    if (!items) return;
    for (const Delivery& item : *items) {
      ++handled[item.id];
      (void)wait(queue->ack(item.lease));
    }
  };
  for (int i = 0; i < count; ++i) {
    sends.push_back(queue->send(Bytes::copy("x"), named("item" + std::to_string(i))));
    if (i % 200 != 150) continue;
    work_off(100ms);
    server->kill();
    server->start();
  }
  for (auto& send : sends) {
    const auto receipt = wait(std::move(send));
    ASSERT_TRUE(receipt) << receipt.error().to_string();
  }
  while (handled.size() < count) work_off(20s);
  const auto left = [&] {
    const auto state = wait(queue->state());
    return state ? state->ready + state->leased + state->delayed : 1;
  };
  while (left() > 0) work_off(100ms);
  const auto state = wait(queue->state());
  ASSERT_TRUE(state) << state.error().to_string();
  EXPECT_EQ(state->queued, static_cast<std::uint64_t>(count)) << "each id was stored once";
  EXPECT_EQ(state->acked, static_cast<std::uint64_t>(count));
}

TEST_F(NatsServerTest, OperationsEndWhenTheServerSaysNothingAndGoOnWhenItDoesAgain) {
  serve();
  NatsOptions nats = here();
  nats.operation_timeout = 1s;
  const auto queue = open(QueueOptions(), nats);
  ASSERT_TRUE(wait(queue->send(Bytes::copy("x"), named("a"))));
  const Delivery held = wait(queue->receive(batch(1)))->at(0);
  auto waits = queue->receive(batch(1, 30s));
  server->freeze();
  SendOptions soon = named("b");
  soon.timeout = 0s;
  EXPECT_TRUE(wait(queue->send(Bytes::copy("x"), soon)).error().is(velo::Errc::deadline_exceeded));
  EXPECT_TRUE(wait(queue->ack(held.lease)).error().is(velo::Errc::deadline_exceeded));
  EXPECT_TRUE(wait(queue->state()).error().is(velo::Errc::deadline_exceeded));
  EXPECT_TRUE(wait(queue->receive(batch(1, 0s))).error().is(velo::Errc::deadline_exceeded));
  server->thaw();
  auto sent = queue->send(Bytes::copy("x"), named("c"));
  EXPECT_TRUE(wait(std::move(sent)));
  const auto items = wait(std::move(waits));
  ASSERT_TRUE(items) << items.error().to_string();
  EXPECT_FALSE(items->empty());
}

TEST_F(NatsServerTest, AServerThatComesLaterIsFound) {
  serve();
  server->kill();
  const auto queue = open();
  auto sent = queue->send(Bytes::copy("x"), named("a"));
  auto received = queue->receive(batch(1));
  server->start();
  EXPECT_TRUE(wait(std::move(sent)));
  const auto items = wait(std::move(received));
  ASSERT_TRUE(items) << items.error().to_string();
  EXPECT_EQ(items->at(0).id, "a");
}

TEST_F(NatsServerTest, AQueueEndsWhileNoServerIsThere) {
  serve();
  server->kill();
  auto queue = open();
  auto sent = queue->send(Bytes::copy("x"));
  auto received = queue->receive();
  queue = nullptr;
  EXPECT_TRUE(wait(std::move(sent)).error().is(Errc::closed));
  EXPECT_TRUE(wait(std::move(received)).error().is(Errc::closed));
}

TEST_F(NatsServerTest, WhoIsNotKnownIsDeniedAndWhoIsMayGoOn) {
  testing::RealNatsOptions strict;
  strict.user = "velo";
  strict.password = "a secret";
  serve(strict);
  EXPECT_TRUE(wait(open()->send(Bytes::copy("x"))).error().is(velo::Errc::permission_denied));
  NatsOptions nats = here();
  nats.user = "velo";
  nats.password = "a guess";
  const auto wrong = wait(open(QueueOptions(), nats)->receive(batch(1)));
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(wrong.error().is(velo::Errc::permission_denied)) << wrong.error().to_string();
  EXPECT_EQ(wrong.error().to_string().find("guess"), std::string::npos);
  nats.password = "a secret";
  EXPECT_TRUE(wait(open(QueueOptions(), nats)->send(Bytes::copy("x"))));
}

TEST_F(NatsServerTest, ATokenOpensTheServer) {
  testing::RealNatsOptions strict;
  strict.token = "a-token";
  serve(strict);
  NatsOptions nats = here();
  nats.token = "another";
  EXPECT_TRUE(wait(open(QueueOptions(), nats)->send(Bytes::copy("x")))
                  .error()
                  .is(velo::Errc::permission_denied));
  nats.token = "a-token";
  EXPECT_TRUE(wait(open(QueueOptions(), nats)->send(Bytes::copy("x"))));
}

TEST_F(NatsServerTest, OverTlsTheServerIsWhoItsCertificateSays) {
  testing::RealNatsOptions secure;
  secure.tls = true;
  serve(secure);
  const std::string certificate = server->certificate_file();
  if (certificate.empty()) GTEST_SKIP() << "there is no openssl to make a certificate with";
  NatsOptions nats = here();
  nats.operation_timeout = 500ms;
  SendOptions soon;
  soon.timeout = 500ms;
  nats.tls = true;
  nats.ca_file = certificate;
  EXPECT_TRUE(wait(open(QueueOptions(), nats)->send(Bytes::copy("x"), soon)));
  // Signed by nobody that the system knows.
  nats.ca_file.clear();
  EXPECT_FALSE(wait(open(QueueOptions(), nats)->send(Bytes::copy("x"), soon)));
  // In plain text this server talks to nobody.
  nats.tls = false;
  EXPECT_FALSE(wait(open(QueueOptions(), nats)->send(Bytes::copy("x"), soon)));
}

TEST_F(NatsServerTest, AnItemBeyondTheServersMessagesIsRefused) {
  testing::RealNatsOptions small;
  small.payload_bytes_max = 4096;
  serve(small);
  const auto queue = open();
  ASSERT_TRUE(wait(queue->send(Bytes::copy("x"))));
  const auto refused = wait(queue->send(Bytes::own(std::string(5000, 'x'))));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::too_large)) << refused.error().to_string();
  EXPECT_TRUE(wait(queue->send(Bytes::copy("x")))) << "the connection is as it was";
}

TEST_F(NatsServerTest, AServerWithoutSpaceSaysSoAndIsUsedOnceItHasSome) {
  testing::RealNatsOptions small;
  small.store_mib_max = 1;
  serve(small);
  const auto queue = open();
  const auto refused = wait(queue->send(Bytes::copy("x")));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(velo::Errc::overloaded)) << refused.error().to_string();
  server->kill();
  server->set_store_mib_max(1024);
  server->start();
  const auto sent = [&] { return wait(queue->send(Bytes::copy("x"))); };
  auto answer = sent();
  for (int i = 0; i < 100 && !answer; ++i) answer = sent();
  EXPECT_TRUE(answer) << answer.error().to_string();
}

TEST_F(NatsServerTest, AServerWithoutJetStreamIsSaidToBeOne) {
  testing::RealNatsOptions bare;
  bare.jetstream = false;
  serve(bare);
  NatsOptions nats = here();
  nats.operation_timeout = 500ms;
  SendOptions soon;
  soon.timeout = 500ms;
  const auto refused = wait(open(QueueOptions(), nats)->send(Bytes::copy("x"), soon));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(velo::Errc::unsupported)) << refused.error().to_string();
}

TEST_F(NatsServerTest, ACloseIsForEverybody) {
  serve();
  const auto queue = open();
  const auto other = open();
  ASSERT_TRUE(wait(other->send(Bytes::copy("x"), named("a"))));
  ASSERT_TRUE(wait(queue->close()));
  EXPECT_TRUE(wait(other->send(Bytes::copy("x"))).error().is(Errc::closed));
  const auto last = wait(other->receive(batch(1)));
  ASSERT_TRUE(last && last->size() == 1u);
  EXPECT_TRUE(wait(other->ack(last->front().lease)));
  EXPECT_TRUE(wait(other->receive(batch(1, 30s))).error().is(Errc::closed));
  EXPECT_TRUE(wait(open()->send(Bytes::copy("x"))).error().is(Errc::closed));
}

TEST_F(NatsServerTest, ADroppedReceiverLeavesNextItemsToOthers) {
  serve();
  QueueOptions options;
  options.deliveries_max = 3;
  options.dead_letters = std::make_shared<MemoryDeadLetters>();
  const auto queue = open(options);
  ASSERT_TRUE(wait(queue->receive(batch(1, 10ms)))->empty());
  // Each leaves the server a question that nobody waits for the answer of.
  for (int i = 0; i < 20; ++i) {
    std::stop_source stop;
    ReceiveOptions receive = batch(1, 30s);
    receive.stop = stop.get_token();
    auto dropped = queue->receive(receive);
    if (i % 2 == 0) stop.request_stop();
  }
  auto waits = queue->receive(batch(1));
  ASSERT_TRUE(wait(queue->send(Bytes::copy("x"), named("a"))));
  const auto items = wait(std::move(waits));
  ASSERT_TRUE(items && items->size() == 1u);
  EXPECT_EQ(items->front().id, "a");
  EXPECT_TRUE(wait(queue->ack(items->front().lease)));
}

}  // namespace velo::queue::nats_server_test
