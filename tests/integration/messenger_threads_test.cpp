// SPDX-License-Identifier: Apache-2.0
// Many threads on real messengers: every call ends once, both sides count the same, and a messenger
// that is destroyed under load leaves nothing running. Meant for ThreadSanitizer and
// AddressSanitizer as much as for its own checks.

#include <velo/messenger/messenger.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/inproc.hpp>
#include <velo/transport/backends/tcp.hpp>
#include <velo/transport/backends/uds.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace velo::messenger_threads_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr int thread_count = 8;
constexpr int rounds = 300;

enum class Kind : std::uint8_t { tcp, uds, inproc };

static std::unique_ptr<runtime::RealWorld> make_world() {
  runtime::RuntimeOptions options;
  options.shards = 2;
  options.workers = 2;
  auto world = runtime::RealWorld::create(options);
  EXPECT_TRUE(world) << world.error().to_string();
  return std::move(*world);
}

class Pair : public ::testing::TestWithParam<Kind> {
 protected:
  Pair() : server_world(make_world()), client_world(make_world()) {
    hub = transport::make_inproc_hub(server_world->random().next());
    server = build(*server_world);
    client = build(*client_world);
    EXPECT_TRUE(client->register_peer(server->peer_info()));
    EXPECT_TRUE(server->register_peer(client->peer_info()));
  }

  std::unique_ptr<Messenger> build(World& world) {
    auto builder = Messenger::builder(world);
    switch (GetParam()) {
      case Kind::tcp: builder.add_transport(transport::make_tcp()); break;
      case Kind::uds: {
        transport::UdsOptions options;
        options.path = "@velo-threads-" + std::to_string(world.random().next());
        builder.add_transport(transport::make_uds(std::move(options)));
        break;
      }
      case Kind::inproc: builder.add_transport(transport::make_inproc(hub)); break;
    }
    auto built = builder.build();
    EXPECT_TRUE(built) << built.error().to_string();
    return std::move(*built);
  }

  void add_handlers() {
    for (const auto& messenger : {server.get(), client.get()}) {
      ASSERT_TRUE(messenger->register_handler(
          Handler::unary_handler("inline", [](Context& context) { return context.payload_bytes(); })
              .inline_()
              .build()));
      ASSERT_TRUE(messenger->register_handler(Handler::unary_handler("spawn", [](Context& context) {
                                                return context.payload_bytes();
                                              }).build()));
      ASSERT_TRUE(messenger->register_handler(
          Handler::am_handler("note", [this](Context&) { notes.fetch_add(1); }).inline_().build()));
      ASSERT_TRUE(
          messenger->register_handler(Handler::unary_handler_async("patient", [](Context context) {
                                        return wait_for_stop(std::move(context));
                                      }).build()));
    }
  }

  /// Ends when its caller gives up.
  static Task<Result<Bytes>> wait_for_stop(Context context) {
    auto promise = std::make_shared<Promise<Bytes>>(context.msg().world().pool());
    auto op = promise->op();
    const std::stop_callback stopped(context.stop_token(), [promise] {
      promise->set(make_error(Errc::cancelled, "the caller gave up"));
    });
    Result<Bytes> ended = co_await op;
    co_return ended;
  }

  static void run_threads(const std::function<void(int)>& body) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < thread_count; ++i) threads.emplace_back([&body, i] { body(i); });
  }

  std::unique_ptr<runtime::RealWorld> server_world;
  std::unique_ptr<runtime::RealWorld> client_world;
  std::shared_ptr<transport::InprocHub> hub;
  std::atomic<int> notes{0};
  std::unique_ptr<Messenger> server;
  std::unique_ptr<Messenger> client;
};

