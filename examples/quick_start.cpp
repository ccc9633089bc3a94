// SPDX-License-Identifier: Apache-2.0
// The smallest program: a node, a handler, and a request to it.

#include <velo/velo.hpp>

#include <cstdio>

namespace quick_start {

static velo::Result<void> run() {
  auto built = velo::Velo::builder().add_transport(velo::transport::make_tcp()).build();
  if (!built) return built.error();
  velo::Velo& node = **built;

  // Register a handler.
  auto ping = velo::Handler::unary_handler("ping", [](velo::Context&) {
                return velo::Bytes::of_static("pong");
              }).build();
  if (auto registered = node.register_handler(std::move(ping)); !registered) {
    return registered.error();
  }

  // Send a request to a peer.
  const velo::InstanceId peer = node.instance_id();  // normally a different instance
  auto reply = node.unary("ping").raw_payload(velo::Bytes()).instance(peer).send().get();
  if (!reply) return reply.error();
  std::printf("ping -> %s\n", reply->to_string().c_str());
  return {};
}

}  // namespace quick_start

int main() {
  auto ended = quick_start::run();
  if (!ended) std::fprintf(stderr, "quick_start: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
