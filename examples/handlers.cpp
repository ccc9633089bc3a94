// SPDX-License-Identifier: Apache-2.0
// The kinds of handlers: synchronous or asynchronous (a coroutine), raw or typed, run on the worker
// pool (spawn, the default) or at once on the thread that read the message (inline_), which is the
// fastest and must not block. And what a peer can learn of them.

#include <velo/velo.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace handlers {

struct AddRequest {
  int a = 0;
  int b = 0;
};
VELO_DESCRIBE(AddRequest, a, b);

struct AddResponse {
  int sum = 0;
};
VELO_DESCRIBE(AddResponse, sum);

/// Asynchronous and typed. It asks another handler on the way: while it waits no thread does.
static velo::Task<velo::Result<AddResponse>> add(velo::TypedContext<AddRequest> context) {
  velo::Messenger& messenger = context.msg();
  auto call = messenger.unary("ping").instance(messenger.instance_id()).send();
  auto pong = co_await call;
  if (!pong) co_return pong.error();
  AddResponse response;
  response.sum = context.input.a + context.input.b;
  co_return response;
}

static velo::Result<void> register_all(velo::Velo& node) {
  std::vector<velo::Handler> all;
  // Synchronous and raw, inline: it only computes.
  all.push_back(velo::Handler::unary_handler("ping", [](velo::Context&) { return velo::Bytes(); })
                    .inline_()
                    .build());
  // Asynchronous and raw.
  all.push_back(
      velo::Handler::unary_handler_async("echo",
                                         [](velo::Context context) -> velo::Task<velo::Bytes> {
                                           co_return context.payload_bytes();
                                         })
          .build());
  // Without a reply, on the worker pool, where it may block.
  all.push_back(velo::Handler::am_handler(
                    "log",
                    [](velo::Context& context) {
                      std::printf("log: %s\n",
                                  std::string(velo::as_text(context.payload())).c_str());
                    })
                    .spawn()
                    .build());
  all.push_back(velo::Handler::typed_unary_async("add", add).build());
  for (velo::Handler& each : all) {
    auto registered = node.register_handler(std::move(each));
    if (!registered) return registered;
  }
  return {};
}

static velo::Result<void> call(velo::Velo& client, const velo::InstanceId& peer) {
  auto ready = client.wait_for_handler(peer, "add", std::chrono::seconds(5)).get();
  if (!ready) return ready;
  auto names = client.available_handlers(peer).get();
  if (!names) return names.error();
  std::printf("the peer has:");
  for (const std::string& name : *names) {
    if (!name.starts_with('_')) std::printf(" %s", name.c_str());  // those are velo's own
  }
  std::printf("\n");

  AddRequest request;
  request.a = 40;
  request.b = 2;
  auto sum = client.typed_unary<AddResponse>("add").payload(request).instance(peer).send().get();
  if (!sum) return sum.error();
  std::printf("40 + 2 = %d\n", sum->sum);

  auto echo = client.unary("echo").raw_payload("hello").instance(peer).send().get();
  if (!echo) return echo.error();
  std::printf("echo: %s\n", echo->to_string().c_str());
  return client.am_sync("log").raw_payload("done").instance(peer).send().get();
}

static velo::Result<void> run() {
  auto server = velo::Velo::builder().build();
  if (!server) return server.error();
  if (auto registered = register_all(**server); !registered) return registered;
  auto client = velo::Velo::builder().build();
  if (!client) return client.error();
  auto known = (*client)->register_peer((*server)->peer_info());
  if (!known) return known;
  return call(**client, (*server)->instance_id());
}

}  // namespace handlers

int main() {
  auto ended = handlers::run();
  if (!ended) std::fprintf(stderr, "handlers: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
