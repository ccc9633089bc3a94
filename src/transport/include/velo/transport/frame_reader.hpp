// SPDX-License-Identifier: Apache-2.0
// Reassembles frames from a stream: says where to read next, and delivers the frames that became
// whole. Small frames are parsed in place in a scratch buffer that all connections of a shard
// share; a large frame is read into a block of its own, which then travels on without a copy.
// Between turns a reader holds at most one partial frame. What it holds of a large one is charged
// to the node's memory budget; when that has no room, the payload is skipped as it arrives, and the
// frame is delivered without it: the stream goes on. Not I/O: whoever reads puts the bytes
// into space().
// Threading: none of its own; one thread at a time.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/base/bytes.hpp>
#include <velo/transport/framing.hpp>
#include <velo/transport/limits.hpp>

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace velo::transport {

/// A frame whose payload is not kept.
struct SkippedFrame {
  std::vector<std::byte> head;  ///< what comes before the payload
  std::size_t head_bytes = 0;   ///< how long that is when it is whole
  std::size_t payload_bytes = 0;
  std::size_t missing = 0;  ///< bytes of the frame yet to come
  Charge charge;            ///< for `head`
};

class FrameReader {
 public:
  explicit FrameReader(std::shared_ptr<MemoryBudget> budget) noexcept
      : budget_(std::move(budget)) {}

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
    save({});
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
      return skip_ ? skip(deliver) : parse(deliver);
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
    skip_.reset();
    save({});
    std::vector<std::byte>().swap(saved_);
    used_ = 0;
  }

  /// Nothing of a frame is held, so what comes next begins one.
  bool idle() const noexcept { return used_ == 0 && !block_ && !skip_ && saved_.empty(); }

  /// Bytes of a partial frame held between turns.
  std::size_t held_bytes() const noexcept {
    return saved_.capacity() + (block_ ? block_->capacity() : 0) +
           (skip_ ? skip_->head.capacity() : 0);
  }

 private:
  static constexpr std::size_t saved_bytes_kept = 512;

  template <class Deliver>
  FrameFault skip(Deliver&& deliver) {
    if (!skip_ahead()) return FrameFault::none;
    const SkippedFrame skipped = std::move(*skip_);
    skip_.reset();
    FrameParser parser(skipped.head);
    static_cast<void>(parser.next());
    const ByteSpan header = ByteSpan(skipped.head).subspan(preamble_bytes);
    if (!deliver(InFrame::without_payload(parser.type(), header, skipped.payload_bytes))) {
      used_ = 0;
      return FrameFault::none;
    }
    return parse(deliver);
  }

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
    keep(parser);
    return FrameFault::none;
  }

  void keep(const FrameParser& parser);
  /// Into a block of its own, or, without room for that, into nothing.
  void start_block(const FrameParser& parser);
  void start_skip(const FrameParser& parser);
  /// Of what was read, drops what belongs to the skipped frame; true once that is over.
  bool skip_ahead();
  void save(ByteSpan rest);

  const std::shared_ptr<MemoryBudget> budget_;
  std::span<std::byte> scratch_;
  std::size_t used_ = 0;  ///< bytes of a frame's beginning at the front of the scratch buffer
  std::size_t block_frame_bytes_ = 0;
  std::optional<BytesBuilder> block_;
  std::optional<SkippedFrame> skip_;
  std::vector<std::byte> saved_;
  Charge saved_charge_;
};

}  // namespace velo::transport
