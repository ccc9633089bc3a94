// SPDX-License-Identifier: Apache-2.0
// Large data between simulated nodes: what each operation does, and how it ends.

#include "testing.hpp"

#include <velo/messenger/error.hpp>
#include <velo/messenger/subsystem.hpp>
#include <velo/rendezvous/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace velo::rendezvous::testing::rendezvous_test {

constexpr std::size_t large = std::size_t{5} << 20;

TEST(Rendezvous, DataIsReadByAnotherInstanceAndFreedWhenReleased) {
  DataCluster cluster(2);
  const std::string contents = pattern(large + 17);
  const auto handle = cluster.data[0].register_data(Bytes::copy(contents));
  ASSERT_TRUE(handle);
  EXPECT_EQ(handle->owner(), cluster.nodes[0].worker_id());
  EXPECT_GE(cluster.nodes[0].memory().used, contents.size()) << "charged while it is registered";

  const auto known = cluster.nodes.wait(cluster.data[1].metadata(*handle));
  ASSERT_TRUE(known) << known.error().to_string();
  EXPECT_EQ(known->total_bytes, contents.size());
  EXPECT_EQ(known->references, 1U);
  EXPECT_FALSE(known->pinned);

  const auto got = cluster.nodes.wait(cluster.data[1].get(*handle));
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->data.text(), contents);
  EXPECT_EQ(cluster.data[0].use().leases, 1U);
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[1].release(*handle, got->lease))), "ok");
  EXPECT_TRUE(cluster.nothing_left());
  EXPECT_EQ(cluster.nodes[0].memory().used, 0U);
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[1].get(*handle))), "rendezvous.unknown_handle");
}

TEST(Rendezvous, SmallAndEmptyDataAreReadToo) {
  DataCluster cluster(2);
  for (const std::string& contents : {std::string(), std::string("x")}) {
    const auto handle = cluster.data[0].register_data(Bytes::copy(contents));
    ASSERT_TRUE(handle);
    const auto got = cluster.nodes.wait(cluster.data[1].get(*handle));
    ASSERT_TRUE(got) << got.error().to_string();
    EXPECT_EQ(got->data.text(), contents);
    EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[1].release(*handle, got->lease))), "ok");
  }
  EXPECT_TRUE(cluster.nothing_left());
}

TEST(Rendezvous, OnesOwnDataIsNotCopied) {
  DataCluster cluster(1);
  const Bytes contents = Bytes::copy(pattern(large));
  const auto handle = cluster.data[0].register_data(contents);
  ASSERT_TRUE(handle);
  const auto got = cluster.nodes.wait(cluster.data[0].get(*handle));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->data.data(), contents.data());
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[0].ref_handle(*handle))), "ok");
  EXPECT_EQ(cluster.nodes.wait(cluster.data[0].metadata(*handle))->references, 2U);
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[0].release(*handle, got->lease))), "ok");
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[0].release(*handle, got->lease))),
            "rendezvous.lease_lapsed");
  ASSERT_TRUE(cluster.data[0].withdraw(*handle));
  EXPECT_TRUE(cluster.nothing_left());
}

TEST(Rendezvous, EveryReferenceHasToBeReleasedAndADetachGivesUpNone) {
  DataCluster cluster(3);
  const auto handle = cluster.data[0].register_data(Bytes::copy(pattern(large)));
  ASSERT_TRUE(handle);
  ASSERT_TRUE(cluster.nodes.wait(cluster.data[1].ref_handle(*handle)));
  for (const std::size_t reader : {std::size_t{1}, std::size_t{2}}) {
    const auto once = cluster.nodes.wait(cluster.data[reader].get(*handle));
    ASSERT_TRUE(once);
    EXPECT_TRUE(cluster.nodes.wait(cluster.data[reader].detach(*handle, once->lease)));
    const auto again = cluster.nodes.wait(cluster.data[reader].get(*handle));
    ASSERT_TRUE(again);
    EXPECT_TRUE(cluster.nodes.wait(cluster.data[reader].release(*handle, again->lease)));
  }
  EXPECT_TRUE(cluster.nothing_left());
}

TEST(Rendezvous, HandlesAreNotToBeGuessed) {
  DataCluster cluster(2);
  std::set<std::uint64_t> seen;
  std::uint64_t common = UINT64_MAX;
  for (int i = 0; i < 64; ++i) {
    const auto handle = cluster.data[0].register_data(Bytes::copy("secret"));
    ASSERT_TRUE(handle);
    seen.insert(handle->local());
    common &= handle->local() >> 32U;
  }
  EXPECT_EQ(seen.size(), 64U);
  EXPECT_EQ(common, 0U) << "the upper half varies, too";
  const DataHandle guess(cluster.nodes[0].worker_id(), *seen.begin() + 1);
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[1].get(guess))), "rendezvous.unknown_handle");
  for (const std::uint64_t local : seen) {
    ASSERT_TRUE(cluster.data[0].withdraw(DataHandle(cluster.nodes[0].worker_id(), local)));
  }
}

