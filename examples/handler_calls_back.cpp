// SPDX-License-Identifier: Apache-2.0
// What a handler can do with `context.msg()`, the messenger that received the message: call its
// caller back, ask who is there, and register further handlers.

#include <velo/velo.hpp>

#include <cstdio>
#include <string>

namespace handler_calls_back {

/// Greets the caller by the name that the caller tells when asked back.
static velo::Task<velo::Result<velo::Bytes>> greet(velo::Context context) {
  const auto caller = context.sender_instance_id();
  if (!caller) co_return velo::make_error(velo::Errc::not_found, "who is calling?");
  auto question = context.msg().unary("name").instance(*caller).send();
  auto name = co_await question;
  if (!name) co_return name.error();
  std::string greeting = "hello, " + name->to_string();
  co_return velo::Bytes::own(std::move(greeting));
}

/// Answers with the number of peers that this messenger knows.
static velo::Bytes count_peers(velo::Context& context) {
  return velo::Bytes::own(std::to_string(context.msg().peers().size()));
}

/// Teaches the messenger a new handler; a second time it is refused as a duplicate.
static velo::Result<void> learn(velo::Context& context) {
  const std::string name(velo::as_text(context.payload()));
  const velo::Bytes answer = velo::Bytes::own("I learned to " + name);
  auto handler =
      velo::Handler::unary_handler(name, [answer](velo::Context&) { return answer; }).build();
  return context.msg().register_handler(std::move(handler));
}

static velo::Result<void> ask(velo::Velo& node, const velo::InstanceId& peer, const char* handler) {
  auto reply = node.unary(handler).instance(peer).send().get();
  if (!reply) return reply.error();
  std::printf("%s: %s\n", handler, reply->to_string().c_str());
  return {};
}

static velo::Result<void> run() {
  auto server = velo::Velo::builder().build();
  if (!server) return server.error();
  auto added =
      (*server)->register_handler(velo::Handler::unary_handler_async("greet", greet).build());
  if (!added) return added;
  added = (*server)->register_handler(velo::Handler::unary_handler("peers", count_peers).build());
  if (!added) return added;
  added = (*server)->register_handler(velo::Handler::am_handler("learn", learn).build());
  if (!added) return added;

  auto client = velo::Velo::builder().build();
  if (!client) return client.error();
  auto name = velo::Handler::unary_handler("name", [](velo::Context&) {
                return velo::Bytes::of_static("Ada");
              }).build();
  added = (*client)->register_handler(std::move(name));
  if (!added) return added;
  added = (*client)->register_peer((*server)->peer_info());
  if (!added) return added;

  const velo::InstanceId peer = (*server)->instance_id();
  for (const char* handler : {"greet", "peers"}) {
    if (auto asked = ask(**client, peer, handler); !asked) return asked;
  }
  auto learned = (*client)->am_sync("learn").raw_payload("dance").instance(peer).send().get();
  if (!learned) return learned;
  if (auto asked = ask(**client, peer, "dance"); !asked) return asked;
  auto again = (*client)->am_sync("learn").raw_payload("dance").instance(peer).send().get();
  if (again) return velo::make_error(velo::Errc::internal, "a duplicate was accepted");
  std::printf("again: %s\n", again.error().context().c_str());
  return {};
}

}  // namespace handler_calls_back

int main() {
  auto ended = handler_calls_back::run();
  if (!ended) {
    std::fprintf(stderr, "handler_calls_back: %s\n", ended.error().to_string().c_str());
  }
  return ended ? 0 : 1;
}