TEST_P(Pair, EightThreadsCallBothWaysAndBothSidesCountTheSame) {
  add_handlers();
  std::atomic<int> wrong{0};
  run_threads([&](int thread) {
    Messenger& from = thread % 2 == 0 ? *client : *server;
    Messenger& to = thread % 2 == 0 ? *server : *client;
    for (int round = 0; round < rounds; ++round) {
      const std::string text = std::to_string(thread) + "/" + std::to_string(round);
      auto slow = from.unary("spawn").raw_payload(text).instance(to.instance_id()).send();
      auto fast = from.unary("inline").raw_payload(text).worker(to.worker_id()).send();
      auto fired = from.am_send("note").instance(to.instance_id()).send();
      auto noted = from.am_sync("note").instance(to.instance_id()).send();
      const auto own = from.unary("inline").raw_payload(text).instance(from.instance_id()).send();
      const auto first = std::move(fast).get();
      const auto second = std::move(slow).get();
      if (!first || first->text() != text || !second || second->text() != text) wrong.fetch_add(1);
      if (!std::move(fired).get() || !std::move(noted).get()) wrong.fetch_add(1);
    }
  });
  EXPECT_EQ(wrong.load(), 0);
  const Result<void> drained = server->shutdown().get();
  EXPECT_TRUE(drained) << drained.error().to_string();
  const Books ours = client->books();
  const Books theirs = server->books();
  EXPECT_TRUE(ours.balanced());
  EXPECT_TRUE(theirs.balanced());
  constexpr std::uint64_t half = std::uint64_t{thread_count} / 2 * rounds;
  EXPECT_EQ(ours.sync[Fate::acknowledged], half);
  EXPECT_EQ(ours.fire[Fate::written], half);
  EXPECT_EQ(theirs.sync[Fate::acknowledged], half);
  EXPECT_GE(notes.load(), static_cast<int>(2 * half));
}

TEST_P(Pair, CallsGivenUpInEveryWayEndOnce) {
  add_handlers();
  std::array<std::atomic<int>, 4> ends{};
  run_threads([&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      auto call = client->unary("patient").instance(server->instance_id());
      switch ((thread + round) % 4) {
        case 0: {  // dropped
          const auto dropped = call.send();
          ends[0].fetch_add(1);
          break;
        }
        case 1: {  // cancelled by the handle
          auto op = call.send();
          op.cancel();
          if (!std::move(op).get()) ends[1].fetch_add(1);
          break;
        }
        case 2: {  // cancelled by a token, from another thread
          std::stop_source source;
          auto op = call.stop(source.get_token()).send();
          std::jthread stopper([&source] { source.request_stop(); });
          if (!std::move(op).get()) ends[2].fetch_add(1);
          break;
        }
        default: {
          if (!call.timeout(1ms).send().get()) ends[3].fetch_add(1);
          break;
        }
      }
    }
  });
  for (const auto& count : ends) EXPECT_EQ(count.load(), thread_count * rounds / 4);
  EXPECT_TRUE(client->books().balanced());
  EXPECT_EQ(client->books().unary.in_flight, 0u);
  EXPECT_EQ(client->books().unary.sent, std::uint64_t{thread_count} * rounds);
}

TEST_P(Pair, PeersAndHandlersComeAndGoUnderLoad) {
  add_handlers();
  std::atomic<bool> over{false};
  std::jthread changer([&] {
    for (int i = 0; i < rounds && !over.load(); ++i) {
      EXPECT_TRUE(server->register_handler(
          Handler::am_handler("more" + std::to_string(i), [](Context&) {}).build()));
      EXPECT_TRUE(client->unregister_peer(server->instance_id()));
      EXPECT_TRUE(client->register_peer(server->peer_info()));
    }
  });
  std::atomic<int> ended{0};
  run_threads([&](int /*thread*/) {
    for (int round = 0; round < rounds; ++round) {
      const auto reply = client->unary("spawn").instance(server->instance_id()).send().get();
      ended.fetch_add(1);
      (void)reply;
    }
  });
  over.store(true);
  changer.join();
  EXPECT_EQ(ended.load(), thread_count * rounds);
  EXPECT_TRUE(client->books().balanced());
}

TEST_P(Pair, AMessengerDestroyedUnderLoadEndsEveryOperation) {
  add_handlers();
  std::barrier sent(thread_count + 1);
  std::atomic<int> ended{0};
  std::jthread destroyer([&] {
    sent.arrive_and_wait();
    client.reset();
  });
  run_threads([&](int thread) {
    std::vector<Op<Bytes>> ops;
    for (int i = 0; i < 50; ++i) {
      const char* const names[] = {"patient", "inline", "spawn"};
      ops.push_back(client->unary(names[(thread + i) % 3]).instance(server->instance_id()).send());
    }
    sent.arrive_and_wait();
    for (Op<Bytes>& op : ops) {
      (void)std::move(op).get();
      ended.fetch_add(1);
    }
  });
  destroyer.join();
  EXPECT_EQ(ended.load(), thread_count * 50);
}

