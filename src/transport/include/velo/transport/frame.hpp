// SPDX-License-Identifier: Apache-2.0
// Frames as they pass between the messenger and a transport: a type, a header and a payload, both
// opaque here. Not their bytes on a stream (see framing.hpp) and not the meaning of the header (see
// the messenger's protocol).
// Threading: value types; an InFrame is valid only during the call that delivers it.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/base/bytes.hpp>

#include <cstddef>
#include <cstdint>

namespace velo::transport {

/// Numbers of the wire (docs/protocols/messenger.md).
enum class FrameType : std::uint8_t {
  message = 0,
  response = 1,
  ack = 2,
  event = 3,
  shutting_down = 4,
};
constexpr std::uint8_t frame_type_count = 5;

/// Whose part of a memory budget a frame that waits is charged to.
constexpr Lane lane_of(FrameType type) noexcept {
  return type == FrameType::message ? Lane::requests : Lane::replies;
}

/// Of a frame of `size` that found no room behind the `waiting` bytes: whether the peer is given up
/// for not reading what answers it. It is not for a request, nor for a large reply when the node
/// has no room though next to nothing waits for this peer.
constexpr bool refusal_blames_peer(FrameType type, std::uint64_t size,
                                   std::uint64_t waiting) noexcept {
  return lane_of(type) == Lane::replies &&
         (size <= velo::limits::uncharged_bytes || waiting > velo::limits::allowance_chunk_bytes);
}

/// A frame to send. Header and payload are borrowed for the call; when `owner` is set, the payload
/// lies in it and large payloads are shared instead of copied.
struct OutFrame {
  FrameType type = FrameType::message;
  ByteSpan header;
  ByteSpan payload;
  const Bytes* owner = nullptr;
  /// Frames of one lane arrive in the order they were sent; a transport that can carry lanes side
  /// by side (QUIC) may let those of different lanes overtake each other, so that one that is
  /// large, or was lost on the way, delays no other. Others keep the order of all. 0: the lane of
  /// everything that nobody gave another.
  std::uint32_t lane = 0;
  /// Of lane `any_lane`: in no order with any other frame; what answers a request.
  static constexpr std::uint32_t any_lane = UINT32_MAX;
  /// May be dropped on the way rather than sent again (QUIC datagrams, where it fits into one).
  bool may_be_lost = false;

  OutFrame(FrameType t, ByteSpan h, ByteSpan p) noexcept : type(t), header(h), payload(p) {}
  OutFrame(FrameType t, ByteSpan h, const Bytes& p) noexcept
      : type(t), header(h), payload(p.span()), owner(&p) {}
};

/// A received frame. Header and payload are borrowed for the call.
class InFrame {
 public:
  InFrame(FrameType type, ByteSpan header, ByteSpan payload, const Bytes* owner) noexcept
      : type_(type), header_(header), payload_(payload), owner_(owner) {}
  /// A frame whose payload found no room in the memory budget, and was skipped.
  static InFrame without_payload(FrameType type, ByteSpan header,
                                 std::size_t payload_bytes) noexcept {
    InFrame frame(type, header, {}, nullptr);
    frame.dropped_bytes_ = payload_bytes;
    return frame;
  }

  FrameType type() const noexcept { return type_; }
  ByteSpan header() const noexcept { return header_; }
  ByteSpan payload() const noexcept { return payload_; }
  /// The payload arrived, but is not here: there was no room for it. dropped_bytes() long it was.
  bool payload_dropped() const noexcept { return dropped_bytes_ != 0; }
  std::size_t dropped_bytes() const noexcept { return dropped_bytes_; }
  /// Whoever handled the frame is done: what is still kept of its payload is the application's own,
  /// and no longer charged to the node.
  void end_charge() const noexcept {
    if (owner_ != nullptr) owner_->end_charge();
  }
  /// Whether retain_payload() shares, instead of copying.
  bool payload_is_shared() const noexcept { return owner_ != nullptr; }
  /// The payload for keeping: shares the block that was read for a large frame, copies otherwise.
  Bytes retain_payload() const {
    if (owner_ == nullptr || payload_.empty()) return Bytes::copy(payload_);
    return owner_->slice(static_cast<std::size_t>(payload_.data() - owner_->data()),
                         payload_.size());
  }

 private:
  FrameType type_;
  ByteSpan header_;
  ByteSpan payload_;
  const Bytes* owner_;
  std::size_t dropped_bytes_ = 0;
};

}  // namespace velo::transport
