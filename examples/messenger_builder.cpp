// SPDX-License-Identifier: Apache-2.0
// Messengers put together by hand instead of by Velo: a World, transports in order of preference
// and a discovery of one's own choice, here a list in memory that both share. Without a discovery
// peers are registered with register_peer().

#include <velo/velo.hpp>

#include <cstdio>
#include <memory>

namespace messenger_builder {

using velo::discovery::StaticDiscovery;

static velo::Result<std::unique_ptr<velo::Messenger>> make(
    velo::World& world, const std::shared_ptr<velo::PeerDiscovery>& discovery) {
  velo::transport::TcpOptions options;
  options.bind = velo::Endpoint::tcp("127.0.0.1", 0);  // any free port
  auto builder = velo::Messenger::builder(world);
  builder.add_transport(velo::transport::make_tcp(options));
  builder.discovery(discovery);
  return builder.build();
}

static velo::Result<void> run() {
  velo::RuntimeOptions options;
  options.workers = 2;
  // Declared first, so that it outlives everything that lives in it.
  auto world = velo::RealWorld::create(options);
  if (!world) return world.error();
  auto made = StaticDiscovery::create((*world)->pool());
  if (!made) return made.error();
  const std::shared_ptr<velo::PeerDiscovery> discovery = std::move(*made);

  auto server = make(**world, discovery);
  if (!server) return server.error();
  auto ping = velo::Handler::unary_handler(
                  "ping", [](velo::Context&) { return velo::Bytes::of_static("pong"); })
                  .inline_()
                  .build();
  if (auto added = (*server)->register_handler(std::move(ping)); !added) return added;

  auto client = make(**world, discovery);
  if (!client) return client.error();
  // By worker id: the half of an instance's identity that travels in every message.
  auto reply = (*client)->unary("ping").worker((*server)->worker_id()).send().get();
  if (!reply) return reply.error();
  std::printf("ping -> %s\n", reply->to_string().c_str());
  std::printf("the client knows %zu peer\n", (*client)->peers().size());

  // Closing in order: nothing is cut off.
  if (auto closed = (*client)->shutdown().get(); !closed) return closed;
  return (*server)->shutdown().get();
}

}  // namespace messenger_builder

int main() {
  auto ended = messenger_builder::run();
  if (!ended) std::fprintf(stderr, "messenger_builder: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
