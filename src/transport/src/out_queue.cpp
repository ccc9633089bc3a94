// SPDX-License-Identifier: Apache-2.0
// Blocks and segments of an outgoing queue.

#include "out_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace velo::transport {

std::unique_ptr<std::byte[]> BlockPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!spare_.empty()) {
      auto block = std::move(spare_.back());
      spare_.pop_back();
      return block;
    }
  }
  return std::make_unique_for_overwrite<std::byte[]>(limits::write_block_bytes);
}

void BlockPool::give_back(std::unique_ptr<std::byte[]> block) noexcept {
  const std::lock_guard lock(mutex_);
  if (spare_.size() < kept_max) spare_.push_back(std::move(block));
}

void OutQueue::append_in_parts(const OutFrame& frame) {
  std::byte preamble[preamble_bytes];
  encode_preamble(preamble, frame.type, frame.header.size(), frame.payload.size());
  append_copy(preamble);
  append_copy(frame.header);
  if (frame.payload.size() < limits::shared_payload_bytes_min) return append_copy(frame.payload);
  append_shared(share_payload(frame));
}

Bytes OutQueue::share_payload(const OutFrame& frame) {
  if (frame.owner == nullptr) return Bytes::copy(frame.payload);
  return frame.owner->slice(static_cast<std::size_t>(frame.payload.data() - frame.owner->data()),
                            frame.payload.size());
}

void OutQueue::append_copy(ByteSpan bytes) {
  while (!bytes.empty()) {
    if (tail_room() == 0) next_block();
    const std::size_t count = std::min(bytes.size(), tail_room());
    std::memcpy(tail_.get() + tail_used_, bytes.data(), count);
    extend(count);
    bytes = bytes.subspan(count);
  }
}

void OutQueue::append_shared(Bytes bytes) {
  bytes_ += bytes.size();
  const ByteSpan span = bytes.span();
  segments_.push_back(Segment{span.data(), span.size(), std::move(bytes), nullptr, false});
}

void OutQueue::start_segment(std::size_t size) {
  tail_segment_ = segments_.size();
  segments_.push_back(Segment{tail_.get() + tail_used_, size, Bytes(), nullptr, false});
}

void OutQueue::next_block() {
  const bool was_small = tail_capacity_ == first_block_bytes;
  if (tail_ != nullptr) {
    if (tail_segment_ == none) {
      tail_used_ = 0;
      return;
    }
    segments_[tail_segment_].block = std::move(tail_);
    segments_[tail_segment_].small_block = was_small;
    tail_ = pool_.take();
    tail_capacity_ = limits::write_block_bytes;
  } else {
    tail_ = spare_small_ != nullptr
                ? std::move(spare_small_)
                : std::make_unique_for_overwrite<std::byte[]>(first_block_bytes);
    tail_capacity_ = first_block_bytes;
  }
  tail_used_ = 0;
  tail_segment_ = none;
}

std::size_t OutQueue::gather(std::span<iovec> out) const noexcept {
  std::size_t count = 0;
  for (std::size_t i = head_; i < segments_.size() && count < out.size(); ++i, ++count) {
    out[count].iov_base = const_cast<std::byte*>(segments_[i].data);
    out[count].iov_len = segments_[i].size;
  }
  return count;
}

void OutQueue::consume(std::size_t count) noexcept {
  bytes_ -= count;
  if (bytes_ == 0) return clear();
  while (count > 0) {
    Segment& segment = segments_[head_];
    if (count < segment.size) {
      segment.data += count;
      segment.size -= count;
      break;
    }
    count -= segment.size;
    pop_segment();
  }
  constexpr std::size_t rewound_min = 64;
  if (head_ >= rewound_min && head_ * 2 >= segments_.size()) {
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(head_));
    if (tail_segment_ != none) tail_segment_ -= head_;
    head_ = 0;
  }
}

void OutQueue::pop_segment() noexcept {
  Segment& segment = segments_[head_];
  if (segment.block != nullptr) take_back(std::move(segment.block), segment.small_block);
  segment.owner = Bytes();
  if (tail_segment_ == head_) {
    tail_segment_ = none;
    tail_used_ = 0;
  }
  ++head_;
}

void OutQueue::take_back(Block block, bool small) noexcept {
  if (!small) return pool_.give_back(std::move(block));
  spare_small_ = std::move(block);
}

void OutQueue::clear() noexcept {
  while (head_ < segments_.size()) pop_segment();
  segments_.clear();
  constexpr std::size_t segments_kept = 256;
  if (segments_.capacity() > segments_kept) std::vector<Segment>().swap(segments_);
  head_ = 0;
  bytes_ = 0;
  tail_segment_ = none;
  tail_used_ = 0;
  if (tail_ != nullptr && tail_capacity_ != first_block_bytes) {
    pool_.give_back(std::move(tail_));
    tail_capacity_ = 0;
  }
}

}  // namespace velo::transport
