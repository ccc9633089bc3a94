// SPDX-License-Identifier: Apache-2.0
// The gate's limits, as values.

#include <velo/transport/gatekeeper.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport {
namespace gate_test {

static GateSource source(const std::string& ip) { return GateSource::of(Endpoint::tcp(ip, 1)); }

static TimePoint at(int milliseconds) { return TimePoint(std::chrono::milliseconds(milliseconds)); }

/// "203.0.0.0", "203.0.0.1", ...: as many sources as a test wants.
static GateSource nth(std::uint32_t index) {
  NetAddress address;
  address.ip[0] = 203;
  address.ip[1] = static_cast<std::uint8_t>(index >> 16);
  address.ip[2] = static_cast<std::uint8_t>(index >> 8);
  address.ip[3] = static_cast<std::uint8_t>(index);
  return GateSource::of(address);
}

}  // namespace gate_test

using namespace gate_test;  // NOLINT(google-build-using-namespace)

TEST(GateSource, TellsAddressesApartByWhatOneOwnerHas) {
  EXPECT_EQ(source("192.0.2.1"), source("192.0.2.1"));
  EXPECT_NE(source("192.0.2.1"), source("192.0.2.2"));
  EXPECT_EQ(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
  EXPECT_NE(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
  EXPECT_EQ(source("::ffff:192.0.2.1"), source("192.0.2.1"));
}

TEST(GateSource, HasNoLimitsOnThisHost) {
  EXPECT_FALSE(source("127.0.0.1").limited());
  EXPECT_FALSE(source("127.3.2.1").limited());
  EXPECT_FALSE(source("::1").limited());
  EXPECT_FALSE(source("::ffff:127.0.0.1").limited());
  EXPECT_FALSE(GateSource::of(Endpoint::unix_socket("/tmp/x")).limited());
  EXPECT_TRUE(source("10.0.0.1").limited());
  EXPECT_TRUE(source("::2").limited());
}

TEST(Gate, BoundsThoseWhoHaveNotProvedAnything) {
  GateOptions options;
  options.unauthenticated_max = 3;
  options.unauthenticated_per_source_max = 2;
  Gate gate(options);
  const GateSource a = source("192.0.2.1");
  const GateSource b = source("192.0.2.2");
  EXPECT_EQ(gate.arrive(a, at(0)), std::nullopt);
  EXPECT_EQ(gate.arrive(a, at(0)), std::nullopt);
  EXPECT_EQ(gate.arrive(a, at(0)), GateRefusal::source_unauthenticated);
  EXPECT_EQ(gate.arrive(b, at(0)), std::nullopt);
  EXPECT_EQ(gate.arrive(b, at(0)), GateRefusal::unauthenticated);
  gate.authenticate(a);
  EXPECT_EQ(gate.arrive(a, at(0)), std::nullopt);
  gate.leave(b, false);
  EXPECT_EQ(gate.arrive(b, at(0)), std::nullopt);
  EXPECT_EQ(gate.connections(), 4U);
  EXPECT_EQ(gate.unauthenticated(), 3U);
}

TEST(Gate, BoundsConnectionsThatDidProveWhoTheyAre) {
  GateOptions options;
  options.connections_max = 3;
  options.connections_per_source_max = 2;
  Gate gate(options);
  const GateSource a = source("192.0.2.1");
  const GateSource here = source("127.0.0.1");
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(gate.arrive(a, at(0)), std::nullopt);
    gate.authenticate(a);
  }
  EXPECT_EQ(gate.arrive(a, at(0)), GateRefusal::source_connections);
  EXPECT_EQ(gate.arrive_unasked(a, at(0)), GateRefusal::source_connections);
  EXPECT_EQ(gate.arrive_unasked(here, at(0)), std::nullopt);
  EXPECT_EQ(gate.arrive_unasked(here, at(0)), GateRefusal::connections);
  gate.leave(a, true);
  EXPECT_EQ(gate.arrive(a, at(0)), std::nullopt);
}

TEST(Gate, LetsASourceTryAsOftenAsItsBucketHolds) {
  GateOptions options;
  options.handshakes_per_source_per_second = 10;
  options.handshakes_burst_per_source = 5;
  Gate gate(options);
  const GateSource a = source("192.0.2.1");
  const auto attempt = [&](int milliseconds) {
    const auto refusal = gate.arrive(a, at(milliseconds));
    if (!refusal) gate.leave(a, false);
    return refusal;
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(attempt(0), std::nullopt) << i;
  EXPECT_EQ(attempt(0), GateRefusal::source_rate);
  EXPECT_EQ(attempt(99), GateRefusal::source_rate);
  EXPECT_EQ(attempt(100), std::nullopt);
  EXPECT_EQ(attempt(100), GateRefusal::source_rate);
  EXPECT_EQ(gate.arrive(source("192.0.2.2"), at(100)), std::nullopt);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(attempt(10'000), std::nullopt) << i;
  EXPECT_EQ(attempt(10'000), GateRefusal::source_rate);
  options.handshakes_per_source_per_second = 0;
  Gate open(options);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(open.arrive(a, at(0)), std::nullopt);
    open.leave(a, false);
  }
}

TEST(Gate, RemembersABoundedNumberOfSources) {
  GateOptions options;
  options.sources_max = 100;
  options.connections_max = 1000;
  options.unauthenticated_max = 1000;
  options.handshakes_per_source_per_second = 1;
  options.handshakes_burst_per_source = 1;
  Gate gate(options);
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    ASSERT_EQ(gate.arrive(nth(i), at(0)), std::nullopt);
    gate.leave(nth(i), false);
    ASSERT_LE(gate.sources(), 101U);
  }
  EXPECT_EQ(gate.sources(), 100U);
  // The last are remembered, the first forgotten.
  EXPECT_EQ(gate.arrive(nth(19'999), at(0)), GateRefusal::source_rate);
  EXPECT_EQ(gate.arrive(nth(0), at(0)), std::nullopt);
  // Who has a connection is never forgotten.
  for (std::uint32_t i = 1; i < 1000; ++i) {
    ASSERT_EQ(gate.arrive(nth(i), at(10)), std::nullopt);
    gate.leave(nth(i), false);
  }
  EXPECT_EQ(gate.arrive(nth(0), at(11)), GateRefusal::source_rate);
}

TEST(Gate, ForgetsSourcesThatOweNothing) {
  GateOptions options;
  options.handshakes_per_source_per_second = 10;
  Gate gate(options);
  for (std::uint32_t i = 0; i < 50; ++i) {
    ASSERT_EQ(gate.arrive(nth(i), at(0)), std::nullopt);
    gate.leave(nth(i), false);
  }
  EXPECT_EQ(gate.sources(), 50U);
  for (std::uint32_t i = 0; i < 50; ++i) {
    ASSERT_EQ(gate.arrive(source("127.0.0.1"), at(1000)), std::nullopt);
    gate.leave(source("127.0.0.1"), false);
  }
  EXPECT_EQ(gate.sources(), 0U);
}

TEST(Gatekeeper, CountsWhatItRefusesAndFreesPlaces) {
  GateOptions options;
  options.unauthenticated_max = 2;
  const auto keeper = std::make_shared<Gatekeeper>(options);
  std::vector<GatePass> passes;
  for (int i = 0; i < 2; ++i) {
    auto pass = Gatekeeper::admit(keeper, source("192.0.2.1"), at(0));
    ASSERT_TRUE(pass);
    passes.push_back(std::move(*pass));
  }
  const auto refused = Gatekeeper::admit(keeper, source("192.0.2.1"), at(0));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), GateRefusal::unauthenticated);
  passes[0].authenticate();
  passes[0].authenticate();
  keeper->count(GateRefusal::time);
  GateCounts counts = keeper->counts();
  EXPECT_EQ(counts.admitted, 2U);
  EXPECT_EQ(counts.authenticated, 1U);
  EXPECT_EQ(counts.connections, 2U);
  EXPECT_EQ(counts.unauthenticated, 1U);
  EXPECT_EQ(counts.refused_for(GateRefusal::unauthenticated), 1U);
  EXPECT_EQ(counts.refused_for(GateRefusal::time), 1U);
  GatePass moved = std::move(passes[0]);
  passes.clear();
  EXPECT_EQ(keeper->counts().connections, 1U);
  EXPECT_EQ(keeper->counts().unauthenticated, 0U);
  moved = GatePass();
  counts = keeper->counts();
  EXPECT_EQ(counts.connections, 0U);
  EXPECT_EQ(counts.unauthenticated, 0U);
}

TEST(Gatekeeper, LetsUnaskedOnesInUpToTheLimit) {
  GateOptions options;
  options.connections_max = 1;
  const auto keeper = std::make_shared<Gatekeeper>(options);
  {
    const auto pass = Gatekeeper::admit_unasked(keeper, GateSource(), at(0));
    ASSERT_TRUE(pass);
    EXPECT_FALSE(Gatekeeper::admit_unasked(keeper, GateSource(), at(0)));
    EXPECT_EQ(keeper->counts().unauthenticated, 0U);
  }
  EXPECT_TRUE(Gatekeeper::admit_unasked(keeper, GateSource(), at(0)));
}

}  // namespace velo::transport