TEST(Rendezvous, DataBoundToOneInstanceIsRefusedToOthers) {
  DataCluster cluster(3);
  RegisterOptions options;
  options.only_for = cluster.nodes.id(1);
  const auto handle = cluster.data[0].register_data(Bytes::copy("for node 1"), options);
  ASSERT_TRUE(handle);
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[2].get(*handle))), "rendezvous.not_for_you");
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[2].ref_handle(*handle))),
            "rendezvous.not_for_you");
  const auto got = cluster.nodes.wait(cluster.data[1].get(*handle));
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[2].release(*handle, got->lease))),
            "rendezvous.not_for_you");
  EXPECT_TRUE(cluster.nodes.wait(cluster.data[1].release(*handle, got->lease)));
  EXPECT_TRUE(cluster.nothing_left());
}

TEST(Rendezvous, TimeToLiveIsReapedByItself) {
  DataCluster cluster(2);
  RegisterOptions options;
  options.ttl = 10s;
  options.pinned = true;
  const auto handle = cluster.data[0].register_data(Bytes::copy("for a while"), options);
  ASSERT_TRUE(handle);
  EXPECT_TRUE(cluster.nodes.wait(cluster.data[1].metadata(*handle))->pinned);
  cluster.nodes.sim.run_for(9s);
  EXPECT_EQ(cluster.data[0].use().entries, 1U);
  cluster.nodes.sim.run_for(2s);
  EXPECT_TRUE(cluster.nothing_left());
}

TEST(Rendezvous, TheLeaseOfAReaderThatDiedLapses) {
  DataCluster cluster(2);
  const auto handle = cluster.data[0].register_data(Bytes::copy(pattern(large)));
  ASSERT_TRUE(handle);
  ASSERT_TRUE(cluster.nodes.wait(cluster.data[1].get(*handle)));
  ASSERT_TRUE(cluster.data[0].withdraw(*handle));
  EXPECT_EQ(cluster.data[0].use().entries, 1U) << "it is locked";
  cluster.nodes.sim.run_for(limits::lease_ttl + 1s);
  EXPECT_TRUE(cluster.nothing_left());
}

TEST(Rendezvous, ABufferThatIsTooSmallIsNotWrittenTo) {
  DataCluster cluster(2);
  const std::string contents = pattern(large);
  const auto handle = cluster.data[0].register_data(Bytes::copy(contents));
  ASSERT_TRUE(handle);
  std::vector<std::byte> small(large - 1, std::byte{7});
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[1].get_into(*handle, write_to_memory(small)))),
            "rendezvous.too_large");
  EXPECT_EQ(std::ranges::count(small, std::byte{7}), std::ptrdiff_t{large} - 1);
  std::vector<std::byte> enough(large + 10);
  const auto lease = cluster.nodes.wait(cluster.data[1].get_into(*handle, write_to_memory(enough)));
  ASSERT_TRUE(lease) << lease.error().to_string();
  EXPECT_EQ(as_text(enough).substr(0, large), contents);
  GetOptions less;
  less.bytes_max = large - 1;
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[1].get(*handle, less))),
            "rendezvous.too_large");
  EXPECT_TRUE(cluster.nodes.wait(cluster.data[1].release(*handle, *lease)));
  cluster.nodes.sim.run_for(1s);
  EXPECT_TRUE(cluster.nothing_left()) << "those that failed gave their leases back";
}

TEST(Rendezvous, AFileBecomesAFileElsewhere) {
  DataCluster cluster(2);
  const std::string contents = pattern(large + 1);
  auto& owner = cluster.nodes.sim.node(0);
  ASSERT_TRUE(owner.files().write_atomic("/model", as_bytes(contents)));
  const auto handle = cluster.data[0].register_file("/model");
  ASSERT_TRUE(handle) << handle.error().to_string();
  EXPECT_EQ(cluster.nodes[0].memory().used, 0U) << "nothing of it is in memory";
  auto& reader = cluster.nodes.sim.node(1);
  const auto lease =
      cluster.nodes.wait(cluster.data[1].get_into(*handle, write_to_file(reader.files(), "/copy")));
  ASSERT_TRUE(lease) << lease.error().to_string();
  EXPECT_EQ(reader.files().read("/copy", SIZE_MAX)->text(), contents);
  EXPECT_TRUE(cluster.nodes.wait(cluster.data[1].release(*handle, *lease)));
  EXPECT_TRUE(cluster.nothing_left());
  EXPECT_TRUE(cluster.data[0].register_file("/none").error().is(velo::Errc::not_found));
}

