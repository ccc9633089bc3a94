// SPDX-License-Identifier: Apache-2.0
// A Connection over QUIC: what other threads touch, and the life of the whole. Frames are queued
// under a lock by whoever sends, and put into packets by the shard, once at the end of its turn.
//
// Positions. Frames are numbered by bytes in the order in which they were accepted, whatever lane
// they are of. written() is the place of the first byte that is in no packet yet: a frame that went
// ahead of an earlier one of another lane counts when that one has left, too. When the connection
// ends, written() moves behind the last byte that was put into a packet, so that end > written()
// means that the frame never left, as the contract says.
//
// Memory. What was accepted is charged until the other end has acknowledged it, since it is kept
// until then, in case it has to be sent again.
// Threading: as Connection says. Members below are marked by what guards them.
#pragma once

#include "queued_frame.hpp"
#include "session.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/connection.hpp>
#include <velo/transport/gatekeeper.hpp>
#include <velo/transport/transport.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::transport {

class QuicContext;
class QuicEndpoint;

class QuicConnection final : public Connection {
 public:
  /// `outcome` is told, on the shard, of the connection once both ends have proved who they are, or
  /// why that did not come about.
  QuicConnection(std::shared_ptr<QuicEndpoint> endpoint, const NetAddress& remote,
                 ConnectHandler outcome, Duration handshake_time, std::uint64_t number);

  // Connection.
  void start(ConnectionEvents& events) override;
  SendResult send(const OutFrame& frame) noexcept override;
  std::uint64_t written() const noexcept override {
    return written_.load(std::memory_order_seq_cst);
  }
  std::uint64_t queued() const noexcept override;
  void close(Error reason) noexcept override { end(std::move(reason), Ending::now); }
  void close_after_flush(Error reason, Duration patience) noexcept override;
  const ConnectionSecurity& security() const noexcept override { return security_; }
  Shard& shard() noexcept override { return shard_; }
  std::string_view transport_key() const noexcept override { return "quic"; }
  bool keeps_order() const noexcept override { return false; }
  std::string remote() const override { return remote_; }
  QuicConnectionCounts counts() const;

  // Everything below: the shard only.

  /// Begins the handshake, on the way in if `arrival` is given. False: it ends at once.
  bool begin(const QuicRoute& route, const QuicSession::Arrival* arrival, GatePass pass);
  void receive(const QuicRoute& from, ByteSpan datagram);
  void flush();
  void park();
  /// The dialler is no longer interested.
  void abandon() noexcept;
  /// The transport stopped, and this has not been handed over yet.
  void refuse() noexcept;
  bool established() const noexcept { return established_; }
  /// It came to us.
  bool is_incoming() const noexcept { return incoming_; }
  /// Under which the endpoint knows it.
  std::uint64_t number() const noexcept { return number_; }
  bool finished() const noexcept { return finished_; }
  /// The other end is there now.
  bool is_with(const NetAddress& address) const noexcept {
    return session_ != nullptr && session_->route().there == address;
  }

  // For the session.
  void collect(std::vector<QueuedFrame>& into) noexcept;
  bool deliver(const InFrame& frame);
  bool ended() const noexcept { return ended_.load(std::memory_order_relaxed); }
  void establish(ConnectionSecurity security);
  void fail(Error error, GateRefusal reason) noexcept;
  /// Everything before `position` is in packets.
  void wrote(std::uint64_t position) noexcept;
  /// `bytes` arrived, or need not arrive any more.
  void settle(std::uint64_t bytes) noexcept;

  bool scheduled = false;  ///< the endpoint will flush it

  std::atomic<std::uint64_t> datagrams_sent{0};
  std::atomic<std::uint64_t> datagrams_acknowledged{0};
  std::atomic<std::uint64_t> datagrams_lost{0};
  std::atomic<std::uint64_t> datagrams_dropped{0};
  std::atomic<std::uint64_t> datagrams_received{0};
  std::atomic<std::uint64_t> streams_opened{0};
  std::atomic<std::uint64_t> packets_lost{0};
  std::atomic<std::uint64_t> path_changes{0};

 private:
  enum class Ending : std::uint8_t { none, after_flush, now };

  ~QuicConnection() override;

  SendResult refused(Admission admission, FrameType type, std::uint64_t size) noexcept;
  void wake() noexcept;
  void woken() noexcept;
  void end(Error reason, Ending ending) noexcept;
  void start_drain(Duration patience);
  void finish() noexcept;
  void tell_end(const Error& reason);
  void arm();
  void timer_fired();
  template <void (QuicConnection::*Method)() noexcept>
  void post_retained() noexcept {
    retain();
    shard_.post(Task0{[](void* argument) {
                        auto* self = static_cast<QuicConnection*>(argument);
                        (self->*Method)();
                        self->release();
                      },
                      this});
  }

  Shard& shard_;
  const std::string remote_;
  const std::uint64_t number_;
  ConnectionSecurity security_;  ///< set before the connection is handed over

  static constexpr std::uint64_t not_ended = UINT64_MAX;
  std::atomic<std::uint64_t> accepted_{0};  ///< changed under mutex_
  std::atomic<std::uint64_t> written_{0};   ///< changed by the shard
  std::atomic<std::uint64_t> settled_{0};   ///< bytes that are kept no longer; changed by the shard
  std::atomic<std::uint64_t> left_unwritten_{not_ended};
  std::atomic<bool> ended_{false};  ///< Ending::now was asked for: deliver no more frames
  Allowance allowance_;             ///< for what is accepted and not settled

  // Guarded by mutex_.
  std::mutex mutex_;
  FrameInbox inbox_;
  Ending ending_ = Ending::none;
  bool open_ = false;
  bool wake_pending_ = false;
  std::optional<Error> reason_;

  // Owned by the shard.
  std::shared_ptr<QuicEndpoint> endpoint_;
  std::unique_ptr<QuicSession> session_;
  ConnectHandler outcome_;
  GatePass pass_;
  ConnectionEvents* events_ = nullptr;
  TimePoint handshake_deadline_;
  bool incoming_ = false;
  bool established_ = false;
  bool draining_ = false;
  bool finished_ = false;
  std::optional<Shard::TimerId> timer_;
  TimePoint timer_at_;
  std::optional<Shard::TimerId> patience_timer_;
};

}  // namespace velo::transport
