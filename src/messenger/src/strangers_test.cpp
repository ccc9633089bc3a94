// SPDX-License-Identifier: Apache-2.0
// Connections on which nobody greets: counted, bounded, and closed in time.

#include "strangers.hpp"

#include "testing/cluster.hpp"
#include "testing/raw_peer.hpp"

namespace velo::messenger::testing::strangers_test {

TEST(Strangers, AreCountedInAllAndBySource) {
  Strangers strangers;
  for (std::size_t i = 0; i < limits::strangers_per_source_max; ++i) {
    ASSERT_TRUE(strangers.enter("tcp://10.0.0.1"));
  }
  EXPECT_FALSE(strangers.enter("tcp://10.0.0.1"));
  EXPECT_TRUE(strangers.enter("tcp://10.0.0.2"));
  strangers.leave("tcp://10.0.0.1");
  EXPECT_TRUE(strangers.enter("tcp://10.0.0.1"));
  EXPECT_EQ(strangers.count(), limits::strangers_per_source_max + 1);
}

TEST(Strangers, AreNeverMoreThanAllOfThem) {
  Strangers strangers;
  std::size_t let_in = 0;
  for (std::size_t i = 0; i < limits::strangers_max + 10; ++i) {
    let_in += strangers.enter("tcp://10.0." + std::to_string(i)) ? 1 : 0;
  }
  EXPECT_EQ(let_in, limits::strangers_max);
}

TEST(Strangers, WhoeverLeavesLeavesNothing) {
  Strangers strangers;
  for (int i = 0; i < 100'000; ++i) {
    const std::string source = std::to_string(i);
    ASSERT_TRUE(strangers.enter(source));
    strangers.leave(source);
  }
  EXPECT_EQ(strangers.count(), 0u);
  strangers.leave("never came");
  EXPECT_EQ(strangers.count(), 0u);
}

TEST(Strangers, ComeFromTheirAddressWhateverThePort) {
  EXPECT_EQ(source_of("tcp://10.0.0.1:7000"), "tcp://10.0.0.1");
  EXPECT_EQ(source_of("tcp://[::1]:7000"), "tcp://[::1]");
  EXPECT_EQ(source_of("tcp://[::1]"), "tcp://[::1]");
  EXPECT_EQ(source_of("unix:"), "unix:");
  EXPECT_EQ(source_of("uds:///run/velo"), "uds:///run/velo");
}

/// A raw peer that connects to node 0 and does not greet.
class Silent : public ::testing::Test {
 protected:
  Silent() : cluster(1), raw(cluster) { EXPECT_TRUE(cluster[0].register_handler(echo())); }
  std::size_t connections() { return cluster[0].drain_state().connections; }
  void ask(RawEnd& end, std::string_view handler, std::uint64_t local) {
    end.send(transport::FrameType::message,
             request_header(protocol::ResponseType::unary, raw.id(local), handler));
  }

  Cluster cluster;
  RawPeer raw;
};

TEST_F(Silent, IsClosedInTime) {
  RawEnd& end = raw.dial(cluster[0]);
  cluster.sim.run_for(limits::stranger_patience - 1s);
  EXPECT_FALSE(end.over());
  cluster.sim.run_for(2s);
  EXPECT_TRUE(end.over());
  EXPECT_EQ(connections(), 0u);
}

TEST_F(Silent, IsClosedInTimeWhenItSendsNonsenseNowAndThen) {
  RawEnd& end = raw.dial(cluster[0]);
  for (std::uint64_t i = 0; i < 9; ++i) {
    cluster.sim.run_for(1s);
    ask(end, "no handler", i);
    end.send(transport::FrameType::response, response_header(MessageId(WorkerId(7), i)));
  }
  cluster.sim.run_for(2s);
  EXPECT_TRUE(end.over());
}

TEST_F(Silent, WhoGreetsStays) {
  RawEnd& end = raw.dial(cluster[0]);
  end.greet(raw.info, local_offer(raw.info.worker_id().value()));
  cluster.sim.run_for(10 * limits::stranger_patience);
  EXPECT_FALSE(end.over());
  EXPECT_EQ(connections(), 1u);
}

TEST_F(Silent, WhoAsksSomethingSensibleStays) {
  RawEnd& end = raw.dial(cluster[0]);
  ask(end, "_list_handlers", 1);
  cluster.sim.run_for(2 * limits::stranger_patience);
  EXPECT_FALSE(end.over());
}

TEST_F(Silent, IsClosedWhenItAsksTooMuch) {
  RawEnd& end = raw.dial(cluster[0]);
  for (std::uint64_t i = 0; i < limits::stranger_requests_max; ++i) ask(end, "echo", i);
  cluster.sim.run_for(1s);
  EXPECT_FALSE(end.over());
  EXPECT_EQ(end.frames.size(), limits::stranger_requests_max);
  ask(end, "echo", 0);
  cluster.sim.run_for(1s);
  EXPECT_TRUE(end.over());
}

TEST_F(Silent, WhoGreetedMayAskOnAndOn) {
  RawEnd& end = raw.dial(cluster[0]);
  end.greet(raw.info, local_offer(raw.info.worker_id().value()));
  for (std::uint64_t i = 0; i < 2 * limits::stranger_requests_max; ++i) ask(end, "echo", i);
  cluster.sim.run_for(1s);
  EXPECT_FALSE(end.over());
}

TEST_F(Silent, AFloodIsBoundedAndLeavesNothing) {
  const auto before = cluster[0].memory().used;
  const std::size_t many = limits::strangers_per_source_max + 100;
  for (std::size_t i = 0; i < many; ++i) {
    (void)raw.dial(cluster[0]);
    ASSERT_LE(connections(), limits::strangers_per_source_max);
  }
  EXPECT_LE(cluster[0].memory().used, before + (std::size_t{1} << 20));
  std::size_t refused = 0;
  cluster.sim.run_for(1s);
  for (const auto& end : raw.dialed) refused += end->over() ? 1 : 0;
  EXPECT_EQ(refused, many - limits::strangers_per_source_max);
  // Another source is served meanwhile.
  RawPeer other(cluster, "other");
  RawEnd& end = other.dial(cluster[0]);
  end.greet(other.info, local_offer(other.info.worker_id().value()));
  EXPECT_EQ(other.next(end).response().outcome, 0);
  cluster.sim.run_for(limits::stranger_patience);
  EXPECT_EQ(connections(), 1u);
}

}  // namespace velo::messenger::testing::strangers_test
