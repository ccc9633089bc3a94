// SPDX-License-Identifier: Apache-2.0
// Sender: the shared state behind a StreamSender: its slot, the one item that waits for credit, and
// its end. What happens to it is decided under the lock of its connection.
// Threading: any thread; members marked so only under the connection's lock.
#pragma once

#include <velo/base/op.hpp>
#include <velo/streaming/frame.hpp>
#include <velo/streaming/handle.hpp>

#include "mux_batch.hpp"

#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <utility>

namespace velo::streaming {

class PeerMux;

class Sender {
 public:
  Sender(std::shared_ptr<PeerMux> mux, Slot slot, StreamAnchorHandle handle) noexcept
      : mux_(std::move(mux)), slot_(slot), handle_(handle) {}
  Sender(const Sender&) = delete;

  const StreamAnchorHandle& handle() const noexcept { return handle_; }
  Slot slot() const noexcept { return slot_; }
  std::stop_token stop_token() const { return stop_.get_token(); }

  static Op<void> send(const std::shared_ptr<Sender>& sender, ByteSpan frame);
  Result<void> try_send(ByteSpan frame);
  Op<void> end(FrameKind kind);
  /// The user has dropped it.
  void drop() noexcept;

 private:
  friend class PeerMux;

  const std::shared_ptr<PeerMux> mux_;
  const Slot slot_;
  const StreamAnchorHandle handle_;
  std::stop_source stop_;

  // Under the connection's lock.
  std::optional<Promise<void>> waiting_;
  std::optional<Promise<void>> ending_;
  std::optional<Error> over_;  ///< why nothing can be sent
};

/// Operations of senders that ended, to be published once no lock is held.
struct EndedSends {
  struct One {
    Promise<void> promise;
    Result<void> result;
  };
  std::vector<One> operations;
  std::vector<std::stop_source> stops;

  void publish() {
    for (One& one : operations) one.promise.set(std::move(one.result));
    for (std::stop_source& stop : stops) stop.request_stop();
  }
};

}  // namespace velo::streaming
