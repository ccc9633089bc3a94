// SPDX-License-Identifier: Apache-2.0
// Which stream carries which frame: lane 0 has the first one, other lanes share a bounded number of
// ordered ones by their number, and frames in no order take whichever has nothing under way, so
// that what was lost of one delays no other. Streams are made when they are first needed, and stay.
// Threading: none of its own; the shard's thread.
#pragma once

#include "send_stream.hpp"

#include <velo/transport/limits.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

namespace velo::transport {

class Lanes {
 public:
  /// Puts the frame, whose head lies in `block`, on its stream.
  void append(QueuedFrame&& frame, const SendBlock& block);
  /// What follows was accepted later than all before: small frames in no order begin another group.
  void begin_batch() noexcept { group_ = nullptr; }
  /// Small frames in no order that come together travel together: as many as fit into a packet, so
  /// that one that is lost delays few. Within a host packets are lost only when a socket is full,
  /// and then all that follow are: there a stream carries more of them, as each that is begun costs
  /// time at both ends.
  void group_within_host() noexcept { group_bytes_max_ = group_bytes_within_host; }

  /// The stream whose turn it is and that is not blocked; null if there is none.
  SendStream* next() noexcept;
  /// Whether another one than `stream` has something to send and is not blocked.
  bool others_than(const SendStream& stream) const noexcept;
  /// The stream has sent its part of a packet: the next one's turn.
  void rotate() noexcept;
  /// Whether any stream has something to send, blocked or not.
  bool pending() const noexcept;
  /// New windows may have opened: everybody tries again.
  void unblock() noexcept;

  /// The lowest place that was not sent, or `otherwise` if everything was.
  std::uint64_t unsent_position(std::uint64_t otherwise) const noexcept;
  /// The highest place that was sent.
  std::uint64_t sent_position() const noexcept;
  std::uint64_t unsent() const noexcept;
  std::uint64_t unacknowledged() const noexcept;
  std::size_t opened() const noexcept;

 private:
  /// About a packet.
  static constexpr std::size_t group_bytes = 1300;
  static constexpr std::size_t group_bytes_within_host = std::size_t{16} << 10;
  static constexpr std::size_t ordered_first = 1;
  static constexpr std::size_t unordered_first = ordered_first + limits::quic_ordered_streams_max;
  static constexpr std::size_t streams_max = unordered_first + limits::quic_unordered_streams_max;

  SendStream& stream_of(std::uint32_t lane, std::size_t bytes);
  SendStream& least_busy();
  SendStream& at(std::size_t index);

  std::array<std::unique_ptr<SendStream>, streams_max> streams_;
  std::size_t unordered_ = 0;       ///< how many of those in no order there are
  std::size_t unordered_last_ = 0;  ///< the one that was taken last
  SendStream* group_ = nullptr;
  std::size_t group_bytes_ = 0;
  std::size_t group_bytes_max_ = group_bytes;
  std::deque<SendStream*> line_;  ///< those that have something to send, in turn
};

}  // namespace velo::transport
