// SPDX-License-Identifier: Apache-2.0
// Eight threads that call every function of one messenger, and of one node of the facade, at once.

#include "crew.hpp"

#include <velo/velo.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace velo::threads_test {
namespace shared_nodes_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr int rounds = 60;

struct Number {
  int value = 0;
};
VELO_DESCRIBE(Number, value);

template <class Node>
static void add_handlers(Node& node, std::atomic<int>& notes) {
  ASSERT_TRUE(node.register_handler(
      Handler::unary_handler("echo", [](Context& context) { return context.payload_bytes(); })
          .inline_()
          .build()));
  ASSERT_TRUE(
      node.register_handler(Handler::am_handler("note", [&notes](Context&) { ++notes; }).build()));
  ASSERT_TRUE(
      node.register_handler(Handler::typed_unary("twice", [](TypedContext<Number>& context) {
                              return Number{context.input.value * 2};
                            }).build()));
}

/// A peer that is known but never there, so that it may come and go.
static PeerInfo nobody(Random& random) {
  PeerInfo peer;
  peer.instance_id = InstanceId::random(random);
  peer.address.emplace("tcp", Bytes::of_static("tcp://127.0.0.1:9"));
  return peer;
}

/// What one of the eight does: everything that a node offers, many times.
template <class Node>
static void use(Node& node, const InstanceId& other, int thread) {
  for (int i = 0; i < rounds; ++i) {
    const std::string text = std::to_string(thread) + "/" + std::to_string(i);
    auto echoed = node.unary("echo").raw_payload(text).instance(other).send();
    auto doubled =
        node.template typed_unary<Number>("twice").payload(Number{i}).instance(other).send();
    auto fired = node.am_send("note").instance(other).send();
    auto noted = node.am_sync("note").instance(other).send();
    const auto handlers = node.available_handlers(other).get();
    EXPECT_TRUE(handlers) << handlers.error().to_string();
    EXPECT_EQ(std::move(echoed).get().value().text(), text);
    EXPECT_EQ(std::move(doubled).get().value().value, 2 * i);
    EXPECT_TRUE(std::move(fired).get());
    EXPECT_TRUE(std::move(noted).get());
    if (i % 10 != 0) continue;
    EXPECT_TRUE(node.register_handler(Handler::am_handler("own " + text, [](Context&) {}).build()));
    EXPECT_FALSE(node.list_local_handlers().empty());
    const PeerInfo peer = nobody(node.world().random());
    EXPECT_TRUE(node.register_peer(peer));
    EXPECT_FALSE(node.peers().empty());
    EXPECT_TRUE(node.unregister_peer(peer.instance_id));
    EXPECT_TRUE(node.refresh_handlers(other).get());
    EXPECT_TRUE(node.wait_for_handler(other, "echo", 10s).get());
    EXPECT_TRUE(node.instance_id().valid() && node.worker_id().valid());
    EXPECT_FALSE(node.peer_info().address.empty());
    static_cast<void>(node.books());
  }
}

template <class Node>
static void share(Node& one, Node& two) {
  std::atomic<int> notes{0};
  add_handlers(one, notes);
  add_handlers(two, notes);
  ASSERT_TRUE(one.register_peer(two.peer_info()));
  ASSERT_TRUE(two.register_peer(one.peer_info()));
  in_eight_threads([&](int thread) {
    Node& node = thread % 2 == 0 ? one : two;
    use(node, (thread % 2 == 0 ? two : one).instance_id(), thread);
  });
  in_eight_threads(
      [&](int thread) { static_cast<void>((thread % 2 == 0 ? one : two).shutdown().get()); });
  EXPECT_EQ(notes.load(), 2 * crew_size * rounds);
  for (Node* node : {&one, &two}) {
    const Books books = node->books();
    EXPECT_TRUE(books.balanced());
    EXPECT_EQ(books.sync[Fate::acknowledged], std::uint64_t{crew_size / 2} * rounds);
  }
}

/// A type with a name: a closure in a coroutine's frame is what g++ 12 warns of.
struct GaveUp {
  std::shared_ptr<Promise<Bytes>> promise;

  explicit GaveUp(std::shared_ptr<Promise<Bytes>> told) : promise(std::move(told)) {}
  void operator()() const { promise->set(make_error(Errc::cancelled, "the caller gave up")); }
};

/// Ends when its caller gives up.
static Task<Result<Bytes>> hold(Context context) {
  auto promise = std::make_shared<Promise<Bytes>>(context.msg().world().pool());
  auto op = promise->op();
  const std::stop_callback<GaveUp> stopped(context.stop_token(), promise);
  Result<Bytes> ended = co_await op;
  co_return ended;
}

static std::unique_ptr<Messenger> make_messenger(World& world) {
  auto builder = Messenger::builder(world);
  builder.add_transport(transport::make_tcp());
  auto built = builder.build();
  EXPECT_TRUE(built) << built.error().to_string();
  return std::move(*built);
}

}  // namespace shared_nodes_test

using namespace shared_nodes_test;  // NOLINT(google-build-using-namespace)

TEST(SharedNodes, MessengersDoEverythingAtOnce) {
  const auto world = RealWorld::create().value();
  const auto one = make_messenger(*world);
  const auto two = make_messenger(*world);
  share(*one, *two);
}

TEST(SharedNodes, FacadesDoEverythingAtOnce) {
  const auto one = Velo::builder().build().value();
  const auto two = Velo::builder().build().value();
  share(*one, *two);
}

TEST(SharedNodes, AStopTokenOutlivesItsHandler) {
  const auto world = RealWorld::create().value();
  const auto one = make_messenger(*world);
  const auto two = make_messenger(*world);
  ASSERT_TRUE(one->register_peer(two->peer_info()));
  std::mutex mutex;
  std::vector<std::stop_token> tokens;
  std::latch entered(crew_size);
  ASSERT_TRUE(two->register_handler(Handler::unary_handler_async("hold", [&](Context context) {
                                      {
                                        const std::lock_guard lock(mutex);
                                        tokens.push_back(context.stop_token());
                                      }
                                      entered.count_down();
                                      return hold(std::move(context));
                                    }).build()));
  std::vector<Op<Bytes>> calls;
  for (int i = 0; i < crew_size; ++i) {
    calls.push_back(one->unary("hold").instance(two->instance_id()).send());
  }
  entered.wait();
  // Each thread asks all tokens, and is told by one, while the calls are cancelled one by one.
  in_eight_threads([&](int thread) {
    const auto index = static_cast<std::size_t>(thread);
    std::latch told(1);
    const std::stop_callback stopped(tokens[index], [&told] { told.count_down(); });
    calls[index].cancel();
    told.wait();
    for (const std::stop_token& token : tokens) static_cast<void>(token.stop_requested());
  });
  for (const std::stop_token& token : tokens) EXPECT_TRUE(token.stop_requested());
  for (Op<Bytes>& call : calls) EXPECT_FALSE(std::move(call).get());
}

}  // namespace velo::threads_test
