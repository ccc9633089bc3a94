// SPDX-License-Identifier: Apache-2.0
// Streams without faults: order, boundaries, windows, ends, addresses.

#include "stream_test_kit.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace velo::sim::stream_test {

using std::chrono::milliseconds;
using std::chrono::seconds;
using stream_test_kit::Pair;
using stream_test_kit::pattern;
using stream_test_kit::Talker;

TEST(SimStream, ConnectsAfterARoundTripAndNamesThePeer) {
  SimOptions options;
  options.link.latency = Latency(milliseconds(10), milliseconds(10));
  Simulation sim(1, options);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Pair pair;
  pair.start(a, b, b.endpoint(7000));
  ASSERT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(1)));
  EXPECT_EQ(sim.now(), TimePoint(milliseconds(20)));
  EXPECT_EQ(pair.client->stream().remote(), b.endpoint(7000));
  EXPECT_EQ(pair.server->stream().remote().host, a.host());
  EXPECT_EQ(&pair.server->stream().shard(), &b.shard(0));
}

TEST(SimStream, RefusesWhereNobodyListensAndTimesOutWhereNobodyLives) {
  Simulation sim(2);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Pair pair;
  pair.start(a, b, b.endpoint(7000));
  pair.listener.reset();
  ASSERT_TRUE(sim.run_until([&] { return pair.error.has_value(); }, seconds(1)));
  EXPECT_TRUE(pair.error->is(Errc::io));

  Pair nowhere;
  nowhere.start(a, a, Endpoint::tcp("10.9.9.9", 1));
  ASSERT_TRUE(sim.run_until([&] { return nowhere.error.has_value(); }, seconds(10)));
  EXPECT_TRUE(nowhere.error->is(Errc::deadline_exceeded));
}

TEST(SimStream, AnAbandonedAttemptNeverCallsBackAndTheServerSeesTheEnd) {
  for (int delay_us = 0; delay_us < 600; delay_us += 50) {
    Simulation sim(3);
    SimNode& a = sim.add_node("a");
    SimNode& b = sim.add_node("b");
    Pair pair;
    pair.start(a, b, b.endpoint(7000));
    sim.run_for(std::chrono::microseconds(delay_us));
    const bool connected = pair.client != nullptr;
    pair.connecting.reset();
    EXPECT_TRUE(sim.run_until_idle(seconds(60)));
    EXPECT_EQ(pair.client != nullptr, connected);
    EXPECT_EQ(pair.server != nullptr && pair.server->over(), pair.server != nullptr && !connected);
  }
}

TEST(SimStream, ArbitraryFragmentationDeliversTheExactBytesInOrder) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SimOptions options;
    options.fragment_per_million = 600'000;
    options.short_write_per_million = 300'000;
    if (seed % 3 == 0) options.segment_bytes_max = 1 + seed;
    Simulation sim(seed, options);
    SimNode& a = sim.add_node("a");
    SimNode& b = sim.add_node("b");
    Pair pair;
    pair.start(a, b, b.endpoint(7000));
    ASSERT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(1)));
    const std::string message = pattern(100'000);
    for (std::size_t at = 0; at < message.size(); at += 1000) {
      pair.client->say(std::string_view(message).substr(at, 1000));
      pair.server->say(std::string_view(message).substr(at, 1000));
      sim.run_for(std::chrono::microseconds(40));
    }
    ASSERT_TRUE(sim.run_until(
        [&] {
          return pair.server->heard().size() == message.size() &&
                 pair.client->heard().size() == message.size();
        },
        seconds(60)));
    EXPECT_TRUE(pair.server->heard() == message);
    EXPECT_TRUE(pair.client->heard() == message);
    const auto& reads = pair.server->read_sizes();
    EXPECT_GT(std::set<std::size_t>(reads.begin(), reads.end()).size(), 5U) << "no variety";
  }
}

TEST(SimStream, CanDeliverByteByByte) {
  SimOptions options;
  options.segment_bytes_max = 1;
  options.link.latency = Latency(milliseconds(1), milliseconds(1));
  Simulation sim(4, options);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Pair pair;
  pair.start(a, b, b.endpoint(7000));
  ASSERT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(1)));
  pair.client->say("hello");
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(pair.server->heard(), "hello");
  EXPECT_EQ(pair.server->read_sizes(), (std::vector<std::size_t>{1, 1, 1, 1, 1}));
}

TEST(SimStream, AWriterMayFillTheWindowAndGoesOnWhenTheReaderReads) {
  SimOptions options;
  options.short_write_per_million = 0;
  Simulation sim(5, options);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Pair pair;
  pair.start(a, b, b.endpoint(7000), false);
  ASSERT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(1)));
  const std::string message = pattern(3 * options.send_window_bytes);
  pair.client->say(message);
  EXPECT_TRUE(sim.run_until_idle(seconds(10)));
  EXPECT_EQ(pair.client->unsent(), message.size() - options.send_window_bytes);
  EXPECT_EQ(pair.client->would_blocks(), 1U);
  pair.server->hear();
  EXPECT_TRUE(sim.run_until_idle(seconds(10)));
  EXPECT_EQ(pair.client->unsent(), 0U);
  EXPECT_TRUE(pair.server->heard() == message);
}

