// SPDX-License-Identifier: Apache-2.0
// One end of a connection in a scenario: records what it is told, and lets the scenario act inside
// the callbacks.
// Threading: hooks are set before the connection starts; records are read under the driver's mutex, or inside wait().
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/transport/conformance/driver.hpp>
#include <velo/transport/connection.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::transport::conformance {

struct Received {
  FrameType type = FrameType::message;
  std::string header;
  Bytes payload;
  std::size_t dropped_bytes = 0;
};

class Party final : public ConnectionEvents {
 public:
  explicit Party(Driver& driver) : driver_(driver) {}

  // Hooks, called after recording.
  std::function<void(Connection&, const InFrame&)> frame_hook;
  std::function<void(Connection&)> written_hook;
  std::function<void(Connection&, const Error&)> closed_hook;
  bool keep_frames = true;

  // Records.
  std::vector<Received> frames;
  std::size_t frame_count = 0;
  std::uint64_t payload_bytes = 0;
  std::size_t closed_count = 0;
  std::optional<Error> closed;
  std::size_t late_events = 0;  ///< after on_closed

  ConnectionPtr connection;

  void start(ConnectionPtr with) {
    connection = std::move(with);
    connection->start(*this);
  }

  SendResult send(FrameType type, std::string_view header, std::string_view payload) {
    return connection->send({type, as_bytes(header), as_bytes(payload)});
  }
  SendResult send(FrameType type, std::string_view header, const Bytes& payload) {
    return connection->send({type, as_bytes(header), payload});
  }
  /// Runs a callable on the connection's shard and waits for it.
  void on_shard(const std::function<void()>& task) { driver_.run_on(connection->shard(), task); }

  bool wait_closed() {
    return driver_.wait([this] { return closed_count > 0; });
  }
  bool wait_frames(std::size_t count) {
    return driver_.wait([this, count] { return frame_count >= count; });
  }

  void on_frame(Connection& with, const InFrame& frame) override {
    {
      const std::lock_guard lock(driver_.mutex());
      if (closed_count > 0) ++late_events;
      ++frame_count;
      payload_bytes += frame.payload().size();
      if (keep_frames) {
        frames.push_back({frame.type(), std::string(as_text(frame.header())),
                          frame.retain_payload(), frame.dropped_bytes()});
      }
      driver_.notify();
    }
    if (frame_hook) frame_hook(with, frame);
  }

  void on_written(Connection& with) noexcept override {
    if (closed_seen_.load()) late_writes_.fetch_add(1);
    if (written_hook) written_hook(with);
  }

  void on_closed(Connection& with, const Error& reason) override {
    closed_seen_.store(true);
    if (closed_hook) closed_hook(with, reason);
    const std::lock_guard lock(driver_.mutex());
    ++closed_count;
    closed = reason;
    driver_.notify();
  }

  std::size_t late_writes() const { return late_writes_.load(); }

 private:
  Driver& driver_;
  std::atomic<bool> closed_seen_{false};
  std::atomic<std::size_t> late_writes_{0};
};

}  // namespace velo::transport::conformance
