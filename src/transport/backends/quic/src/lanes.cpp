// SPDX-License-Identifier: Apache-2.0
// Frames to streams, and whose turn it is.

#include "lanes.hpp"

#include <algorithm>
#include <utility>

namespace velo::transport {

SendStream& Lanes::at(std::size_t index) {
  if (streams_[index] == nullptr) streams_[index] = std::make_unique<SendStream>();
  return *streams_[index];
}

void Lanes::append(QueuedFrame&& frame, const SendBlock& block) {
  SendStream& stream = stream_of(frame.lane, frame.size());
  stream.append(std::move(frame), block);
  if (std::exchange(stream.in_turn, true)) return;
  line_.push_back(&stream);
}

SendStream& Lanes::stream_of(std::uint32_t lane, std::size_t bytes) {
  if (lane == 0) return at(0);
  if (lane != OutFrame::any_lane) {
    return at(ordered_first + lane % limits::quic_ordered_streams_max);
  }
  if (group_ == nullptr || group_bytes_ + bytes > group_bytes_max_) {
    group_ = &least_busy();
    group_bytes_ = 0;
  }
  group_bytes_ += bytes;
  return *group_;
}

SendStream& Lanes::least_busy() {
  SendStream* best = nullptr;
  for (std::size_t i = 0; i < unordered_; ++i) {
    const std::size_t index = (unordered_last_ + i) % unordered_;
    SendStream& stream = *streams_[unordered_first + index];
    if (best == nullptr || stream.unacknowledged() < best->unacknowledged()) {
      best = &stream;
      unordered_last_ = index;
    }
    if (best->unacknowledged() == 0) return *best;
  }
  if (unordered_ < limits::quic_unordered_streams_max) {
    unordered_last_ = unordered_;
    return at(unordered_first + unordered_++);
  }
  return *best;
}

SendStream* Lanes::next() noexcept {
  for (std::size_t tried = line_.size(); tried > 0; --tried) {
    SendStream* stream = line_.front();
    if (!stream->pending()) {
      stream->in_turn = false;
      line_.pop_front();
      continue;
    }
    if (!stream->blocked) return stream;
    rotate();
  }
  return nullptr;
}

bool Lanes::others_than(const SendStream& stream) const noexcept {
  return std::any_of(line_.begin(), line_.end(), [&stream](const SendStream* other) {
    return other != &stream && other->pending() && !other->blocked;
  });
}

void Lanes::rotate() noexcept {
  if (line_.size() < 2) return;
  line_.push_back(line_.front());
  line_.pop_front();
}

bool Lanes::pending() const noexcept {
  return std::any_of(line_.begin(), line_.end(),
                     [](const SendStream* stream) { return stream->pending(); });
}

void Lanes::unblock() noexcept {
  for (SendStream* stream : line_) stream->blocked = false;
}

std::uint64_t Lanes::unsent_position(std::uint64_t otherwise) const noexcept {
  std::uint64_t lowest = otherwise;
  for (const SendStream* stream : line_) {
    if (stream->pending()) lowest = std::min(lowest, stream->unsent_position());
  }
  return lowest;
}

std::uint64_t Lanes::sent_position() const noexcept {
  std::uint64_t highest = 0;
  for (const auto& stream : streams_) {
    if (stream != nullptr) highest = std::max(highest, stream->sent_position());
  }
  return highest;
}

std::uint64_t Lanes::unsent() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& stream : streams_) bytes += stream != nullptr ? stream->unsent() : 0;
  return bytes;
}

std::uint64_t Lanes::unacknowledged() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& stream : streams_) bytes += stream != nullptr ? stream->unacknowledged() : 0;
  return bytes;
}

std::size_t Lanes::opened() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(streams_.begin(), streams_.end(),
                    [](const auto& stream) { return stream != nullptr && stream->id >= 0; }));
}

}  // namespace velo::transport
