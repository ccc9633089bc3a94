// SPDX-License-Identifier: Apache-2.0
// Frames that were accepted and not yet given to a stream: encoded already, small ones side by side
// in blocks whose bytes never move, since the QUIC library keeps pointers to what was not
// acknowledged.
// Threading: none of its own; the connection's lock guards an inbox.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/transport/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace velo::transport {

using SendBlock = std::shared_ptr<std::byte[]>;

struct QueuedFrame {
  SendBlock block;  ///< holds `head`; null: the one of the frame before it does
  const std::byte* head = nullptr;
  std::size_t head_bytes = 0;
  Bytes payload;          ///< follows the head, when it is shared
  std::uint64_t end = 0;  ///< its place among all that the connection accepted
  std::uint32_t lane = 0;
  bool may_be_lost = false;

  std::size_t size() const noexcept { return head_bytes + payload.size(); }
};

class FrameInbox {
 public:
  bool empty() const noexcept { return frames_.empty(); }
  /// `shared` is the payload when it is at least limits::shared_payload_bytes_min.
  void push(const OutFrame& frame, std::size_t size, Bytes shared, std::uint64_t end);
  /// Gives all frames to `out`, which is empty.
  void take(std::vector<QueuedFrame>& out) noexcept {
    frames_.swap(out);
    block_named_ = false;
  }
  void clear() noexcept;

 private:
  static constexpr std::size_t block_bytes_min = 4096;

  std::byte* room(std::size_t bytes);

  std::vector<QueuedFrame> frames_;
  SendBlock block_;
  bool block_named_ = false;  ///< a frame that waits has it
  std::size_t used_ = 0;
  std::size_t capacity_ = 0;
  std::size_t next_capacity_ = block_bytes_min;
};

}  // namespace velo::transport
