// SPDX-License-Identifier: Apache-2.0
// Packets on their way to the socket: written side by side into one buffer, and handed over in runs
// of equal size to one address, which the system cuts into datagrams. What a socket that is full
// does not take waits here; nothing more is written meanwhile.
// Threading: none of its own; the shard's thread.
#pragma once

#include "address.hpp"

#include <velo/base/network.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace velo::transport {

class PacketSender {
 public:
  /// A packet is at most this long.
  static constexpr std::size_t packet_bytes_max = 1500;

  /// `writable` is called when a socket that was full takes packets again.
  /// `any_address`: the socket is bound to all of this host's, so each packet says from which.
  void attach(DatagramSocket& socket, bool any_address, std::function<void()> writable);
  void detach() noexcept { socket_ = nullptr; }

  bool blocked() const noexcept { return blocked_; }
  /// Where to write the next packet, packet_bytes_max long; null while the socket is full.
  std::uint8_t* slot() noexcept;
  /// A packet was written to slot().
  void commit(std::size_t bytes, const QuicRoute& route);
  /// Hands over what was committed.
  void send() noexcept;
  /// One packet beside all others, for what has no connection; lost when the socket is full.
  void send_alone(ByteSpan packet, const QuicRoute& route) noexcept;

 private:
  static constexpr std::size_t buffer_bytes = std::size_t{64} << 10;
  /// What the system takes in one piece: 64 segments, and less than 64 KiB.
  static constexpr std::size_t run_packets_max = 64;
  static constexpr std::size_t run_bytes_max = 65'000;

  struct Run {
    QuicRoute route;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t packet_bytes = 0;
    bool over = false;  ///< its last packet was a shorter one
  };

  bool extend(std::size_t bytes, const QuicRoute& route) noexcept;
  IoResult hand_over(const QuicRoute& route, ByteSpan packets, std::size_t packet_bytes) noexcept;

  DatagramSocket* socket_ = nullptr;
  bool any_address_ = false;
  std::function<void()> writable_;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t used_ = 0;
  std::vector<Run> runs_;
  bool blocked_ = false;
};

}  // namespace velo::transport
