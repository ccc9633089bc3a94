// SPDX-License-Identifier: Apache-2.0
// StreamSender<T>: the sending end of a stream, made by attaching to an anchor's handle.
// Threading: a sender belongs to one thread at a time; its stop token may be shared.
#pragma once

#include <velo/base/op.hpp>
#include <velo/codec/msgpack.hpp>
#include <velo/streaming/frame.hpp>
#include <velo/streaming/handle.hpp>

#include <memory>
#include <stop_token>
#include <string_view>
#include <utility>

namespace velo {
namespace streaming {

class Sender;

/// What senders of all types share.
class SenderEnd {
 public:
  explicit SenderEnd(std::shared_ptr<Sender> sender) noexcept : sender_(std::move(sender)) {}
  SenderEnd(SenderEnd&& other) noexcept : sender_(std::move(other.sender_)) {}
  SenderEnd& operator=(SenderEnd&& other) noexcept {
    std::swap(sender_, other.sender_);
    return *this;
  }
  SenderEnd(const SenderEnd&) = delete;
  /// Without an ending before, the consumer learns that the sender was dropped.
  ~SenderEnd();

  const StreamAnchorHandle& handle() const noexcept;
  /// Stops when the consumer cancelled or is gone, or the way there is lost.
  std::stop_token cancellation_token() const;
  /// How items travel: "messenger-mux-v1".
  std::string_view negotiated_transport() const noexcept;

  /// An error of the sender's that does not end the stream; needs credit as an item does. Cut off
  /// at streaming::limits::text_bytes_max.
  Op<void> send_err(std::string_view text);
  /// Everything was said. Completes when the consumer has taken it all; Errc::channel_closed if it
  /// does not want to, or is gone. An item that still waits leaves before. Nothing can be sent
  /// afterwards; dropping the Op changes nothing.
  Op<void> finalize();
  /// Leaves the anchor to another sender, which may attach once this has completed: when the
  /// consumer has taken everything. Otherwise as finalize().
  Op<void> detach();

 protected:
  Op<void> send_encoded(ByteSpan frame);
  Result<void> try_send_encoded(ByteSpan frame);

  codec::msgpack::Writer& writer() noexcept;

 private:
  std::shared_ptr<Sender> sender_;
};

}  // namespace streaming

template <class T>
class [[nodiscard]] StreamSender : public streaming::SenderEnd {
 public:
  explicit StreamSender(SenderEnd&& end) noexcept : SenderEnd(std::move(end)) {}

  /// Completes when the item is on its way: at once while the consumer has granted credit,
  /// otherwise when it grants enough for a run of items (half of what it had, or all of what is
  /// little). Errors: streaming::Errc::channel_closed, too_large
  /// (streaming::limits::item_bytes_max), busy while an earlier one waits, velo::Errc::overloaded
  /// when the memory budget is used up. Dropping an Op that waits takes the item back.
  Op<void> send(const T& item) {
    codec::msgpack::Writer& out = writer();
    out.clear();
    streaming::encode_item(out, item);
    return send_encoded(out.span());
  }
  /// The same without waiting: streaming::Errc::no_credit instead.
  Result<void> try_send(const T& item) {
    codec::msgpack::Writer& out = writer();
    out.clear();
    streaming::encode_item(out, item);
    return try_send_encoded(out.span());
  }
};

}  // namespace velo
