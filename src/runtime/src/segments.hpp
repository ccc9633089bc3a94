// SPDX-License-Identifier: Apache-2.0
// Datagrams in bulk: many of one size sent with one call, which the system cuts (UDP segmentation
// offload), and received with one call, glued together by it (receive offload) and cut again here.
// Without the system's help each datagram has a call of its own, or several share one. Not sockets:
// whoever has one uses these.
// Threading: one thread at a time.
#pragma once

#include <velo/base/network.hpp>

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "socket_address.hpp"

namespace velo::runtime {

/// Both ends of what is sent.
struct SegmentRoute {
  const NetAddress* from = nullptr;  ///< null: the system chooses
  SocketAddress to;
};

class SegmentSender {
 public:
  /// As DatagramSocket::try_send_segments().
  IoResult send(int fd, const SegmentRoute& route, ByteSpan datagrams,
                std::size_t segment_bytes) noexcept;
  /// Whether the system still cuts; it says no the first time that it is asked.
  bool offload() const noexcept { return offload_; }

 private:
  IoResult send_run(int fd, const SegmentRoute& route, ByteSpan run,
                    std::size_t segment_bytes) noexcept;

  bool offload_ = true;
};

class SegmentReader {
 public:
  SegmentReader();

  /// One call: how many messages came, each perhaps of several datagrams; negative: errno.
  int receive(int fd) noexcept;
  /// More may wait.
  bool was_full(int count) const noexcept { return count == static_cast<int>(messages_max); }
  SocketAddress& from(std::size_t index) noexcept { return from_.at(index); }
  msghdr& message(std::size_t index) noexcept { return messages_.at(index).msg_hdr; }
  ByteSpan contents(std::size_t index) const noexcept {
    return {buffer_.get() + index * message_bytes_max, messages_.at(index).msg_len};
  }
  /// How long each datagram of the message is, but for the last; all of it when it is one.
  std::size_t segment_bytes(std::size_t index) noexcept;

 private:
  static constexpr std::size_t messages_max = 4;
  /// What the system glues together is no longer than one datagram may be.
  static constexpr std::size_t message_bytes_max = 65536;

  std::array<mmsghdr, messages_max> messages_{};
  std::array<iovec, messages_max> vectors_{};
  std::array<SocketAddress, messages_max> from_{};
  struct Control {
    alignas(cmsghdr) std::array<std::byte, 256> bytes{};
  };
  std::array<Control, messages_max> control_{};
  std::unique_ptr<std::byte[]> buffer_;
};

}  // namespace velo::runtime
