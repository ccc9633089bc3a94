// SPDX-License-Identifier: Apache-2.0
// What the documents that velo was made from promise of its one header: the names, that the facade
// only hands on, and events between two nodes over TCP.

#include <velo/velo.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace velo::facade_test {

// The names are there, and mean what they say.
static_assert(std::is_same_v<decltype(Velo::builder()), VeloBuilder>);
static_assert(std::is_same_v<decltype(std::declval<Velo&>().messenger()), Messenger&>);
static_assert(std::is_base_of_v<Context, TypedContext<int>>);
static_assert(std::is_same_v<decltype(std::declval<Velo&>().am_send("")), Send<void>>);
static_assert(std::is_same_v<decltype(std::declval<Velo&>().am_sync("")), Send<void>>);
static_assert(std::is_same_v<decltype(std::declval<Velo&>().unary("")), Send<Bytes>>);
static_assert(std::is_same_v<decltype(std::declval<Velo&>().typed_unary<int>("")), Send<int>>);
static_assert(std::has_virtual_destructor_v<PeerDiscovery> && std::is_abstract_v<PeerDiscovery>);
static_assert(!std::is_copy_constructible_v<Event> && std::is_move_constructible_v<Event>);
static_assert(std::is_trivially_copyable_v<EventHandle> && sizeof(EventHandle) == 16);
static_assert(std::is_copy_constructible_v<EventManager>);
static_assert(std::is_constructible_v<Op<void>, EventAwaiter&&>);
static_assert(std::is_enum_v<EventStatus> && std::is_class_v<EventPoison>);
static_assert(sizeof(InstanceId) == 16 && sizeof(WorkerId) == 8);
static_assert(std::is_same_v<decltype(PeerInfo::address), WorkerAddress>);

static std::unique_ptr<Velo> node() {
  auto built = Velo::builder().add_transport(transport::make_tcp()).build();
  if (!built) {
    ADD_FAILURE() << built.error().to_string();
    return nullptr;
  }
  return std::move(*built);
}

/// Two that know each other, over TCP.
struct Pair {
  Pair() : a(node()), b(node()) {
    EXPECT_TRUE(a->register_peer(b->peer_info()));
    EXPECT_TRUE(b->register_peer(a->peer_info()));
  }
  std::unique_ptr<Velo> a;
  std::unique_ptr<Velo> b;
};

TEST(Facade, ANodeIsItsMessenger) {
  Pair pair;
  Velo& node = *pair.a;
  Messenger& inner = node.messenger();
  EXPECT_EQ(node.instance_id(), inner.instance_id());
  EXPECT_EQ(node.worker_id(), inner.worker_id());
  EXPECT_EQ(node.peer_info(), inner.peer_info());
  EXPECT_EQ(&node.world(), &inner.world());
  ASSERT_EQ(inner.peers().size(), 1U);
  EXPECT_EQ(node.peers(), inner.peers());
  // What one registers, the other has, and either may be asked.
  ASSERT_TRUE(node.register_handler(
      Handler::unary_handler("outer", [](Context&) { return Bytes::of_static("o"); }).build()));
  ASSERT_TRUE(inner.register_handler(
      Handler::unary_handler("inner", [](Context&) { return Bytes::of_static("i"); }).build()));
  EXPECT_EQ(node.list_local_handlers(), inner.list_local_handlers());
  for (const char* name : {"outer", "inner"}) {
    auto by_facade = pair.b->unary(name).instance(node.instance_id()).send().get();
    auto by_messenger = pair.b->messenger().unary(name).instance(node.instance_id()).send().get();
    ASSERT_TRUE(by_facade && by_messenger);
    EXPECT_EQ(by_facade->text(), by_messenger->text());
  }
  EXPECT_EQ(pair.b->books().unary.sent, 4U);
  EXPECT_EQ(pair.b->messenger().books().unary.sent, 4U);
}

TEST(Facade, AnEventOfOneNodeIsAwaitedOnAnother) {
  Pair pair;
  auto event = pair.a->event_manager().new_event();
  ASSERT_TRUE(event) << event.error().to_string();
  const EventHandle handle = event->handle();
  auto early = pair.b->event_manager().awaiter(handle);
  ASSERT_TRUE(std::move(*event).trigger());
  const auto ended = std::move(early).get();
  EXPECT_TRUE(ended) << ended.error().to_string();
  auto late = pair.b->event_manager().awaiter(handle);
  EXPECT_TRUE(std::move(late).get());
}

TEST(Facade, APoisonOfOneNodeReachesAnotherWithItsReason) {
  Pair pair;
  auto event = pair.a->event_manager().new_event();
  ASSERT_TRUE(event);
  auto awaiter = pair.b->event_manager().awaiter(event->handle());
  ASSERT_TRUE(std::move(*event).poison("out of paper"));
  const auto ended = std::move(awaiter).get();
  ASSERT_FALSE(ended);
  EXPECT_NE(ended.error().to_string().find("out of paper"), std::string::npos);
  // And the other way round: who knows the handle may complete it.
  auto other = pair.a->event_manager().new_event();
  ASSERT_TRUE(other);
  auto here = pair.a->event_manager().awaiter(other->handle());
  ASSERT_TRUE(pair.b->event_manager().poison(other->handle(), "from afar").get());
  const auto told = std::move(here).get();
  ASSERT_FALSE(told);
  EXPECT_NE(told.error().to_string().find("from afar"), std::string::npos);
}

}  // namespace velo::facade_test
