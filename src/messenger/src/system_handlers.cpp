// SPDX-License-Identifier: Apache-2.0
// velo's own handlers: `_hello`, `_cancel` (both need the link they came on), and `_list_handlers`;
// `_books` is in books.cpp.

#include "impl.hpp"
#include "path_engine.hpp"
#include "path_health.hpp"
#include "watching.hpp"

#include <velo/base/log.hpp>

namespace velo::messenger {

void Impl::register_system_handlers() {
  auto own = [this](Handler handler) { (void)handlers_.add(std::move(handler), true); };
  // The two that on_request() serves itself; here so that they are listed and cannot be taken.
  own(Handler::unary_handler("_hello", [](Context&) { return Bytes(); }).inline_().build());
  if (extensions_) {
    own(Handler::am_handler("_cancel", [](Context&) {}).inline_().build());
    register_books_handler();
    Watching::register_handlers(*this);
    if (paths_ != nullptr) PathHealthChecks::register_explain(*this);
  }
  own(Handler::unary_handler("_list_handlers",
                             [this](Context& context) {
                               HandlersResponse response;
                               response.handlers = handlers_for(context.peer_identity());
                               return encode_handlers_response(response);
                             })
          .inline_()
          .build());
}

Result<void> Impl::accept_greeting(Link& link, const HelloRequest& request) {
  const PeerInfo& info = request.peer_info;
  if (info.instance_id == self_.instance_id ||
      (link.peer.valid() && link.peer != info.instance_id)) {
    return make_error(Errc::bad_request, "this connection belongs to somebody else");
  }
  const std::optional<Binding> shown = request.offer ? request.offer->bind : std::nullopt;
  const bool again = link.answered.has_value();
  if (again && shown != link.heard) {
    return make_error(Errc::not_authenticated, "this connection was greeted with another proof");
  }
  bool proven = link.identity().instance_proven;
  if (!again) {
    const auto judged = guard_.judge(info.instance_id, request.offer, worker_, BindingRole::request,
                                     link.connection());
    if (!judged) return judged.error();
    proven = *judged;
  }
  if (!link.peer.valid()) {
    ConnectionIdentity identity = link.identity();
    identity.instance_proven = proven;
    const auto source = identity.authentic() ? PeerSource::authentic_hello : PeerSource::hello;
    if (auto registered = register_peer(info, source); !registered) {
      const bool taken = registered.error().is(velo::Errc::already_exists);
      return make_error(taken ? Errc::bad_request : Errc::overloaded,
                        registered.error().to_string());
    }
    link.peer = info.instance_id;
    link.account = calls_->ledger().open(link.peer);
    link.introduce(link.peer, proven);
    subsystems_.linked(link);
    stranger_over(link);
    if (const auto peer = find_peer(link.peer)) {
      const std::lock_guard lock(peer->mutex);
      peer->note_identity(link.identity());
    }
  }
  if (!again) {
    link.heard = shown;
    link.answered = guard_.signed_offer(offer_, self_.instance_id, info.worker_id(),
                                        BindingRole::answer, link.connection());
  }
  return {};
}

void Impl::refuse_greeting(Link& link, const protocol::RequestHeader& header, const Error& error) {
  if (!error.is(Errc::not_authenticated)) return reply_error(link, header, error);
  VELO_LOG_WARN(messenger, "greeting refused", {"remote", link.connection().remote()},
                {"error", error.to_string()});
  // Never by dialling back: whoever it claims to be has nothing to do with it.
  std::array<std::byte, protocol::response_fixed_bytes> stack;
  protocol::ResponseHeader reply;
  reply.id = header.id;
  reply.outcome = static_cast<std::uint8_t>(error.code().value);
  const std::size_t size = protocol::encode_response(reply, stack);
  (void)send_reply_on(link, transport::FrameType::response, ByteSpan(stack).first(size),
                      Bytes::copy(error.context()));
  link.connection().close_after_flush(error, limits::flush_patience);
}

void Impl::handle_hello(Link& link, const protocol::RequestHeader& header, ByteSpan payload) {
  auto request = decode_hello_request(payload);
  if (!request) {
    return reply_error(link, header, make_error(Errc::bad_request, request.error().to_string()));
  }
  if (request->peer_info.worker_id() != header.id.requester()) {
    return reply_error(link, header,
                       make_error(Errc::bad_request, "the greeting's ids do not belong together"));
  }
  const bool again = link.answered.has_value();
  if (auto accepted = accept_greeting(link, *request); !accepted) {
    return refuse_greeting(link, header, accepted.error());
  }
  // What our own greeting agreed on holds for a connection that we dialled, and others rely on it;
  // what was agreed on once stays.
  if (extensions_ && !link.dialed() && !again) link.agreement = agree(offer_, request->offer);
  HandlersResponse response;
  response.handlers = handlers_for(link.identity());
  if (extensions_ && request->offer) response.offer = link.answered;
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
  if (!id || link.cancel_inbound(*id)) return;
  if (paths_ != nullptr) paths_->cancel_carried(link, *id);
}

}  // namespace velo::messenger
