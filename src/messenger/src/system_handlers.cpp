// SPDX-License-Identifier: Apache-2.0
// velo's own handlers: `_hello`, `_cancel` (both need the link they came on), and `_list_handlers`;
// `_books` is in books.cpp.

#include "impl.hpp"

#include <velo/base/log.hpp>

namespace velo::messenger {

void Impl::register_system_handlers() {
  auto own = [this](Handler handler) { (void)handlers_.add(std::move(handler), true); };
  // The two that on_request() serves itself; here so that they are listed and cannot be taken.
  own(Handler::unary_handler("_hello", [](Context&) { return Bytes(); }).inline_().build());
  if (extensions_) {
    own(Handler::am_handler("_cancel", [](Context&) {}).inline_().build());
    register_books_handler();
  }
  own(Handler::unary_handler("_list_handlers",
                             [this](Context&) {
                               HandlersResponse response;
                               response.handlers = handlers_.names();
                               return encode_handlers_response(response);
                             })
          .inline_()
          .build());
}

void Impl::handle_hello(Link& link, const protocol::RequestHeader& header, ByteSpan payload) {
  auto request = decode_hello_request(payload);
  if (!request) {
    return reply_error(link, header, make_error(Errc::bad_request, request.error().to_string()));
  }
  const PeerInfo& info = request->peer_info;
  if (info.worker_id() != header.id.requester()) {
    return reply_error(link, header,
                       make_error(Errc::bad_request, "the greeting's ids do not belong together"));
  }
  if (info.instance_id == self_.instance_id ||
      (link.peer.valid() && link.peer != info.instance_id)) {
    return reply_error(link, header,
                       make_error(Errc::bad_request, "this connection belongs to somebody else"));
  }
  if (!link.peer.valid()) {
    if (auto registered = register_peer(info, PeerSource::hello); !registered) {
      return reply_error(link, header,
                         make_error(Errc::overloaded, registered.error().to_string()));
    }
    link.peer = info.instance_id;
    link.account = calls_->ledger().open(link.peer);
  }
  // What our own greeting agreed on holds for a connection that we dialled, and others rely on it.
  if (extensions_ && !link.dialed()) link.agreement = agree(offer_, request->offer);
  HandlersResponse response;
  response.handlers = handlers_.names();
  if (extensions_ && request->offer) response.offer = offer_;
  const Bytes body = encode_handlers_response(response);
  std::array<std::byte, protocol::response_fixed_bytes> stack;
  protocol::ResponseHeader reply;
  reply.id = header.id;
  const std::size_t size = protocol::encode_response(reply, stack);
  send_reply(link, link.agreement, transport::FrameType::response, ByteSpan(stack).first(size),
             body);
}

void Impl::handle_cancel(Link& link, ByteSpan payload) noexcept {
  const auto id = protocol::decode_id(payload);
  if (id) link.cancel_inbound(*id);
}

}  // namespace velo::messenger
