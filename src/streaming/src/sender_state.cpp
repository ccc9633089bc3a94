// SPDX-License-Identifier: Apache-2.0
// What senders hand on to their connection.

#include "sender_state.hpp"

#include "attach_message.hpp"
#include "peer_mux.hpp"

#include <velo/streaming/sender.hpp>

namespace velo::streaming {

Op<void> Sender::send(const std::shared_ptr<Sender>& sender, ByteSpan frame) {
  return sender->mux_->send(sender, frame);
}
Result<void> Sender::try_send(ByteSpan frame) { return mux_->try_send(*this, frame); }
Op<void> Sender::end(FrameKind kind) { return mux_->end(*this, kind); }
void Sender::drop() noexcept { mux_->drop(*this); }

SenderEnd::~SenderEnd() {
  if (sender_ != nullptr) sender_->drop();
}
const StreamAnchorHandle& SenderEnd::handle() const noexcept { return sender_->handle(); }
std::stop_token SenderEnd::cancellation_token() const { return sender_->stop_token(); }
std::string_view SenderEnd::negotiated_transport() const noexcept { return mux_key; }
Op<void> SenderEnd::send_err(std::string_view text) {
  return send_encoded(encode_ending(FrameKind::sender_error, text));
}
Op<void> SenderEnd::finalize() { return sender_->end(FrameKind::finalized); }
Op<void> SenderEnd::detach() { return sender_->end(FrameKind::detached); }
Op<void> SenderEnd::send_encoded(ByteSpan frame) { return Sender::send(sender_, frame); }
Result<void> SenderEnd::try_send_encoded(ByteSpan frame) { return sender_->try_send(frame); }
codec::msgpack::Writer& SenderEnd::writer() noexcept {
  // One for all of a thread's senders: what is encoded is copied before the next one is, and one
  // of each would have left the cache by its next item.
  thread_local codec::msgpack::Writer writer;
  return writer;
}

}  // namespace velo::streaming
