// SPDX-License-Identifier: Apache-2.0
// The conformance suite within a process, and what is particular to delivering on the sender's
// thread.

#include <velo/transport/backends/inproc.hpp>

#include <velo/runtime/real_world.hpp>
#include <velo/transport/conformance/sim_driver.hpp>
#include <velo/transport/conformance/suite.hpp>
#include <velo/transport/limits.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace velo::transport {
namespace inproc_test {

class InprocKit final : public conformance::Kit {
 public:
  std::unique_ptr<Transport> make(std::size_t /*side*/) override { return make_inproc(hub_); }

 private:
  std::shared_ptr<InprocHub> hub_ = make_inproc_hub(0x5eed);
};

static std::unique_ptr<conformance::Kit> make_kit() { return std::make_unique<InprocKit>(); }

static const bool real =
    conformance::register_suite("InprocReal", conformance::make_real_driver, make_kit, false);
static const bool simulated = conformance::register_suite(
    "InprocSim", [] { return conformance::make_sim_driver(13); }, make_kit, false);

/// One end: calls the hook for each frame.
class End final : public ConnectionEvents {
 public:
  std::function<void(Connection&, const InFrame&)> hook;
  ConnectionPtr connection;
  std::atomic<int> closed{0};
  std::optional<Error> reason;

  void on_frame(Connection& with, const InFrame& frame) override {
    if (hook) hook(with, frame);
  }
  void on_written(Connection&) noexcept override {}
  void on_closed(Connection&, const Error& why) override {
    reason = why;
    ++closed;
    closed.notify_all();
  }
  void wait_closed() {
    while (closed.load() == 0) closed.wait(0);
  }
};

class InprocTest : public testing::Test, protected AcceptHandler {
 protected:
  void SetUp() override {
    hub_ = make_inproc_hub(7);
    server_transport_ = make_inproc(hub_);
    client_transport_ = make_inproc(hub_);
    const InstanceId server = InstanceId::random(world_->random());
    const InstanceId client = InstanceId::random(world_->random());
    ASSERT_TRUE(server_transport_->start(context(server)));
    ASSERT_TRUE(client_transport_->start(context(client)));
  }

  TransportContext context(const InstanceId& self) {
    return {*world_, self, *this, std::make_shared<MemoryBudget>()};
  }

  void TearDown() override {
    if (client_.connection) {
      client_.connection->close(make_error(Errc::closed_locally));
      client_.wait_closed();
      server_.wait_closed();
    }
    client_transport_->stop();
    server_transport_->stop();
  }

  void connect() {
    std::atomic<bool> connected{false};
    const auto dial =
        client_transport_->connect(client_world_->shard(0), server_transport_->address_entry(),
                                   [&](Result<ConnectionPtr> connection) {
                                     client_.connection = std::move(*connection);
                                     client_.connection->start(client_);
                                     connected = true;
                                     connected.notify_all();
                                   });
    connected.wait(false);
    settle();
  }

  /// Both shards have done what they were asked; frames are delivered directly from now on.
  void settle() {
    for (int i = 0; i < 3; ++i) {
      for (World* world : {world_.get(), client_world_.get()}) {
        std::atomic<bool> ran{false};
        post(world->shard(0), [&ran] {
          ran = true;
          ran.notify_all();
        });
        ran.wait(false);
      }
    }
  }

  SendResult send(End& from, FrameType type, std::string_view header, const Bytes& payload = {}) {
    return from.connection->send({type, as_bytes(header), payload});
  }

  void on_accepted(ConnectionPtr connection) override {
    server_.connection = std::move(connection);
    server_.connection->start(server_);
  }

  std::unique_ptr<runtime::RealWorld> world_ = std::move(runtime::RealWorld::create()).value();
  std::unique_ptr<runtime::RealWorld> client_world_ =
      std::move(runtime::RealWorld::create()).value();
  std::shared_ptr<InprocHub> hub_;
  std::unique_ptr<Transport> server_transport_;
  std::unique_ptr<Transport> client_transport_;
  End client_;
  End server_;
};

}  // namespace inproc_test

using namespace inproc_test;  // NOLINT(google-build-using-namespace)

TEST_F(InprocTest, EntryNamesTheHubAndTheInstance) {
  const std::string entry = server_transport_->address_entry().to_string();
  EXPECT_EQ(entry.substr(0, 26), "inproc://0000000000000007/");
  EXPECT_EQ(entry.size(), 26U + 36U);
  EXPECT_TRUE(client_transport_->check_entry(as_bytes(entry)));
  const auto elsewhere = make_inproc(make_inproc_hub(8));
  const Result<void> other_process = elsewhere->check_entry(as_bytes(entry));
  ASSERT_FALSE(other_process);
  EXPECT_TRUE(other_process.error().is(Errc::no_endpoint));
  const std::string unknown = entry.substr(0, 26) + "00000000-0000-4000-8000-000000000001";
  EXPECT_FALSE(client_transport_->check_entry(as_bytes(unknown)));
}

TEST_F(InprocTest, OneInstanceListensOnce) {
  const auto twin = make_inproc(hub_);
  const std::string entry = server_transport_->address_entry().to_string();
  const InstanceId same = InstanceId::parse(entry.substr(26)).value();
  const Result<void> started = twin->start(context(same));
  ASSERT_FALSE(started);
  EXPECT_TRUE(started.error().is(velo::Errc::already_exists));
}

