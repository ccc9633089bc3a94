// SPDX-License-Identifier: Apache-2.0
// What one QUIC stream has to carry: segments that stay where they are until they are acknowledged,
// how far they were put into packets, and which place each byte has among all that the connection
// accepted.
// Threading: none of its own; the shard's thread.
#pragma once

#include "queued_frame.hpp"

#include <velo/base/bytes.hpp>

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

namespace velo::transport {

class SendStream {
 public:
  std::int64_t id = -1;  ///< of the stream; negative until it is opened
  bool blocked = false;  ///< its window is used up, as of this flush
  bool in_turn = false;  ///< stands in the line of streams that have something to send

  void append(QueuedFrame&& frame, const SendBlock& block);

  bool pending() const noexcept { return sent_ < end_; }
  std::uint64_t unsent() const noexcept { return end_ - sent_; }
  std::uint64_t unacknowledged() const noexcept { return end_ - acknowledged_; }

  /// Fills `out` with what is to be sent next; how many there are, and whether that is all.
  struct Gathered {
    std::size_t count = 0;
    bool all = true;
  };
  Gathered gather(std::span<iovec> out) const noexcept;
  /// `bytes` more were put into packets.
  void advance(std::size_t bytes) noexcept;
  /// Everything before `offset` of the stream was acknowledged; returns how much that frees.
  std::uint64_t acknowledge(std::uint64_t offset) noexcept;

  /// The place of the first byte that was not sent; the stream is pending().
  std::uint64_t unsent_position() const noexcept;
  /// The place behind the last byte that was sent; 0 if there was none.
  std::uint64_t sent_position() const noexcept {
    return pending() && !runs_.empty() && runs_.front().begin < sent_ ? unsent_position()
                                                                      : sent_position_;
  }

 private:
  struct Segment {
    const std::byte* data = nullptr;
    std::size_t size = 0;
    SendBlock block;
    Bytes payload;
  };
  /// Bytes [begin, end) of the stream that lie side by side among all that was accepted.
  struct Run {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t end_position = 0;
  };

  void append_head(const QueuedFrame& frame, const SendBlock& block);
  void append_run(std::size_t size, std::uint64_t end_position);

  std::deque<Segment> segments_;  ///< from the first that is not acknowledged
  std::size_t next_ = 0;          ///< the one that is sent next
  std::size_t next_offset_ = 0;   ///< how much of it was sent
  std::size_t front_acknowledged_ = 0;
  std::deque<Run> runs_;  ///< of what was not sent
  std::uint64_t end_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t sent_position_ = 0;
};

}  // namespace velo::transport
