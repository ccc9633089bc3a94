// SPDX-License-Identifier: Apache-2.0
// Frames as they pass between the messenger and a transport: a type, a header and a payload, both
// opaque here. Not their bytes on a stream (see framing.hpp) and not the meaning of the header (see
// the messenger's protocol).
// Threading: value types; an InFrame is valid only during the call that delivers it.
#pragma once

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

/// A frame to send. Header and payload are borrowed for the call; when `owner` is set, the payload
/// lies in it and large payloads are shared instead of copied.
struct OutFrame {
  FrameType type = FrameType::message;
  ByteSpan header;
  ByteSpan payload;
  const Bytes* owner = nullptr;

  OutFrame(FrameType t, ByteSpan h, ByteSpan p) noexcept : type(t), header(h), payload(p) {}
  OutFrame(FrameType t, ByteSpan h, const Bytes& p) noexcept
      : type(t), header(h), payload(p.span()), owner(&p) {}
};

/// A received frame. Header and payload are borrowed for the call.
class InFrame {
 public:
  InFrame(FrameType type, ByteSpan header, ByteSpan payload, const Bytes* owner) noexcept
      : type_(type), header_(header), payload_(payload), owner_(owner) {}

  FrameType type() const noexcept { return type_; }
  ByteSpan header() const noexcept { return header_; }
  ByteSpan payload() const noexcept { return payload_; }
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
};

}  // namespace velo::transport
