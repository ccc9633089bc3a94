// SPDX-License-Identifier: Apache-2.0
// The way of replies: on the connection that brought the request, or by dialling back.

#include "impl.hpp"
#include "no_room.hpp"
#include "path_engine.hpp"

#include <velo/base/log.hpp>

#include <array>

namespace velo::messenger {
namespace replies_detail {

static Incident what_is_unsent(transport::FrameType type, ByteSpan header) noexcept {
  if (type == transport::FrameType::ack) return Incident::ack_unsent;
  const auto response = protocol::decode_response(header);
  return response && response->outcome == 0 ? Incident::reply_unsent : Incident::error_unsent;
}

}  // namespace replies_detail

transport::Admission Impl::send_reply_on(Link& link, transport::FrameType type, ByteSpan header,
                                         const Bytes& payload) noexcept {
  transport::Admission admission = transport::Admission::too_large;
  if (header.size() + payload.size() <= link.agreement.frame_bytes_max) {
    transport::OutFrame frame(type, header, payload);
    frame.lane = transport::OutFrame::any_lane;
    admission = link.send(frame).admission;
  }
  if (admission == transport::Admission::accepted) [[likely]]
    return admission;
  calls_->ledger().incidents.count(replies_detail::what_is_unsent(type, header));
  if (admission != transport::Admission::too_large &&
      admission != transport::Admission::over_budget) {
    return admission;
  }
  return refuse_reply(link, type, header, admission);
}

void Impl::send_reply(Link& link, const Agreement& agreement, transport::FrameType type,
                      ByteSpan header, const Bytes& payload) noexcept {
  if (link.received != nullptr) return paths_->send_kept(link, type, header, payload);
  if (!agreement.same_conn && !link.dialed() && &link != self_link_.get()) {
    MessageId id;
    if (const auto decoded = protocol::decode_ack(header);
        type == transport::FrameType::ack && decoded) {
      id = decoded->id;
    } else if (const auto response = protocol::decode_response(header)) {
      id = response->id;
    }
    return reply_by_dialling(id.requester(), link, type, header, payload);
  }
  (void)send_reply_on(link, type, header, payload);
}

/// The caller must not wait for a reply that cannot be sent.
transport::Admission Impl::refuse_reply(Link& link, transport::FrameType type, ByteSpan header,
                                        transport::Admission admission) noexcept {
  const bool too_large = admission == transport::Admission::too_large;
  const Error error = too_large ? make_error(Errc::too_large, "the reply is over the frame limit")
                                : no_room_for_reply("it was handled; no room to send the reply");
  std::vector<std::byte> bytes(protocol::ack_bytes);
  if (type == transport::FrameType::ack) {
    const auto ack = protocol::decode_ack(header);
    if (!ack) return admission;
    protocol::encode_ack(*ack, bytes);
  } else {
    const auto response = protocol::decode_response(header);
    if (!response) return admission;
    protocol::ResponseHeader small;
    small.id = response->id;
    small.outcome = static_cast<std::uint8_t>(
        link.agreement.status ? error.code().value : static_cast<std::uint16_t>(Errc::failed));
    Bytes headers;
    if (link.agreement.status && !too_large) {
      Headers exact;
      exact.emplace(std::string(protocol::error_header_name), protocol::encode_error(error));
      if (auto encoded = protocol::encode_headers(exact)) headers = std::move(*encoded);
    }
    small.headers = headers;
    bytes.resize(protocol::encoded_size(small));
    protocol::encode_response(small, bytes);
  }
  transport::OutFrame frame(type, bytes, as_bytes(error.context()));
  frame.lane = transport::OutFrame::any_lane;
  return link.send(frame).admission;
}

void Impl::reply_error(Link& link, const protocol::RequestHeader& request, const Error& error) {
  if (request.response_type == protocol::ResponseType::fire) {
    VELO_LOG_DEBUG(messenger, "fire-and-forget rejected", {"error", error.to_string()});
    return;
  }
  std::array<std::byte, protocol::response_fixed_bytes> stack;
  const Bytes text = Bytes::copy(error.context());
  if (request.response_type == protocol::ResponseType::ack_nack && !link.agreement.status) {
    protocol::AckHeader ack;
    ack.id = request.id;
    ack.is_error = true;
    const std::size_t size = protocol::encode_ack(ack, stack);
    return send_reply(link, link.agreement, transport::FrameType::ack, ByteSpan(stack).first(size),
                      text);
  }
  protocol::ResponseHeader response;
  response.id = request.id;
  response.outcome = static_cast<std::uint8_t>(error.code().value);
  const std::size_t size = protocol::encode_response(response, stack);
  send_reply(link, link.agreement, transport::FrameType::response, ByteSpan(stack).first(size),
             text);
}

void Impl::reply_by_dialling(WorkerId worker, Link& arrived_on, transport::FrameType type,
                             ByteSpan header, const Bytes& payload) {
  const auto peer = find_peer(worker);
  const auto known = peer ? instance_of(worker) : std::nullopt;
  if (!peer || (known && must_be_proven(*known))) {
    // No address of the requester is known, and its own connection is the one hope; or the request
    // is in the name of a peer that reads replies where its requests went, and is not from there.
    (void)send_reply_on(arrived_on, type, header, payload);
    return;
  }
  for (int attempt = 0; attempt < 3; ++attempt) {
    PendingSend send;
    send.is_reply = true;
    send.reply_type = type;
    send.reply_header = Bytes::copy(header);
    send.payload = payload;
    std::shared_ptr<Link> link;
    const auto queued = enqueue(peer, send, &link);
    if (!queued || *queued) return;
    if (send_reply_on(*link, type, header, payload) != transport::Admission::closed) return;
    link_lost(peer, *link);
  }
}

}  // namespace velo::messenger
