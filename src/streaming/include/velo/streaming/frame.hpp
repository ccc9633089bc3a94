// SPDX-License-Identifier: Apache-2.0
// StreamFrame<T>: what next() of a stream yields: an item, or word of what became of its sender.
// On the wire the MessagePack of {"Item": T}, "Finalized" and so on (docs/protocols/streaming.md).
// Threading: values.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/codec/msgpack.hpp>
#include <velo/streaming/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace velo {

enum class FrameKind : std::uint8_t {
  item,
  sender_error,     ///< send_err(); the stream goes on
  dropped,          ///< the sender went away without an ending
  detached,         ///< the sender left; another one may attach
  finalized,        ///< the sender has said everything
  heartbeat,        ///< nothing; never handed out
  transport_error,  ///< what lies between was lost
};

namespace streaming {

/// A frame as it travels, taken apart: the item is still encoded and borrowed from the frame.
struct FrameView {
  FrameKind kind = FrameKind::item;
  ByteSpan item;
  std::string_view text;

  FrameView() = default;
};

/// velo::Errc::invalid_argument for anything else. An item is not looked into.
Result<FrameView> parse_frame(ByteSpan frame);
/// Any kind but item. `text` of those that have one; cut off at limits::text_bytes_max.
Bytes encode_ending(FrameKind kind, std::string_view text = {});

template <class T>
void encode_item(codec::msgpack::Writer& writer, const T& item) {
  writer.begin_map(1);
  writer.string("Item");
  codec::to_msgpack(writer, item);
}

/// One entry of a stream as its consumer finds it.
struct RawFrame {
  FrameKind kind = FrameKind::item;
  std::uint64_t sender = 0;
  Bytes body;  ///< of an item its MessagePack, otherwise text

  RawFrame() = default;
  RawFrame(FrameKind k, std::uint64_t s, Bytes b) noexcept
      : kind(k), sender(s), body(std::move(b)) {}
};

template <class T>
Result<T> decode_item(const RawFrame& raw) {
  auto item = codec::from_msgpack<T>(raw.body);
  if (!item) return make_error(Errc::undecodable, item.error().to_string());
  return item;
}

/// What a frame that is no item, no detachment and no good end means to a consumer.
Error error_of(const RawFrame& raw);

}  // namespace streaming

/// What next() of a one-to-one stream yields: FrameKind item, detached or finalized; everything
/// else is an error (streaming::Errc).
template <class T>
class StreamFrame {
 public:
  explicit StreamFrame(T item) : item_(std::move(item)) {}
  explicit StreamFrame(FrameKind kind) noexcept : kind_(kind) {}

  FrameKind kind() const noexcept { return kind_; }
  bool is_item() const noexcept { return kind_ == FrameKind::item; }
  bool finalized() const noexcept { return kind_ == FrameKind::finalized; }
  bool detached() const noexcept { return kind_ == FrameKind::detached; }
  /// Only where is_item().
  T& item() & noexcept { return *item_; }
  const T& item() const& noexcept { return *item_; }
  T&& item() && noexcept { return std::move(*item_); }

 private:
  FrameKind kind_ = FrameKind::item;
  std::optional<T> item_;
};

/// Which of a many-to-one stream's senders: numbered from 1 in the order of their attaching.
using SenderId = std::uint64_t;

/// The same of a many-to-one stream, where the end of a sender is not the end of the stream.
template <class T>
class MpscFrame {
 public:
  MpscFrame(SenderId sender, Result<StreamFrame<T>> frame)
      : sender_(sender), frame_(std::move(frame)) {}

  SenderId sender() const noexcept { return sender_; }
  /// As next() of a one-to-one stream to this sender would have yielded it.
  Result<StreamFrame<T>>& frame() & noexcept { return frame_; }
  const Result<StreamFrame<T>>& frame() const& noexcept { return frame_; }
  bool is_item() const noexcept { return frame_ && frame_->is_item(); }
  T& item() & noexcept { return frame_->item(); }

 private:
  SenderId sender_;
  Result<StreamFrame<T>> frame_;
};

namespace streaming {

template <class T>
Result<StreamFrame<T>> typed_frame(const RawFrame& raw) {
  if (raw.kind == FrameKind::item) {
    auto item = decode_item<T>(raw);
    if (!item) return item.error();
    return StreamFrame<T>(std::move(*item));
  }
  if (raw.kind == FrameKind::detached || raw.kind == FrameKind::finalized) {
    return StreamFrame<T>(raw.kind);
  }
  return error_of(raw);
}

}  // namespace streaming
}  // namespace velo
