// SPDX-License-Identifier: Apache-2.0
// Test support: a transport whose lanes do not wait for each other, over one that keeps order; the
// test says which of them stand still. Not part of the library.
// Threading: the test's own thread drives the simulation.
#pragma once

#include "protocol.hpp"

#include <velo/transport/transport.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::messenger::testing {

/// A frame that was sent, as its receiver would see it.
struct Sent {
  transport::FrameType type;
  std::string name;  ///< of requests
  std::uint32_t lane;
  bool may_be_lost;
};

/// What the test does to all connections of a node: lanes that stand still, frames that are lost.
struct Road {
  std::vector<Sent> sent;
  std::set<std::uint32_t> blocked;
  bool lossy = false;

  std::vector<std::uint32_t> lanes_of(std::string_view name) const {
    std::vector<std::uint32_t> lanes;
    for (const Sent& each : sent) {
      if (each.name == name) lanes.push_back(each.lane);
    }
    return lanes;
  }
};

/// A connection whose lanes do not wait for each other.
class LanedConnection final : public transport::Connection {
 public:
  LanedConnection(transport::ConnectionPtr inner, Road& road)
      : inner_(std::move(inner)), road_(road) {}

  void start(transport::ConnectionEvents& events) override { inner_->start(events); }
  transport::SendResult send(const transport::OutFrame& frame) noexcept override {
    Sent note{frame.type, {}, frame.lane, frame.may_be_lost};
    if (frame.type == transport::FrameType::message) {
      note.name = protocol::decode_request(frame.header)->name;
    }
    road_.sent.push_back(note);
    transport::SendResult taken;
    taken.admission = transport::Admission::accepted;
    taken.end = inner_->written();
    if (frame.may_be_lost && road_.lossy) return taken;
    if (!road_.blocked.contains(frame.lane)) return inner_->send(frame);
    waiting_.push_back(
        {frame.type, Bytes::copy(frame.header), Bytes::copy(frame.payload), frame.lane});
    return taken;
  }
  /// What waits in lanes that are open again.
  void flush() {
    std::deque<Held> held = std::exchange(waiting_, {});
    for (const Held& each : held) {
      transport::OutFrame frame(each.type, each.header, each.payload);
      frame.lane = each.lane;
      if (road_.blocked.contains(each.lane)) {
        waiting_.push_back(each);
      } else {
        (void)inner_->send(frame);
      }
    }
  }
  std::uint64_t written() const noexcept override { return inner_->written(); }
  std::uint64_t queued() const noexcept override { return inner_->queued(); }
  void close(Error reason) noexcept override { inner_->close(std::move(reason)); }
  void close_after_flush(Error reason, Duration patience) noexcept override {
    inner_->close_after_flush(std::move(reason), patience);
  }
  bool keeps_order() const noexcept override { return false; }
  Shard& shard() noexcept override { return inner_->shard(); }
  std::string_view transport_key() const noexcept override { return inner_->transport_key(); }
  std::string remote() const override { return inner_->remote(); }

 private:
  struct Held {
    transport::FrameType type;
    Bytes header;
    Bytes payload;
    std::uint32_t lane;
  };
  const transport::ConnectionPtr inner_;
  Road& road_;
  std::deque<Held> waiting_;
};

class LanedTransport final : public transport::Transport, private transport::AcceptHandler {
 public:
  LanedTransport(std::unique_ptr<transport::Transport> inner, Road& road)
      : inner_(std::move(inner)), road_(road) {}

  std::string_view key() const noexcept override { return inner_->key(); }
  Result<void> start(const transport::TransportContext& context) override {
    accepts_ = &context.accepts;
    return inner_->start({context.world, context.self, *this, context.budget});
  }
  Bytes address_entry() const override { return inner_->address_entry(); }
  Result<void> check_entry(ByteSpan entry) const override { return inner_->check_entry(entry); }
  std::unique_ptr<transport::Dial> connect(Shard& shard, ByteSpan entry,
                                           transport::ConnectHandler done) override {
    return inner_->connect(
        shard, entry,
        [this, done = std::move(done)](Result<transport::ConnectionPtr> connection) mutable {
          if (connection) connection = laned(std::move(*connection));
          done(std::move(connection));
        });
  }
  void stop() noexcept override { inner_->stop(); }
  void flush() {
    for (const auto& connection : connections_) {
      static_cast<LanedConnection&>(*connection).flush();
    }
  }

 private:
  transport::ConnectionPtr laned(transport::ConnectionPtr inner) {
    auto made = transport::ConnectionPtr::adopt(new LanedConnection(std::move(inner), road_));
    connections_.push_back(made);
    return made;
  }
  void on_accepted(transport::ConnectionPtr connection) override {
    accepts_->on_accepted(laned(std::move(connection)));
  }

  const std::unique_ptr<transport::Transport> inner_;
  Road& road_;
  transport::AcceptHandler* accepts_ = nullptr;
  std::vector<transport::ConnectionPtr> connections_;
};

}  // namespace velo::messenger::testing