// A disk that was slow to make the file ended the transfer as stalled, though nothing was late.
TEST(Rendezvous, ASlowDiskIsNoStall) {
  ClusterOptions slow;
  slow.sim.pool_delay = sim::Latency{22s, 22s};
  DataCluster cluster(2, std::move(slow));
  const std::string contents = pattern(large);
  const auto handle = cluster.data[0].register_data(Bytes::copy(contents));
  ASSERT_TRUE(handle);
  GetOptions options;
  options.stall = 20s;
  auto& reader = cluster.nodes.sim.node(1);
  const auto lease = cluster.nodes.wait(
      cluster.data[1].get_into(*handle, write_to_file(reader.files(), "/copy"), options), 1h);
  ASSERT_TRUE(lease) << lease.error().to_string();
  EXPECT_EQ(reader.files().read("/copy", SIZE_MAX)->text(), contents);
}

TEST(Rendezvous, AFileThatBecameShorterEndsItsReaders) {
  DataCluster cluster(2);
  auto& owner = cluster.nodes.sim.node(0);
  ASSERT_TRUE(owner.files().write_atomic("/model", as_bytes(pattern(large))));
  const auto handle = cluster.data[0].register_file("/model");
  ASSERT_TRUE(handle);
  ASSERT_TRUE(owner.files().write_atomic("/model", as_bytes("short")));
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[1].get(*handle))), "rendezvous.source_failed");
  // One's own file is read the same way.
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[0].get(*handle))), "rendezvous.source_failed");
  ASSERT_TRUE(cluster.data[0].withdraw(*handle));
  cluster.nodes.sim.run_for(1s);
  EXPECT_TRUE(cluster.nothing_left());
}

TEST(Rendezvous, DroppingTheOpTellsTheOwner) {
  DataCluster cluster(2);
  const auto handle = cluster.data[0].register_data(Bytes::copy(pattern(large)));
  ASSERT_TRUE(handle);
  {
    auto op = cluster.data[1].get(*handle);
    ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[0].use().leases == 1; }));
  }
  ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[0].use().leases == 0; }));
  EXPECT_EQ(cluster.data[1].use().transfers, 0U);
  EXPECT_EQ(cluster.data[0].use().entries, 1U) << "only the lease is gone";
  ASSERT_TRUE(cluster.data[0].withdraw(*handle));
}

TEST(Rendezvous, AStopTokenEndsIt) {
  DataCluster cluster(2);
  const auto handle = cluster.data[0].register_data(Bytes::copy(pattern(large)));
  ASSERT_TRUE(handle);
  std::stop_source stop;
  GetOptions options;
  options.stop = stop.get_token();
  auto op = cluster.data[1].get(*handle, options);
  ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[0].use().leases == 1; }));
  stop.request_stop();
  EXPECT_EQ(outcome(cluster.nodes.wait(std::move(op))), "base.cancelled");
  ASSERT_TRUE(cluster.data[0].withdraw(*handle));
}

TEST(Rendezvous, ItGoesOnOverAnotherConnection) {
  DataCluster cluster(2);
  const std::string contents = pattern(large);
  const auto handle = cluster.data[0].register_data(Bytes::copy(contents));
  ASSERT_TRUE(handle);
  auto op = cluster.data[1].get(*handle);
  ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[0].use().leases == 1; }));
  for (int i = 0; i < 5; ++i) {
    cluster.nodes.sim.run_for(200us);
    cluster.nodes.sim.reset_connections(cluster.nodes.sim.node(0), cluster.nodes.sim.node(1));
  }
  const auto got = cluster.nodes.wait(std::move(op));
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->data.text(), contents);
  EXPECT_GT(cluster.nodes.sim.stats().connections_opened, 1U);
  EXPECT_TRUE(cluster.nodes.wait(cluster.data[1].release(*handle, got->lease)));
  EXPECT_TRUE(cluster.nothing_left());
}

TEST(Rendezvous, WithoutTheOwnerItStallsAndWithTheDeadlineItEnds) {
  DataCluster cluster(2);
  const auto handle = cluster.data[0].register_data(Bytes::copy(pattern(large)));
  ASSERT_TRUE(handle);
  ASSERT_TRUE(cluster.nodes.wait(cluster.data[1].metadata(*handle)));
  cluster.nodes.sim.partition(cluster.nodes.sim.node(0), cluster.nodes.sim.node(1));
  GetOptions hurried;
  hurried.timeout = 5s;
  auto by_deadline = cluster.data[1].get(*handle, hurried);
  GetOptions patient;
  patient.stall = 20s;
  const TimePoint began = cluster.nodes.sim.now();
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[1].get(*handle, patient))),
            "rendezvous.stalled");
  EXPECT_GE(cluster.nodes.sim.now() - began, 20s);
  EXPECT_LT(cluster.nodes.sim.now() - began, 22s);
  EXPECT_EQ(outcome(cluster.nodes.wait(std::move(by_deadline))), "base.deadline_exceeded");
  cluster.nodes.sim.heal();
  ASSERT_TRUE(cluster.data[0].withdraw(*handle));
  cluster.nodes.sim.run_for(limits::lease_ttl + 1s);
  EXPECT_TRUE(cluster.nothing_left());
}

