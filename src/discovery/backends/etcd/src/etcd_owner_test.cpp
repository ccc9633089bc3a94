// SPDX-License-Identifier: Apache-2.0
// The etcd backend in simulation: whose announcement counts, and servers that ask who it is.

#include "testing/etcd_fixture.hpp"

#include <string>

namespace velo::discovery::etcd_test {

using EtcdOwnerTest = EtcdFixture;

TEST_F(EtcdOwnerTest, WithdrawingLeavesWhatAnotherObjectAnnouncedSince) {
  const PeerInfo old = make_peer("old");
  PeerInfo moved = old;
  moved.address = {{"tcp", Bytes::copy("moved")}};
  auto first = announce(*owner, old);
  const auto watching = watch(*reader);
  auto second = announce(*reader, moved);
  ASSERT_TRUE(until([&] { return view == View{{moved.instance_id, moved}}; }));
  first.reset();
  sim.run_for(minutes(3));
  EXPECT_EQ(view, (View{{moved.instance_id, moved}}));
  second.reset();
  ASSERT_TRUE(until([&] { return view.empty(); }));
  EXPECT_TRUE(until([&] { return store->leases.empty(); }));
}

TEST_F(EtcdOwnerTest, TwoObjectsDoNotTakeAKeyFromEachOtherForEver) {
  const PeerInfo old = make_peer("old");
  PeerInfo moved = old;
  moved.address = {{"tcp", Bytes::copy("moved")}};
  const auto first = announce(*owner, old);
  // Both see what becomes of their key.
  const auto watching = watch(*reader);
  const auto also = owner->watch(there.shard(0), [](const PeerChange&) {});
  auto second = announce(*reader, moved);
  sim.run_for(minutes(5));
  EXPECT_EQ(view, (View{{moved.instance_id, moved}}));
  EXPECT_LT(store->history.size(), 5U);
  // The first one is still wanted.
  second.reset();
  ASSERT_TRUE(until([&] { return view == View{{old.instance_id, old}}; }));
}

TEST_F(EtcdOwnerTest, AUserIsAuthenticatedAndAgainWhenTheTokenIsOver) {
  store->user = "velo";
  store->password = "open \"sesame\"";
  EtcdOptions how = options();
  how.user = store->user;
  how.password = store->password;
  const auto known = join(here, how);
  const PeerInfo peer = make_peer("a");
  const auto announced = announce(*known, peer);
  const auto watching = watch(*known);
  ASSERT_TRUE(until([&] { return view.size() == 1; }));
  // As after a restart, or five idle minutes: the watch, too, finds its way back.
  store->token = "token.2";
  const PeerInfo second = make_peer("b");
  const auto also = announce(*known, second);
  ASSERT_TRUE(until([&] { return view.size() == 2; }));
  store->token = "token.3";
  restart_server();
  const PeerInfo third = make_peer("c");
  const auto last = announce(*known, third);
  ASSERT_TRUE(until([&] { return view.size() == 3; }));
  EXPECT_EQ(log_lines_with("sesame"), 0U);
  EXPECT_EQ(log_lines_with("token."), 0U);
}

TEST_F(EtcdOwnerTest, WhoIsNotAcceptedGetsATypedErrorWithoutThePassword) {
  store->user = "velo";
  store->password = "right";
  EtcdOptions how = options();
  how.user = "velo";
  how.password = "wrong and secret";
  const auto wrong = join(here, how);
  const auto refused = wait(wrong->announce(make_peer("a")));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(velo::Errc::permission_denied)) << refused.error().to_string();
  EXPECT_EQ(refused.error().to_string().find("secret"), std::string::npos);
  // Without a user's name.
  const auto listed = wait(reader->list());
  EXPECT_FALSE(listed);
  const std::size_t before = server->requests();
  const auto watching = watch(*wrong);
  sim.run_for(minutes(1));
  EXPECT_LT(server->requests(), before + 40) << "it asks again and again";
  EXPECT_EQ(log_lines_with("secret"), 0U);
}

TEST_F(EtcdOwnerTest, AServerThatDoesNotAskIsUsedWithoutATokenUntilItDoes) {
  EtcdOptions how = options();
  how.user = "velo";
  how.password = "right";
  const auto known = join(here, how);
  const auto announced = announce(*known, make_peer("a"));
  EXPECT_EQ(log_lines_with("does not ask who it is"), 1U);
  store->user = "velo";
  store->password = "right";
  const auto also = announce(*known, make_peer("b"));
  EXPECT_EQ(store->keys.size(), 2U);
}

TEST_F(EtcdOwnerTest, UsersAndPasswordsComeInPairsAndAreBounded) {
  for (const auto& [user, password] :
       {std::pair<std::string, std::string>{"velo", ""},
        {"", "secret"},
        {std::string(limits::etcd_secret_bytes_max + 1, 'u'), "p"}}) {
    EtcdOptions how = options();
    how.user = user;
    how.password = password;
    const auto made = EtcdDiscovery::create(here, "demo", how);
    ASSERT_FALSE(made);
    EXPECT_TRUE(made.error().is(velo::Errc::invalid_argument)) << made.error().to_string();
  }
}

}  // namespace velo::discovery::etcd_test
