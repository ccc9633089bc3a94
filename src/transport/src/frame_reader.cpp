// SPDX-License-Identifier: Apache-2.0
// What a reader does with an incomplete frame.

#include "frame_reader.hpp"

namespace velo::transport {

void FrameReader::keep(ByteSpan rest, std::size_t frame_bytes) {
  if (frame_bytes >= own_block_bytes_min) return start_block(rest, frame_bytes);
  used_ = rest.size();
  if (used_ > 0 && rest.data() != scratch_.data()) {
    std::memmove(scratch_.data(), rest.data(), used_);
  }
}

void FrameReader::start_block(ByteSpan beginning, std::size_t frame_bytes) {
  block_.emplace(frame_bytes + block_slack_bytes);
  std::memcpy(block_->free_space().data(), beginning.data(), beginning.size());
  block_->commit(beginning.size());
  block_frame_bytes_ = frame_bytes;
  used_ = 0;
}

void FrameReader::park() {
  if (used_ > 0) {
    const ByteSpan rest = scratch_.first(used_);
    FrameParser parser(rest);
    static_cast<void>(parser.next());
    if (parser.frame_bytes() >= parked_block_bytes_min) {
      start_block(rest, parser.frame_bytes());
    } else {
      saved_.assign(rest.begin(), rest.end());
      used_ = 0;
    }
  }
  scratch_ = {};
}

}  // namespace velo::transport
