// SPDX-License-Identifier: Apache-2.0
// A connected socket as a ByteStream: level-triggered for reading, for writing only after
// want_write(). Not a buffer: every call is at most one system call that moves bytes.
// Threading: as ByteStream says. close() only shuts the connection down, so that a thread that is writing never meets
// another connection's descriptor; the destructor closes the descriptor.
#pragma once

#include <velo/base/network.hpp>

#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "descriptor.hpp"
#include "epoll_shard.hpp"

namespace velo::runtime {

class SocketStream final : public ByteStream, public EventSource {
 public:
  /// `socket` is connected and non-blocking.
  SocketStream(EpollShard& shard, Descriptor socket, Endpoint remote) noexcept;
  ~SocketStream() override;

  void attach(StreamEvents& events) override;
  IoResult try_read(std::span<std::byte> into) noexcept override;
  IoResult try_write(std::span<const iovec> from) noexcept override;
  void want_write() noexcept override;
  void close() noexcept override;
  Shard& shard() noexcept override { return shard_; }
  Endpoint remote() const override { return remote_; }
  std::optional<PeerCredentials> peer_credentials() const override;

  void on_events(std::uint32_t events) override;

  int descriptor() const noexcept { return socket_.get(); }
  /// The socket, for another use; before attach().
  Descriptor release() noexcept { return std::move(socket_); }

 private:
  /// Detached: not in epoll yet, or no longer.
  enum class State : std::uint8_t { detached, watched, closed };

  /// Adds and removes EPOLLIN, EPOLLOUT. True if anything changed.
  bool change_interest(std::uint32_t add, std::uint32_t remove) noexcept;
  void stop_watching(State next) noexcept;

  EpollShard& shard_;
  Descriptor socket_;
  StreamEvents* events_ = nullptr;
  bool finished_ = false;      ///< end of stream or an error was read; shard's thread
  int watch_error_ = 0;        ///< why epoll refused the socket
  Shard::TimerId notice_ = 0;  ///< that tells the owner of it
  std::mutex mutex_;  ///< a writer's want_write() against the shard; never held while bytes move
  State state_ = State::detached;
  std::uint32_t interest_;
  Endpoint remote_;
};

}  // namespace velo::runtime
