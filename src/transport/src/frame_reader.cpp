// SPDX-License-Identifier: Apache-2.0
// What a reader does with an incomplete frame.

#include <velo/transport/frame_reader.hpp>

#include <algorithm>

namespace velo::transport {

void FrameReader::keep(const FrameParser& parser) {
  if (parser.frame_bytes() >= own_block_bytes_min) return start_block(parser);
  const ByteSpan rest = parser.rest();
  used_ = rest.size();
  if (used_ > 0 && rest.data() != scratch_.data()) {
    std::memmove(scratch_.data(), rest.data(), used_);
  }
}

void FrameReader::start_block(const FrameParser& parser) {
  const std::size_t capacity = parser.frame_bytes() + block_slack_bytes;
  Charge charge = Charge::try_take(budget_, capacity, lane_of(parser.type()));
  if (!charge) return start_skip(parser);
  const ByteSpan beginning = parser.rest();
  block_.emplace(capacity, std::move(charge));
  std::memcpy(block_->free_space().data(), beginning.data(), beginning.size());
  block_->commit(beginning.size());
  block_frame_bytes_ = parser.frame_bytes();
  used_ = 0;
}

void FrameReader::start_skip(const FrameParser& parser) {
  const ByteSpan beginning = parser.rest();
  SkippedFrame& skip = skip_.emplace();
  skip.head_bytes = parser.bytes_before_payload();
  skip.payload_bytes = parser.frame_bytes() - skip.head_bytes;
  skip.missing = parser.frame_bytes() - beginning.size();
  // Without its header a frame cannot be refused; it is small, or limits::header_bytes_max at
  // worst.
  skip.charge = Charge::take(budget_, skip.head_bytes);
  skip.head.reserve(skip.head_bytes);
  const ByteSpan head = beginning.first(std::min(beginning.size(), skip.head_bytes));
  skip.head.assign(head.begin(), head.end());
  used_ = 0;
}

bool FrameReader::skip_ahead() {
  const std::size_t taken = std::min(used_, skip_->missing);
  const std::size_t head = std::min(taken, skip_->head_bytes - skip_->head.size());
  skip_->head.insert(skip_->head.end(), scratch_.begin(),
                     scratch_.begin() + static_cast<std::ptrdiff_t>(head));
  skip_->missing -= taken;
  used_ -= taken;
  if (used_ > 0) std::memmove(scratch_.data(), scratch_.data() + taken, used_);
  return skip_->missing == 0;
}

void FrameReader::save(ByteSpan rest) {
  saved_.assign(rest.begin(), rest.end());
  if (rest.empty() && saved_.capacity() > saved_bytes_kept) std::vector<std::byte>().swap(saved_);
  if (rest.size() > velo::limits::uncharged_bytes) {
    saved_charge_ = Charge::take(budget_, rest.size());
  } else if (saved_charge_) {
    saved_charge_ = Charge();
  }
}

void FrameReader::park() {
  if (used_ > 0) {
    const ByteSpan rest = scratch_.first(used_);
    FrameParser parser(rest);
    static_cast<void>(parser.next());
    if (parser.frame_bytes() >= parked_block_bytes_min) {
      start_block(parser);
    } else {
      save(rest);
      used_ = 0;
    }
  }
  scratch_ = {};
}

}  // namespace velo::transport
