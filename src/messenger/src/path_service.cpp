// SPDX-License-Identifier: Apache-2.0
// The other end's side of a change of path: answering `_path`.

#include "impl.hpp"
#include "path_engine.hpp"

#include <array>

namespace velo::messenger {

void PathEngine::serve(Link& link, const protocol::RequestHeader& header, ByteSpan payload) {
  auto message = decode_path_message(payload);
  if (!message) {
    return impl_.reply_error(link, header,
                             make_error(Errc::bad_request, message.error().context()));
  }
  if (!link.agreement.path || link.dialed()) {
    return impl_.reply_error(link, header,
                             make_error(Errc::bad_request, "no changes of path were agreed on"));
  }
  PathAnswer answer;
  answer.epoch = message->epoch;
  if (message->op == "open") {
    // Once: the name of a connection cannot change.
    if (link.token.empty()) link.token = message->token;
  } else if (message->op != "barrier") {
    return impl_.reply_error(link, header, make_error(Errc::bad_request, "_path: " + message->op));
  }
  const Bytes body = encode(answer);
  std::array<std::byte, protocol::response_fixed_bytes> stack;
  protocol::ResponseHeader reply;
  reply.id = header.id;
  const std::size_t size = protocol::encode_response(reply, stack);
  impl_.send_reply(link, link.agreement, transport::FrameType::response,
                   ByteSpan(stack).first(size), body);
}

}  // namespace velo::messenger
