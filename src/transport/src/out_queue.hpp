// SPDX-License-Identifier: Apache-2.0
// The bytes that a connection has yet to write, in order: small frames copied together into blocks,
// large payloads shared. Gathered into vectors for one write, consumed as the write progressed. An
// empty queue holds at most one small block. Not thread-safe by itself: the holder of the
// connection's write right uses it. BlockPool may be shared by threads.
// Threading: see above.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/transport/frame.hpp>
#include <velo/transport/framing.hpp>
#include <velo/transport/limits.hpp>

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace velo::transport {

/// Spare write blocks, so that a busy connection does not return 64 KiB to the allocator on every
/// flush.
class BlockPool {
 public:
  std::unique_ptr<std::byte[]> take();  ///< limits::write_block_bytes long
  void give_back(std::unique_ptr<std::byte[]> block) noexcept;

 private:
  static constexpr std::size_t kept_max = 32;
  std::mutex mutex_;
  std::vector<std::unique_ptr<std::byte[]>> spare_;
};

class OutQueue {
 public:
  explicit OutQueue(BlockPool& pool) noexcept : pool_(pool) {}
  OutQueue(const OutQueue&) = delete;
  OutQueue& operator=(const OutQueue&) = delete;
  ~OutQueue() { clear(); }

  bool empty() const noexcept { return bytes_ == 0; }
  std::size_t bytes() const noexcept { return bytes_; }

  /// The whole frame; its lengths were checked. A payload of limits::shared_payload_bytes_min or
  /// more is shared if it has an owner, and else copied into a block of its own.
  void append(const OutFrame& frame) {
    const std::size_t size = encoded_bytes(frame);
    if (size <= tail_room() && frame.payload.size() < limits::shared_payload_bytes_min) {
      encode_frame({tail_.get() + tail_used_, size}, frame);
      extend(size);
    } else {
      append_in_parts(frame);
    }
  }
  void append_copy(ByteSpan bytes);
  void append_shared(Bytes bytes);

  /// The frame's payload as Bytes: shared when it has an owner, copied otherwise.
  static Bytes share_payload(const OutFrame& frame);

  /// Fills `out` with what comes first; returns how many vectors.
  std::size_t gather(std::span<iovec> out) const noexcept;
  /// The first `count` bytes were written.
  void consume(std::size_t count) noexcept;
  void clear() noexcept;

 private:
  static constexpr std::size_t first_block_bytes = 4096;
  static constexpr std::size_t none = SIZE_MAX;

  using Block = std::unique_ptr<std::byte[]>;

  struct Segment {
    const std::byte* data;
    std::size_t size;
    Bytes owner;       ///< of a shared payload
    Block block;       ///< the block that ends with this segment
    bool small_block;  ///< `block` has first_block_bytes
  };

  std::size_t tail_room() const noexcept { return tail_capacity_ - tail_used_; }
  void append_in_parts(const OutFrame& frame);
  void extend(std::size_t size) {
    if (tail_segment_ != none && tail_segment_ + 1 == segments_.size()) {
      segments_.back().size += size;
    } else {
      start_segment(size);
    }
    tail_used_ += size;
    bytes_ += size;
  }
  void start_segment(std::size_t size);
  void next_block();
  void pop_segment() noexcept;
  void take_back(Block block, bool small) noexcept;

  BlockPool& pool_;
  std::size_t bytes_ = 0;
  // Segments from head_ on are pending; the vector is rewound when it runs empty.
  std::vector<Segment> segments_;
  std::size_t head_ = 0;
  // The block that small frames are copied into, and the last pending segment that lies in it.
  Block tail_;
  std::size_t tail_used_ = 0;
  std::size_t tail_capacity_ = 0;
  std::size_t tail_segment_ = none;
  Block spare_small_;  ///< the small block, kept while another one is the tail
};

}  // namespace velo::transport
