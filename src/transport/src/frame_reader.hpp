// SPDX-License-Identifier: Apache-2.0
// Reassembles frames from a stream: says where to read next, and delivers the frames that became
// whole. Small frames are parsed in place in a scratch buffer that all connections of a shard
// share; a large frame is read into a block of its own, which then travels on without a copy.
// Between turns a reader holds at most one partial frame. Not I/O: whoever reads puts the bytes
// into space().
// Threading: none of its own; one thread at a time.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/transport/framing.hpp>
#include <velo/transport/limits.hpp>

#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace velo::transport {

class FrameReader {
 public:
  /// An incomplete frame at least this long gets its own block at once...
  static constexpr std::size_t own_block_bytes_min = std::size_t{64} << 10;
  /// ...and one at least this long when the turn ends before it is whole.
  static constexpr std::size_t parked_block_bytes_min = limits::shared_payload_bytes_min;
  /// Room beyond the frame in its block: a read that fills less of it was the last one, without
  /// asking again.
  static constexpr std::size_t block_slack_bytes = 1024;

  /// Begins a turn with the shared buffer, which must hold own_block_bytes_min at least.
  void begin(std::span<std::byte> scratch) noexcept {
    scratch_ = scratch;
    used_ = saved_.size();
    if (used_ == 0) return;
    std::memcpy(scratch_.data(), saved_.data(), used_);
    saved_.clear();
    if (saved_.capacity() > saved_bytes_kept) std::vector<std::byte>().swap(saved_);
  }

  /// Where to read next; never empty within a turn.
  std::span<std::byte> space() noexcept {
    return block_ ? block_->free_space() : scratch_.subspan(used_);
  }

  /// `bytes` were read into space(). Calls `deliver(const InFrame&) -> bool` for each whole frame;
  /// false stops, and the rest is forgotten. The reader must not be used after a fault.
  template <class Deliver>
  FrameFault commit(std::size_t bytes, Deliver&& deliver) {
    if (!block_) {
      used_ += bytes;
      return parse(deliver);
    }
    block_->commit(bytes);
    if (block_->size() < block_frame_bytes_) return FrameFault::none;
    const Bytes block = std::move(*block_).take();
    block_.reset();
    FrameParser parser(block.span());
    static_cast<void>(parser.next());
    const std::size_t behind = block.size() - block_frame_bytes_;
    if (behind > 0) std::memcpy(scratch_.data(), block.data() + block_frame_bytes_, behind);
    used_ = behind;
    if (!deliver(InFrame(parser.type(), parser.header(), parser.payload(), &block))) {
      used_ = 0;
      return FrameFault::none;
    }
    return parse(deliver);
  }

  /// Ends the turn: what is left of the scratch buffer is saved, and the buffer is no longer
  /// touched.
  void park();

  /// Forgets everything and frees it.
  void clear() noexcept {
    block_.reset();
    std::vector<std::byte>().swap(saved_);
    used_ = 0;
  }

  /// Bytes of a partial frame held between turns.
  std::size_t held_bytes() const noexcept {
    return saved_.capacity() + (block_ ? block_->capacity() : 0);
  }

 private:
  static constexpr std::size_t saved_bytes_kept = 512;

  template <class Deliver>
  FrameFault parse(Deliver&& deliver) {
    FrameParser parser(scratch_.first(used_));
    for (;;) {
      const FrameParser::Status status = parser.next();
      if (status == FrameParser::Status::malformed) return parser.fault();
      if (status == FrameParser::Status::incomplete) break;
      if (!deliver(InFrame(parser.type(), parser.header(), parser.payload(), nullptr))) {
        used_ = 0;
        return FrameFault::none;
      }
    }
    keep(parser.rest(), parser.frame_bytes());
    return FrameFault::none;
  }

  void keep(ByteSpan rest, std::size_t frame_bytes);
  void start_block(ByteSpan beginning, std::size_t frame_bytes);

  std::span<std::byte> scratch_;
  std::size_t used_ = 0;  ///< bytes of a frame's beginning at the front of the scratch buffer
  std::size_t block_frame_bytes_ = 0;
  std::optional<BytesBuilder> block_;
  std::vector<std::byte> saved_;
};

}  // namespace velo::transport
