// SPDX-License-Identifier: Apache-2.0
// Encoding frames into blocks that stay where they are.

#include "queued_frame.hpp"

#include <velo/transport/framing.hpp>
#include <velo/transport/limits.hpp>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace velo::transport {

std::byte* FrameInbox::room(std::size_t bytes) {
  if (bytes > capacity_ - used_) {
    // A block that was filled while frames wait: there is a burst, so the next one is larger.
    next_capacity_ =
        frames_.empty() ? block_bytes_min : std::min(2 * next_capacity_, limits::write_block_bytes);
    capacity_ = std::max(bytes, next_capacity_);
    block_ = std::make_shared_for_overwrite<std::byte[]>(capacity_);
    block_named_ = false;
    used_ = 0;
  }
  std::byte* at = block_.get() + used_;
  used_ += bytes;
  return at;
}

void FrameInbox::push(const OutFrame& frame, std::size_t size, Bytes shared, std::uint64_t end) {
  const std::size_t head_bytes = size - shared.size();
  std::byte* at = room(head_bytes);
  if (shared.empty()) {
    encode_frame({at, size}, frame);
  } else {
    encode_preamble(std::span<std::byte, preamble_bytes>(at, preamble_bytes), frame.type,
                    frame.header.size(), shared.size());
    if (!frame.header.empty()) {
      std::memcpy(at + preamble_bytes, frame.header.data(), frame.header.size());
    }
  }
  QueuedFrame& queued = frames_.emplace_back();
  if (!std::exchange(block_named_, true)) queued.block = block_;
  queued.head = at;
  queued.head_bytes = head_bytes;
  queued.payload = std::move(shared);
  queued.end = end;
  queued.lane = frame.lane;
  queued.may_be_lost = frame.may_be_lost;
}

void FrameInbox::clear() noexcept {
  frames_.clear();
  block_.reset();
  block_named_ = false;
  used_ = 0;
  capacity_ = 0;
}

}  // namespace velo::transport
