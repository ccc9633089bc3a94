// SPDX-License-Identifier: Apache-2.0
// A host with several addresses: who was reached at one of them answers from there, with a
// connection and without.

#include "testing/quic_testing.hpp"

#include <velo/transport/conformance/driver.hpp>
#include <velo/transport/interfaces.hpp>
#include <velo/transport/transport.hpp>

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport {
namespace quic_addresses_test {

/// Sends back what comes; counts what comes.
class Side final : public AcceptHandler, private ConnectionEvents {
 public:
  Side(conformance::Driver& driver, bool echoes) : driver_(driver), echoes_(echoes) {}
  void on_accepted(ConnectionPtr connection) override { take(std::move(connection)); }
  void take(ConnectionPtr connection) {
    const std::lock_guard lock(driver_.mutex());
    connection->start(*this);
    connections.push_back(std::move(connection));
    driver_.notify();
  }

  // Under the driver's lock.
  std::vector<ConnectionPtr> connections;
  std::size_t frames = 0;
  std::size_t bytes = 0;
  std::size_t closed = 0;

 private:
  void on_frame(Connection& from, const InFrame& frame) override {
    if (echoes_) from.send(OutFrame(FrameType::event, frame.header(), frame.retain_payload()));
    const std::lock_guard lock(driver_.mutex());
    ++frames;
    bytes += frame.payload().size();
    driver_.notify();
  }
  void on_written(Connection&) noexcept override {}
  void on_closed(Connection&, const Error&) override {
    const std::lock_guard lock(driver_.mutex());
    ++closed;
    driver_.notify();
  }

  conformance::Driver& driver_;
  const bool echoes_;
};

class QuicAddresses : public testing::Test {
 protected:
  void start(QuicOptions options, const char* any) {
    options.bind = Endpoint::tcp(any, 0);
    transports_[0] = make_quic(std::move(options));
    QuicOptions of_client = quic_testing::options(21);
    of_client.bind.reset();
    transports_[1] = make_quic(std::move(of_client));
    for (const std::size_t side : {0U, 1U}) {
      World& world = driver_->world(side);
      ASSERT_TRUE(transports_[side]->start(
          TransportContext(world, InstanceId::random(world.random()), *sides_[side],
                           std::make_shared<MemoryBudget>())));
    }
    port_ = parse_interface_endpoints(transports_[0]->address_entry(), "quic")->front().port;
  }
  void TearDown() override {
    std::vector<ConnectionPtr> all;
    for (const auto& side : sides_) {
      const std::lock_guard lock(driver_->mutex());
      all.insert(all.end(), side->connections.begin(), side->connections.end());
    }
    for (const ConnectionPtr& one : all) one->close(make_error(Errc::closed_locally));
    all.clear();
    EXPECT_TRUE(driver_->wait([&] {
      return sides_[0]->closed == sides_[0]->connections.size() &&
             sides_[1]->closed == sides_[1]->connections.size();
    }));
    dials_.clear();
    for (const auto& side : sides_) side->connections.clear();
    for (const auto& transport : transports_) {
      if (transport != nullptr) transport->stop();
    }
  }

  /// Null when it succeeded.
  std::optional<Error> connect(const std::string& host) {
    const InterfaceEndpoint one("", host, port_, 32);
    const Bytes entry = encode_interface_endpoints(std::span(&one, 1));
    std::optional<std::optional<Error>> outcome;
    dials_.push_back(
        transports_[1]->connect(driver_->world(1).shard(0), entry, [&](Result<ConnectionPtr> made) {
          if (made) sides_[1]->take(*made);
          const std::lock_guard lock(driver_->mutex());
          outcome = made ? std::nullopt : std::optional(made.error());
          driver_->notify();
        }));
    if (!driver_->wait([&] { return outcome.has_value(); })) {
      return make_error(Errc::connect_failed, "the attempt never ended");
    }
    return *outcome;
  }

  std::unique_ptr<conformance::Driver> driver_ = conformance::make_real_driver();
  std::array<std::unique_ptr<Side>, 2> sides_{std::make_unique<Side>(*driver_, true),
                                              std::make_unique<Side>(*driver_, false)};
  std::array<std::unique_ptr<Transport>, 2> transports_;
  std::vector<std::unique_ptr<Dial>> dials_;
  std::uint16_t port_ = 0;
};

}  // namespace quic_addresses_test

using namespace quic_addresses_test;  // NOLINT(google-build-using-namespace)

TEST_F(QuicAddresses, WhoIsReachedAtOneOfThemAnswersFromThere) {
  start(quic_testing::options(20), "0.0.0.0");
  constexpr std::size_t payload_bytes = 200'000;
  std::size_t expected = 0;
  for (const char* host : {"127.0.0.1", "127.0.0.2", "127.1.2.3"}) {
    const auto failed = connect(host);
    ASSERT_FALSE(failed.has_value()) << host << ": " << failed->to_string();
    const ConnectionPtr& made = sides_[1]->connections.back();
    EXPECT_EQ(made->remote(), Endpoint::tcp(host, port_).to_string());
    ASSERT_EQ(made->send(OutFrame(FrameType::event, as_bytes("h"),
                                  Bytes::own(std::string(payload_bytes, 'p'))))
                  .admission,
              Admission::accepted);
    ++expected;
    ASSERT_TRUE(driver_->wait([&] { return sides_[1]->frames == expected; })) << host;
    EXPECT_EQ(sides_[1]->bytes, expected * payload_bytes);
  }
}

TEST_F(QuicAddresses, RetryAndRefusalsComeFromThereToo) {
  QuicOptions options = quic_testing::options(20);
  options.always_retry = true;
  options.gate.connections_max = 1;
  start(std::move(options), "0.0.0.0");
  const auto failed = connect("127.0.0.2");
  ASSERT_FALSE(failed.has_value()) << failed->to_string();
  EXPECT_EQ(quic_counts(*transports_[0])->retries_sent, 1U);
  const auto refused = connect("127.0.0.3");
  ASSERT_TRUE(refused.has_value());
  EXPECT_TRUE(refused->is(Errc::connect_failed)) << refused->to_string();
  EXPECT_NE(refused->context().find("closed the connection"), std::string::npos)
      << "refused by word, and not by silence: " << refused->to_string();
}

TEST_F(QuicAddresses, AnIPv6HostAnswersFromWhereItWasReached) {
  auto probe = driver_->world(0).network().bind_datagram(driver_->world(0).shard(0),
                                                         Endpoint::tcp("::1", 0), {});
  if (!probe) GTEST_SKIP() << "no IPv6 here";
  driver_->run_on(driver_->world(0).shard(0), [&] { probe->reset(); });
  start(quic_testing::options(20), "::");
  const auto failed = connect("::1");
  ASSERT_FALSE(failed.has_value()) << failed->to_string();
}

TEST_F(QuicAddresses, TheEntryIsAssessedAsPrivateWhereverItLeads) {
  start(quic_testing::options(20), "127.0.0.1");
  const InterfaceEndpoint far("", "192.0.2.7", 443, 32);
  const Reach there = transports_[1]->assess(encode_interface_endpoints(std::span(&far, 1)));
  EXPECT_TRUE(there.is_private) << "always encrypted";
  const Reach here = transports_[1]->assess(transports_[0]->address_entry());
  EXPECT_TRUE(here.is_private);
  EXPECT_NE(here, there);
  EXPECT_EQ(transports_[1]->assess(as_bytes("garbage")), Reach());
}

}  // namespace velo::transport