TEST(SimStream, ClosingDeliversWhatWasWrittenAndThenTheEnd) {
  Simulation sim(6);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Pair pair;
  pair.start(a, b, b.endpoint(7000));
  ASSERT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(1)));
  pair.client->say("last words");
  pair.client.reset();
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(pair.server->heard(), "last words");
  EXPECT_TRUE(pair.server->ended());
  EXPECT_EQ(pair.server->error(), 0);

  pair.server->say("anyone there?");
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(pair.server->error(), ECONNRESET);
  EXPECT_EQ(sim.stats().connections_open, 0U);
}

TEST(SimStream, ClosingWithUnreadBytesResetsThePeer) {
  Simulation sim(7);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Pair pair;
  pair.start(a, b, b.endpoint(7000), false);
  ASSERT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(1)));
  pair.client->say("ignored");
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  pair.server->close();
  EXPECT_TRUE(sim.run_until_idle(seconds(1)));
  EXPECT_EQ(pair.client->error(), ECONNRESET);
}

TEST(SimStream, UnixSocketsAndLoopbackReachTheSameMachineOnly) {
  Simulation sim(8);
  NodeOptions shared;
  shared.machine = "host";
  SimNode& a = sim.add_node("a", shared);
  SimNode& b = sim.add_node("b", shared);
  SimNode& far = sim.add_node("far");
  EXPECT_EQ(a.host(), b.host());
  EXPECT_NE(a.host(), far.host());
  for (const Endpoint& at : {Endpoint::unix_socket("/run/x"), Endpoint::unix_socket("@abstract"),
                             Endpoint::tcp("127.0.0.1", 80)}) {
    Pair near;
    near.start(a, b, at);
    ASSERT_TRUE(sim.run_until([&] { return near.connected(); }, seconds(1)));
    near.client->say("hi");
    EXPECT_TRUE(sim.run_until_idle(seconds(1)));
    EXPECT_EQ(near.server->heard(), "hi");
    Pair distant;
    distant.connecting = far.network().connect(
        far.shard(0), at, ConnectOptions(),
        [&](Result<std::unique_ptr<ByteStream>> stream) { distant.error = stream.error(); });
    ASSERT_TRUE(sim.run_until([&] { return distant.error.has_value(); }, seconds(10)));
  }
  // A listener on loopback is not reached from outside, although the port is the same.
  Pair guarded;
  guarded.start(far, a, Endpoint::tcp("127.0.0.1", 90));
  guarded.connecting = far.network().connect(
      far.shard(0), a.endpoint(90), ConnectOptions(),
      [&](Result<std::unique_ptr<ByteStream>> stream) { guarded.error = stream.error(); });
  ASSERT_TRUE(sim.run_until([&] { return guarded.error.has_value(); }, seconds(10)));
  EXPECT_TRUE(guarded.error->is(Errc::io));
}

TEST(SimStream, PortsAreChosenOwnedAndGivenBack) {
  Simulation sim(9);
  SimNode& a = sim.add_node("a");
  auto ignore = [](Result<std::unique_ptr<ByteStream>>) {};
  auto first = a.network().listen(a.shard(0), a.endpoint(0), ListenOptions(), ignore);
  ASSERT_TRUE(first.has_value());
  const Endpoint chosen = (*first)->local();
  EXPECT_NE(chosen.port, 0);
  auto second = a.network().listen(a.shard(0), chosen, ListenOptions(), ignore);
  ASSERT_FALSE(second.has_value());
  EXPECT_TRUE(second.error().is(Errc::already_exists));
  first->reset();
  EXPECT_TRUE(a.network().listen(a.shard(0), chosen, ListenOptions(), ignore).has_value());
  EXPECT_FALSE(a.network()
                   .listen(a.shard(0), Endpoint::tcp("10.0.77.1", 5), ListenOptions(), ignore)
                   .has_value());
}

TEST(SimStream, BandwidthSpreadsWhatIsSentOverTime) {
  SimOptions options;
  options.link.bytes_per_second = 100'000;
  Simulation sim(10, options);
  SimNode& a = sim.add_node("a");
  SimNode& b = sim.add_node("b");
  Pair pair;
  pair.start(a, b, b.endpoint(7000));
  ASSERT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(1)));
  const TimePoint began = sim.now();
  pair.client->say(pattern(200'000));
  ASSERT_TRUE(sim.run_until([&] { return pair.server->heard().size() == 200'000; }, seconds(60)));
  EXPECT_GE(sim.now() - began, Duration(seconds(2)));
  EXPECT_LE(sim.now() - began, Duration(milliseconds(2100)));
}

TEST(SimStream, HandlesMayOutliveTheSimulationAndAreInert) {
  Pair pair;
  {
    Simulation sim(11);
    SimNode& a = sim.add_node("a");
    SimNode& b = sim.add_node("b");
    pair.start(a, b, b.endpoint(7000));
    ASSERT_TRUE(sim.run_until([&] { return pair.connected(); }, seconds(1)));
    pair.client->say("never arrives");
  }
  EXPECT_EQ(pair.client->stream().try_read({}).status, IoResult::Status::ok);
  pair.client->say("neither");
  EXPECT_NE(pair.client->error(), 0);
  pair.client->stream().want_write();
  pair.client->close();
}

}  // namespace velo::sim::stream_test