// What an inline handler refers to may go as soon as ~Messenger has returned.
TEST_P(Pair, NoHandlerRunsAfterItsMessengerWasDestroyed) {
  auto alive = std::make_unique<std::atomic<int>>(0);
  ASSERT_TRUE(server->register_handler(
      Handler::am_handler("touch", [state = alive.get()](Context&) { state->fetch_add(1); })
          .inline_()
          .build()));
  ASSERT_TRUE(client->am_sync("touch").instance(server->instance_id()).send().get());
  std::atomic<bool> over{false};
  std::jthread caller([&, id = server->instance_id()] {
    while (!over.load()) {
      (void)client->am_sync("touch").instance(id).timeout(1s).send().get();
    }
  });
  while (alive->load() < 100) std::this_thread::yield();
  server.reset();
  alive.reset();
  over.store(true);
}

// The queued reply is large enough to need more than one write.
TEST_P(Pair, ShutdownEndsAfterTheRepliesWereWritten) {
  const std::string large(8'000'000, 'r');
  std::latch entered(1);
  std::latch go(1);
  ASSERT_TRUE(server->register_handler(Handler::unary_handler("large", [&](Context&) {
                                         entered.count_down();
                                         go.wait();
                                         return Bytes::copy(large);
                                       }).build()));
  auto reply = client->unary("large").instance(server->instance_id()).send();
  entered.wait();
  auto over = server->shutdown();
  go.count_down();
  const Result<void> drained = std::move(over).get();
  EXPECT_TRUE(drained) << drained.error().to_string();
  server.reset();
  server_world->stop();
  const auto got = std::move(reply).get();
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->size(), large.size());
}

TEST_P(Pair, AnOrderedHandlerKeepsTheOrderOfEachOfEightThreads) {
  struct Seen {
    std::array<int, thread_count> next{};  // no lock: one invocation at a time
    int out_of_order = 0;
    std::atomic<int> inside{0};
    std::atomic<int> together{0};
  } seen;
  OrderedConfig config;
  config.max_queue_depth = std::size_t{thread_count} * rounds;
  ASSERT_TRUE(server->register_handler(
      Handler::am_handler("ordered",
                          [&seen](Context& context) {
                            if (seen.inside.fetch_add(1) != 0) seen.together.fetch_add(1);
                            const std::string text(as_text(context.payload()));
                            const auto thread = static_cast<std::size_t>(text[0] - '0');
                            if (std::stoi(text.substr(1)) != seen.next[thread]++)
                              ++seen.out_of_order;
                            seen.inside.fetch_sub(1);
                          })
          .ordered_with(config)
          .build()));
  std::atomic<int> wrong{0};
  run_threads([&](int thread) {
    std::vector<Op<void>> ops;
    for (int round = 0; round < rounds; ++round) {
      ops.push_back(client->am_sync("ordered")
                        .raw_payload(std::to_string(thread) + std::to_string(round))
                        .instance(server->instance_id())
                        .send());
    }
    for (auto& op : ops) {
      if (!std::move(op).get()) wrong.fetch_add(1);
    }
  });
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(seen.together.load(), 0);
  EXPECT_EQ(seen.out_of_order, 0);
  for (const int next : seen.next) EXPECT_EQ(next, rounds);
  EXPECT_EQ(server->handler_lanes("ordered"), 1u);
}

INSTANTIATE_TEST_SUITE_P(Messenger, Pair, ::testing::Values(Kind::tcp, Kind::uds, Kind::inproc),
                         [](const ::testing::TestParamInfo<Kind>& kind) {
                           if (kind.param == Kind::tcp) return "Tcp";
                           return kind.param == Kind::uds ? "Uds" : "Inproc";
                         });

}  // namespace velo::messenger_threads_test
