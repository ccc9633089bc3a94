// SPDX-License-Identifier: Apache-2.0
// Runs of packets.

#include "packet_sender.hpp"

#include <span>
#include <utility>

namespace velo::transport {

void PacketSender::attach(DatagramSocket& socket, bool any_address,
                          std::function<void()> writable) {
  socket_ = &socket;
  any_address_ = any_address;
  writable_ = std::move(writable);
}

std::uint8_t* PacketSender::slot() noexcept {
  if (blocked_) return nullptr;
  if (buffer_ == nullptr) buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(buffer_bytes);
  if (buffer_bytes - used_ < packet_bytes_max) {
    send();
    if (blocked_) return nullptr;
  }
  return buffer_.get() + used_;
}

bool PacketSender::extend(std::size_t bytes, const QuicRoute& route) noexcept {
  if (runs_.empty()) return false;
  Run& run = runs_.back();
  const std::size_t length = run.end - run.begin;
  if (run.over || run.route != route || bytes > run.packet_bytes ||
      length + bytes > run_bytes_max || length / run.packet_bytes >= run_packets_max) {
    return false;
  }
  run.end += bytes;
  run.over = bytes < run.packet_bytes;
  return true;
}

void PacketSender::commit(std::size_t bytes, const QuicRoute& route) {
  if (!extend(bytes, route)) runs_.push_back({route, used_, used_ + bytes, bytes, false});
  used_ += bytes;
}

void PacketSender::send() noexcept {
  if (blocked_ || socket_ == nullptr) return;
  for (auto run = runs_.begin(); run != runs_.end(); ++run) {
    while (run->begin < run->end) {
      const auto* from = reinterpret_cast<const std::byte*>(buffer_.get() + run->begin);
      const IoResult result =
          hand_over(run->route, ByteSpan(from, run->end - run->begin), run->packet_bytes);
      if (result.status == IoResult::Status::ok) {
        run->begin += result.bytes;
      } else if (result.status == IoResult::Status::would_block) {
        runs_.erase(runs_.begin(), run);
        blocked_ = true;
        socket_->want_write([this] {
          blocked_ = false;
          send();
          if (!blocked_) writable_();
        });
        return;
      } else {
        // No way there, or too large for it: to the peer these packets were lost.
        run->begin = run->end;
      }
    }
  }
  runs_.clear();
  used_ = 0;
}

void PacketSender::send_alone(ByteSpan packet, const QuicRoute& route) noexcept {
  if (blocked_ || socket_ == nullptr) return;
  static_cast<void>(hand_over(route, packet, packet.size()));
}

IoResult PacketSender::hand_over(const QuicRoute& route, ByteSpan packets,
                                 std::size_t packet_bytes) noexcept {
  if (!any_address_) return socket_->try_send_segments(route.there, packets, packet_bytes);
  return socket_->try_send_segments_from(route.here, route.there, packets, packet_bytes);
}

}  // namespace velo::transport