TEST_F(InprocTest, DeliversOnTheCallingThreadBeforeSendReturns) {
  std::thread::id thread;
  Bytes seen;
  server_.hook = [&](Connection&, const InFrame& frame) {
    thread = std::this_thread::get_id();
    seen = frame.retain_payload();
  };
  connect();
  const Bytes payload = Bytes::copy("shared, however small");
  EXPECT_EQ(send(client_, FrameType::message, "h", payload).admission, Admission::accepted);
  EXPECT_EQ(thread, std::this_thread::get_id());
  EXPECT_EQ(seen.data(), payload.data());
}

TEST_F(InprocTest, RepliesCompleteInsideTheRequest) {
  std::string reply;
  server_.hook = [](Connection& connection, const InFrame& frame) {
    connection.send({FrameType::response, frame.header(), frame.payload()});
  };
  client_.hook = [&](Connection&, const InFrame& frame) { reply = as_text(frame.header()); };
  connect();
  send(client_, FrameType::message, "question");
  EXPECT_EQ(reply, "question");
}

TEST_F(InprocTest, AnEndlessExchangeNeitherNestsNorOvertakes) {
  // Each side answers each frame: without deferral the stack would grow with every frame.
  constexpr int rounds = 20'000;
  std::atomic<int> count{0};
  std::atomic<bool> ordered{true};
  std::vector<std::string> last(2);
  const auto answer = [&](Connection& connection, const InFrame& frame) {
    const int next = std::stoi(std::string(as_text(frame.header()))) + 1;
    if (count.exchange(next) != next - 1) ordered = false;
    if (next >= rounds) {
      count.notify_all();
      return;
    }
    const std::string header = std::to_string(next);
    connection.send({FrameType::message, as_bytes(header), ByteSpan()});
  };
  server_.hook = answer;
  client_.hook = answer;
  connect();
  send(client_, FrameType::message, "0");
  for (int now = count.load(); now < rounds; now = count.load()) count.wait(now);
  EXPECT_TRUE(ordered);
}

TEST_F(InprocTest, AFrameSentIntoADirectionThatIsDeliveringComesAfterIt) {
  // The second frame is sent while the first one's handler still runs, and must not run inside it.
  std::vector<std::string> events;
  std::atomic<int> done{0};
  server_.hook = [&](Connection& connection, const InFrame& frame) {
    const std::string name(as_text(frame.header()));
    events.push_back("begin " + name);
    if (name == "1") connection.send({FrameType::response, {}, ByteSpan()});
    events.push_back("end " + name);
    ++done;
    done.notify_all();
  };
  client_.hook = [](Connection& connection, const InFrame&) {
    connection.send({FrameType::message, as_bytes("2"), ByteSpan()});
    connection.send({FrameType::message, as_bytes("3"), ByteSpan()});
  };
  connect();
  std::atomic<bool> sent{false};
  // On the receiver's shard, so that what is deferred to it runs after the first handler.
  post(world_->shard(0), [&] {
    send(client_, FrameType::message, "1");
    sent = true;
    sent.notify_all();
  });
  sent.wait(false);
  for (int now = done.load(); now < 3; now = done.load()) done.wait(now);
  EXPECT_EQ(events,
            (std::vector<std::string>{"begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"}));
}

TEST_F(InprocTest, AReceiverThatDoesNotTakeWhatIsDeferredIsGivenUp) {
  std::atomic<bool> release{false};
  std::atomic<int> delivered{0};
  SendResult last;
  std::vector<Admission> admissions;
  const Bytes payload = Bytes::own(std::string(std::size_t{1} << 20, 'd'));
  server_.hook = [&](Connection& connection, const InFrame&) {
    if (delivered.fetch_add(1) > 0) return;
    connection.send({FrameType::response, {}, ByteSpan()});
  };
  client_.hook = [&](Connection& connection, const InFrame&) {
    // Inside the first delivery: everything from here is deferred to the server's shard, which is
    // held up.
    for (int i = 0; i < 100; ++i) {
      admissions.push_back(connection.send({FrameType::message, {}, payload}).admission);
    }
    EXPECT_GT(connection.queued(), std::uint64_t{59} << 20);
    EXPECT_LT(connection.written(), connection.queued());
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(connection.send({FrameType::response, {}, payload}).admission, Admission::accepted);
    }
    for (int i = 0; i < 10; ++i) last = connection.send({FrameType::response, {}, payload});
  };
  connect();
  post(world_->shard(0), [&release] { release.wait(false); });
  send(client_, FrameType::message, "go");
  EXPECT_EQ(admissions.front(), Admission::accepted);
  EXPECT_EQ(admissions.back(), Admission::over_budget);
  EXPECT_EQ(last.admission, Admission::closed);
  release = true;
  release.notify_all();
  client_.wait_closed();
  server_.wait_closed();
  EXPECT_TRUE(client_.reason->is(Errc::peer_too_slow)) << client_.reason->to_string();
  EXPECT_TRUE(server_.reason->is(Errc::connection_lost)) << server_.reason->to_string();
  EXPECT_EQ(delivered.load(), 1);
}

TEST_F(InprocTest, TheEndWaitsForDeliveriesOnOtherThreads) {
  std::atomic<bool> entered{false};
  std::atomic<bool> release{false};
  server_.hook = [&](Connection&, const InFrame&) {
    entered = true;
    entered.notify_all();
    release.wait(false);
    EXPECT_EQ(server_.closed.load(), 0);
  };
  connect();
  std::thread sender([&] { send(client_, FrameType::message, "slow"); });
  entered.wait(false);
  client_.connection->close(make_error(Errc::closed_locally));
  settle();
  EXPECT_EQ(client_.closed.load(), 0);
  EXPECT_EQ(server_.closed.load(), 0);
  release = true;
  release.notify_all();
  sender.join();
  client_.wait_closed();
  server_.wait_closed();
}

}  // namespace velo::transport
