// SPDX-License-Identifier: Apache-2.0
// Setting a scenario up, and what is checked when it is torn down.

#include "stage.hpp"

#include <velo/transport/stream_transport.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <utility>

namespace velo::transport::conformance {

Stage::Stage(std::unique_ptr<Driver> driver, std::unique_ptr<Kit> kit)
    : driver_(std::move(driver)), kit_(std::move(kit)) {
  for (std::size_t side = 0; side < 2; ++side) {
    transports_[side] = kit_->make(side);
    const InstanceId self = InstanceId::random(world(side).random());
    const Result<void> started =
        transports_[side]->start(TransportContext(world(side), self, *this, budgets_[side]));
    EXPECT_TRUE(started) << started.error().to_string();
  }
  entry_ = transports_[0]->address_entry();
}

Stage::~Stage() {
  close_all();
  stop(1);
  stop(0);
}

void Stage::stop(std::size_t side) {
  if (transports_[side] == nullptr) return;
  transports_[side]->stop();
  transports_[side].reset();
}

std::size_t Stage::live_connections() const {
  std::size_t live = 0;
  for (const auto& transport : transports_) {
    const auto* streams = dynamic_cast<const StreamTransport*>(transport.get());
    if (streams != nullptr) live += streams->connection_count();
  }
  return live;
}

void Stage::close_all() {
  std::deque<Party*> all;
  {
    const std::lock_guard lock(driver_->mutex());
    for (const auto& party : parties_) all.push_back(party.get());
  }
  for (Party* party : all) {
    if (party->connection) party->connection->close(make_error(Errc::closed_locally, "torn down"));
  }
  for (Party* party : all) {
    if (!party->connection) continue;
    EXPECT_TRUE(party->wait_closed()) << party->connection->remote();
    const std::lock_guard lock(driver_->mutex());
    EXPECT_EQ(party->closed_count, 1U);
    EXPECT_EQ(party->late_events, 0U);
    EXPECT_EQ(party->late_writes(), 0U);
    EXPECT_EQ(party->connection->send({FrameType::message, {}, ByteSpan()}).admission,
              Admission::closed);
    party->connection = ConnectionPtr();
  }
  EXPECT_TRUE(wait([this] { return live_connections() == 0; }));
  for (Party* party : all) party->frames.clear();
  for (const auto& budget : budgets_) {
    EXPECT_TRUE(wait([&budget] { return budget->used() == 0; })) << budget->used() << " bytes";
  }
}

Party& Stage::add_party() {
  const std::lock_guard lock(driver_->mutex());
  return *parties_.emplace_back(std::make_unique<Party>(*driver_));
}

void Stage::on_accepted(ConnectionPtr connection) {
  if (accept && !accept()) return;
  Party& party = add_party();
  if (prepare_server) prepare_server(party);
  party.start(std::move(connection));
  const std::lock_guard lock(driver_->mutex());
  accepted_.push_back(&party);
  driver_->notify();
}

std::size_t Stage::accepted_count() {
  const std::lock_guard lock(driver_->mutex());
  return accepted_.size();
}

Party& Stage::accepted(std::size_t index) {
  const bool arrived = wait([this, index] { return accepted_.size() > index; });
  EXPECT_TRUE(arrived) << "no connection was accepted";
  if (!arrived) return add_party();
  const std::lock_guard lock(driver_->mutex());
  return *accepted_[index];
}

Result<Party*> Stage::dial(ByteSpan entry) {
  Party& party = add_party();
  std::optional<Result<Party*>> outcome;
  Shard& shard = world(1).shard(0);
  std::unique_ptr<Dial> dial =
      transports_[1]->connect(shard, entry, [&](Result<ConnectionPtr> connection) {
        EXPECT_TRUE(shard.on_this_thread());
        if (connection) {
          if (prepare_client) prepare_client(party);
          party.start(std::move(*connection));
        }
        {
          const std::lock_guard lock(driver_->mutex());
          EXPECT_FALSE(outcome.has_value());
          if (connection) {
            outcome.emplace(&party);
          } else {
            outcome.emplace(connection.error());
          }
          driver_->notify();
        }
      });
  EXPECT_TRUE(wait([&] { return outcome.has_value(); }));
  driver_->run_on(shard, [&] { dial.reset(); });
  if (!outcome) return velo::make_error(velo::Errc::internal, "the attempt never ended");
  return std::move(*outcome);
}

Stage::Ends Stage::connect() {
  const std::size_t before = accepted_count();
  const Result<Party*> client = dial(entry_);
  EXPECT_TRUE(client) << client.error().to_string();
  Party& server = accepted(before);
  return {client ? **client : add_party(), server};
}

std::unique_ptr<RawPeer> Stage::connect_raw() {
  auto peer = std::make_unique<RawPeer>(*driver_, *kit_, world(1), entry_);
  EXPECT_TRUE(peer->connected());
  return peer;
}

}  // namespace velo::transport::conformance
