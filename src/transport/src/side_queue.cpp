// SPDX-License-Identifier: Apache-2.0
// Copying into, and moving out of, the queue of senders without the write right.

#include "side_queue.hpp"

#include <velo/transport/framing.hpp>
#include <velo/transport/limits.hpp>

#include <algorithm>
#include <utility>

namespace velo::transport {

void SideQueue::push(const OutFrame& frame, Bytes shared) {
  bytes_ += encoded_bytes(frame);
  const bool separate = frame.payload.size() >= limits::shared_payload_bytes_min;
  const std::size_t copied = encoded_bytes(frame) - (separate ? frame.payload.size() : 0);
  const std::size_t at = copied_.size();
  copied_.resize(at + copied);
  std::byte* out = copied_.data() + at;
  if (!separate) {
    encode_frame({out, copied}, frame);
    return;
  }
  encode_preamble(std::span<std::byte, preamble_bytes>(out, preamble_bytes), frame.type,
                  frame.header.size(), frame.payload.size());
  std::copy(frame.header.begin(), frame.header.end(), out + preamble_bytes);
  shared_.push_back(Shared{copied_.size(), std::move(shared)});
}

void SideQueue::move_to(OutQueue& out, std::size_t count) {
  bytes_ -= count;
  while (count > 0) {
    const bool has_shared = shared_at_ < shared_.size();
    const std::size_t run_end = has_shared ? shared_[shared_at_].before : copied_.size();
    const std::size_t run = std::min(count, run_end - copied_at_);
    out.append_copy({copied_.data() + copied_at_, run});
    copied_at_ += run;
    count -= run;
    if (count == 0) break;
    Bytes bytes = std::move(shared_[shared_at_++].bytes);
    count -= bytes.size();
    out.append_shared(std::move(bytes));
  }
  if (bytes_ == 0) clear();
}

void SideQueue::clear() noexcept {
  constexpr std::size_t copied_bytes_kept = std::size_t{16} << 10;
  bytes_ = 0;
  copied_.clear();
  if (copied_.capacity() > copied_bytes_kept) std::vector<std::byte>().swap(copied_);
  copied_at_ = 0;
  shared_.clear();
  shared_at_ = 0;
}

void SideQueue::swap(SideQueue& other) noexcept { std::swap(*this, other); }

}  // namespace velo::transport
