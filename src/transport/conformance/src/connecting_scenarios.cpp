// SPDX-License-Identifier: Apache-2.0
// Scenarios of connecting, refusing, stopping, and of what is left behind.

#include "scenario.hpp"
#include "stage.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::transport::conformance {
namespace connecting_scenarios_detail {

static std::size_t open_descriptors() {
  const std::filesystem::directory_iterator begin("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

static void the_entry_is_understood_by_the_other_side(Stage& stage) {
  EXPECT_FALSE(stage.entry().empty());
  const Result<void> checked = stage.transport(1).check_entry(stage.entry());
  EXPECT_TRUE(checked) << checked.error().to_string();
  EXPECT_FALSE(stage.transport(1).address_entry() == stage.entry());
}

static void garbage_entries_are_refused(Stage& stage) {
  const std::string_view garbage[] = {"",
                                      "x",
                                      "://",
                                      "\x91\xc1",
                                      "tcp://",
                                      "uds://",
                                      "inproc://",
                                      "\xdd\xff\xff\xff\xff",
                                      "tcp://999.0.0.1:1"};
  for (const std::string_view entry : garbage) {
    const Result<void> checked = stage.transport(1).check_entry(as_bytes(entry));
    ASSERT_FALSE(checked) << entry;
    EXPECT_TRUE(checked.error().is(Errc::invalid_address)) << checked.error().to_string();
    const Result<Party*> dialled = stage.dial(as_bytes(entry));
    ASSERT_FALSE(dialled) << entry;
    EXPECT_TRUE(dialled.error().is(Errc::invalid_address)) << dialled.error().to_string();
  }
}

static void connecting_to_nobody_fails(Stage& stage) {
  const Bytes entry = stage.entry();
  stage.stop(0);
  const Result<Party*> dialled = stage.dial(entry);
  ASSERT_FALSE(dialled);
  EXPECT_TRUE(dialled.error().is(Errc::connect_failed) || dialled.error().is(Errc::no_endpoint))
      << dialled.error().to_string();
}

static void a_transport_that_did_not_start_says_so(Stage& stage) {
  const std::unique_ptr<Transport> idle = stage.kit().make(1);
  Shard& shard = stage.world(1).shard(0);
  std::optional<Error> error;
  std::unique_ptr<Dial> dial =
      idle->connect(shard, stage.entry(), [&](const Result<ConnectionPtr>& connection) {
        const std::lock_guard lock(stage.driver().mutex());
        if (!connection) error = connection.error();
      });
  ASSERT_TRUE(stage.wait([&] { return error.has_value(); }));
  EXPECT_TRUE(error->is(Errc::not_started)) << error->to_string();
  stage.driver().run_on(shard, [&] { dial.reset(); });
  idle->stop();
}

static void an_abandoned_attempt_never_calls_back(Stage& stage) {
  Shard& shard = stage.world(1).shard(0);
  std::atomic<int> called{0};
  stage.driver().run_on(shard, [&] {
    for (int i = 0; i < 20; ++i) {
      std::unique_ptr<Dial> dial = stage.transport(1).connect(
          shard, stage.entry(), [&called](const Result<ConnectionPtr>&) { ++called; });
      dial.reset();
      dial = stage.transport(1).connect(shard, as_bytes("garbage"),
                                        [&called](const Result<ConnectionPtr>&) { ++called; });
      dial.reset();
    }
  });
  // Whatever was on its way has passed once a later connection works.
  auto [client, server] = stage.connect();
  client.send(FrameType::message, "", "x");
  ASSERT_TRUE(stage.last_accepted().wait_frames(1));
  EXPECT_EQ(called.load(), 0);
  const std::size_t count = stage.accepted_count();
  for (std::size_t i = 0; i + 1 < count; ++i) ASSERT_TRUE(stage.accepted(i).wait_closed());
}

static void an_accepted_connection_that_is_dropped_ends_the_other_side(Stage& stage) {
  stage.accept = [] { return false; };
  const Result<Party*> client = stage.dial(stage.entry());
  ASSERT_TRUE(client) << client.error().to_string();
  ASSERT_TRUE((*client)->wait_closed());
  EXPECT_TRUE((*client)->closed->is(Errc::connection_lost)) << (*client)->closed->to_string();
}

static void a_dialled_connection_that_is_dropped_ends_the_other_side(Stage& stage) {
  Shard& shard = stage.world(1).shard(0);
  bool answered = false;
  std::unique_ptr<Dial> dial = stage.transport(1).connect(
      shard, stage.entry(), [&](const Result<ConnectionPtr>& connection) {
        const std::lock_guard lock(stage.driver().mutex());
        answered = connection.has_value();
      });
  ASSERT_TRUE(stage.wait([&] { return answered; }));
  stage.driver().run_on(shard, [&] { dial.reset(); });
  Party& server = stage.accepted(0);
  ASSERT_TRUE(server.wait_closed());
  EXPECT_TRUE(server.closed->is(Errc::connection_lost)) << server.closed->to_string();
}

static void a_stopped_transport_keeps_its_connections(Stage& stage) {
  auto [client, server] = stage.connect();
  stage.transport(0).stop();
  stage.transport(0).stop();
  const Result<Party*> refused = stage.dial(stage.entry());
  EXPECT_FALSE(refused);
  stage.stop(1);
  stage.stop(0);
  client.send(FrameType::message, "still", "here");
  server.send(FrameType::response, "so", "am I");
  ASSERT_TRUE(server.wait_frames(1));
  ASSERT_TRUE(client.wait_frames(1));
}

static void a_transport_may_be_stopped_on_its_shard(Stage& stage) {
  stage.connect();
  stage.driver().run_on(stage.world(0).shard(0), [&] { stage.transport(0).stop(); });
  EXPECT_FALSE(stage.dial(stage.entry()));
}

static void a_thousand_connections_come_and_go_without_a_trace(Stage& stage) {
  // The first connection makes what stays: buffers, the other side's caches.
  const auto visit = [&stage] {
    auto [client, server] = stage.connect();
    client.send(FrameType::message, "hello", "there");
    ASSERT_TRUE(server.wait_frames(1));
    client.connection->close(make_error(Errc::closed_locally));
    ASSERT_TRUE(client.wait_closed());
    ASSERT_TRUE(server.wait_closed());
    client.connection = ConnectionPtr();
    server.connection = ConnectionPtr();
  };
  visit();
  ASSERT_TRUE(stage.wait([&] { return stage.live_connections() == 0; }));
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 1000; ++i) {
    visit();
    ASSERT_FALSE(testing::Test::HasFatalFailure());
  }
  EXPECT_TRUE(stage.wait([&] { return stage.live_connections() == 0; }));
  EXPECT_TRUE(stage.wait([&] { return open_descriptors() <= before; }));
}

static void many_connections_work_side_by_side(Stage& stage) {
  constexpr std::size_t count = 100;
  std::vector<Stage::Ends> ends;
  ends.reserve(count);
  for (std::size_t i = 0; i < count; ++i) ends.push_back(stage.connect());
  for (std::size_t i = 0; i < count; ++i) {
    ends[i].client.send(FrameType::message, std::to_string(i), "");
  }
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_TRUE(ends[i].server.wait_frames(1));
    EXPECT_EQ(ends[i].server.frames[0].header, std::to_string(i));
  }
}

constexpr Scenario scenarios[] = {
    {"TheEntryIsUnderstoodByTheOtherSide", the_entry_is_understood_by_the_other_side, false},
    {"GarbageEntriesAreRefused", garbage_entries_are_refused, false},
    {"ConnectingToNobodyFails", connecting_to_nobody_fails, false},
    {"ATransportThatDidNotStartSaysSo", a_transport_that_did_not_start_says_so, false},
    {"AnAbandonedAttemptNeverCallsBack", an_abandoned_attempt_never_calls_back, false},
    {"AnAcceptedConnectionThatIsDroppedEndsTheOtherSide",
     an_accepted_connection_that_is_dropped_ends_the_other_side, false},
    {"ADialledConnectionThatIsDroppedEndsTheOtherSide",
     a_dialled_connection_that_is_dropped_ends_the_other_side, false},
    {"AStoppedTransportKeepsItsConnections", a_stopped_transport_keeps_its_connections, false},
    {"ATransportMayBeStoppedOnItsShard", a_transport_may_be_stopped_on_its_shard, false},
    {"AThousandConnectionsComeAndGoWithoutATrace",
     a_thousand_connections_come_and_go_without_a_trace, false},
    {"ManyConnectionsWorkSideBySide", many_connections_work_side_by_side, false},
};

}  // namespace connecting_scenarios_detail

std::span<const Scenario> connecting_scenarios() { return connecting_scenarios_detail::scenarios; }

}  // namespace velo::transport::conformance
