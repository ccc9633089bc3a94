// SPDX-License-Identifier: Apache-2.0
// The bookkeeping of a stream that is sent.

#include "send_stream.hpp"

#include <algorithm>
#include <utility>

namespace velo::transport {

void SendStream::append(QueuedFrame&& frame, const SendBlock& block) {
  const std::size_t size = frame.size();
  append_head(frame, block);
  if (!frame.payload.empty()) {
    Segment& segment = segments_.emplace_back();
    segment.data = frame.payload.data();
    segment.size = frame.payload.size();
    segment.payload = std::move(frame.payload);
  }
  append_run(size, frame.end);
}

void SendStream::append_head(const QueuedFrame& frame, const SendBlock& block) {
  if (!segments_.empty()) {
    Segment& last = segments_.back();
    if (last.block == block && last.data + last.size == frame.head) {
      last.size += frame.head_bytes;
      return;
    }
  }
  Segment& segment = segments_.emplace_back();
  segment.data = frame.head;
  segment.size = frame.head_bytes;
  segment.block = block;
}

void SendStream::append_run(std::size_t size, std::uint64_t end_position) {
  const std::uint64_t begin = end_;
  end_ += size;
  if (!runs_.empty() && runs_.back().end_position + size == end_position) {
    runs_.back().end = end_;
    runs_.back().end_position = end_position;
    return;
  }
  runs_.push_back({begin, end_, end_position});
}

SendStream::Gathered SendStream::gather(std::span<iovec> out) const noexcept {
  Gathered gathered;
  std::size_t offset = next_offset_;
  for (std::size_t i = next_; i < segments_.size(); ++i, offset = 0) {
    const Segment& segment = segments_[i];
    if (offset == segment.size) continue;
    if (gathered.count == out.size()) {
      gathered.all = false;
      break;
    }
    // The library's vectors have pointers to what may be changed; it changes nothing.
    out[gathered.count++] = {const_cast<std::byte*>(segment.data + offset), segment.size - offset};
  }
  return gathered;
}

void SendStream::advance(std::size_t bytes) noexcept {
  sent_ += bytes;
  while (bytes > 0) {
    const std::size_t here = std::min(bytes, segments_[next_].size - next_offset_);
    next_offset_ += here;
    bytes -= here;
    if (next_offset_ == segments_[next_].size && next_ + 1 < segments_.size()) {
      ++next_;
      next_offset_ = 0;
    }
  }
  while (!runs_.empty() && runs_.front().end <= sent_) {
    sent_position_ = runs_.front().end_position;
    runs_.pop_front();
  }
}

std::uint64_t SendStream::acknowledge(std::uint64_t offset) noexcept {
  if (offset <= acknowledged_) return 0;
  const std::uint64_t freed = offset - acknowledged_;
  acknowledged_ = offset;
  std::uint64_t left = freed;
  while (left > 0) {
    const std::uint64_t here = segments_.front().size - front_acknowledged_;
    if (left < here) {
      front_acknowledged_ += left;
      break;
    }
    left -= here;
    front_acknowledged_ = 0;
    segments_.pop_front();
    if (next_ > 0) {
      --next_;
    } else {
      next_offset_ = 0;
    }
  }
  return freed;
}

std::uint64_t SendStream::unsent_position() const noexcept {
  const Run& run = runs_.front();
  return run.end_position - (run.end - sent_);
}

}  // namespace velo::transport