TEST(Rendezvous, WhatDoesNotFitIntoTheBudgetIsNotRegistered) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t, NodeSetup& setup) {
    setup.memory_bytes = std::size_t{4} << 20;
  };
  DataCluster cluster(1, std::move(options));
  EXPECT_TRUE(cluster.data[0].register_data(Bytes::copy(pattern(large))).error().is(Errc::no_room));
  const auto handle = cluster.data[0].register_data(Bytes::copy(pattern(std::size_t{3} << 20)));
  ASSERT_TRUE(handle) << "more than a peer's quarter: it is the application's own";
  EXPECT_TRUE(cluster.data[0]
                  .register_data(Bytes::copy(pattern(std::size_t{1} << 20)))
                  .error()
                  .is(Errc::no_room));
  ASSERT_TRUE(cluster.data[0].withdraw(*handle));
  EXPECT_EQ(cluster.nodes[0].memory().used, 0U);
}

TEST(Rendezvous, ADrainWaitsForTransfersAndRefusesNewData) {
  DataCluster cluster(2);
  const std::string contents = pattern(large);
  const auto handle = cluster.data[0].register_data(Bytes::copy(contents));
  ASSERT_TRUE(handle);
  auto op = cluster.data[1].get(*handle);
  ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[0].use().leases == 1; }));
  auto drained = cluster.nodes[0].shutdown();
  EXPECT_GE(cluster.nodes[0].drain_state().subsystems, 1U);
  EXPECT_TRUE(cluster.data[0]
                  .register_data(Bytes::copy("more"))
                  .error()
                  .is(messenger::Errc::shutting_down));
  const auto got = cluster.nodes.wait(std::move(op));
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->data.text(), contents);
  EXPECT_EQ(outcome(cluster.nodes.wait(std::move(drained))), "ok");
  EXPECT_EQ(cluster.data[0].use().entries, 0U) << "nothing outlives the messenger";
}

TEST(Rendezvous, TheEndOfAMessengerEndsItsTransfersAndItsData) {
  DataCluster cluster(2);
  const auto handle = cluster.data[0].register_data(Bytes::copy(pattern(large)));
  ASSERT_TRUE(handle);
  auto op = cluster.data[1].get(*handle);
  ASSERT_TRUE(cluster.nodes.until([&] { return cluster.data[0].use().leases == 1; }));
  cluster.nodes.messengers[1].reset();
  EXPECT_EQ(outcome(cluster.nodes.wait(std::move(op))), "messenger.shutting_down");
  EXPECT_EQ(outcome(cluster.nodes.wait(cluster.data[1].get(*handle))), "messenger.shutting_down");
  EXPECT_TRUE(cluster.data[1]
                  .register_data(Bytes::copy("late"))
                  .error()
                  .is(messenger::Errc::shutting_down));
  cluster.nodes.sim.run_for(limits::lease_ttl + 1s);
  EXPECT_EQ(cluster.data[0].use().leases, 0U);
  ASSERT_TRUE(cluster.data[0].withdraw(*handle));
}

TEST(Rendezvous, IsAttachedOnce) {
  DataCluster cluster(1);
  EXPECT_TRUE(Rendezvous::attach(cluster.nodes[0]).error().is(velo::Errc::already_exists));
}

TEST(Rendezvous, APeerOfThePublicVeloReadsAndIsReadFrom) {
  ClusterOptions options;
  options.setup = [](sim::SimNode&, std::size_t index, NodeSetup& setup) {
    setup.legacy = index == 1;
  };
  DataCluster cluster(2, std::move(options));
  const std::string contents = pattern(large);
  for (const std::size_t owner : {std::size_t{0}, std::size_t{1}}) {
    Rendezvous& reader = cluster.data[1 - owner];
    const auto handle = cluster.data[owner].register_data(Bytes::copy(contents));
    ASSERT_TRUE(handle);
    const auto got = cluster.nodes.wait(reader.get(*handle));
    ASSERT_TRUE(got) << got.error().to_string();
    EXPECT_EQ(got->data.text(), contents);
    EXPECT_TRUE(cluster.nodes.wait(reader.release(*handle, got->lease)));
    EXPECT_TRUE(cluster.nothing_left());
  }
}

}  // namespace velo::rendezvous::testing::rendezvous_test
