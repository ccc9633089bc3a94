// SPDX-License-Identifier: Apache-2.0
// Two simulated nodes of a user's test exchange a message; the same seed gives the same trace.

#include <velo/sim/simulation.hpp>
#include <velo/velo.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

namespace simulated {

static velo::Result<std::unique_ptr<velo::Velo>> make_node(velo::sim::SimNode& host) {
  velo::transport::TcpOptions options;
  options.bind = host.endpoint(0);
  options.allow_plaintext_beyond_loopback = true;
  return velo::Velo::builder()
      .world(host)
      .add_transport(velo::transport::make_tcp(options))
      .build();
}

static velo::Result<std::uint64_t> run(std::uint64_t seed) {
  velo::sim::Simulation sim(seed);
  auto server = make_node(sim.add_node("server"));
  if (!server) return server.error();
  auto client = make_node(sim.add_node("client"));
  if (!client) return client.error();
  auto ping = velo::Handler::unary_handler("ping", [](velo::Context&) {
                return velo::Bytes::of_static("pong");
              }).build();
  if (auto done = (*server)->register_handler(std::move(ping)); !done) return done.error();
  if (auto done = (*client)->register_peer((*server)->peer_info()); !done) return done.error();
  auto call = (*client)->unary("ping").instance((*server)->instance_id()).send();
  auto reply = sim.wait(std::move(call), std::chrono::seconds(10));
  if (!reply) return reply.error();
  if (reply->to_string() != "pong") return velo::make_error(velo::Errc::internal, "not pong");
  return sim.trace_hash();
}

}  // namespace simulated

int main() {
  auto first = simulated::run(7);
  auto again = simulated::run(7);
  if (!first || !again) {
    std::fprintf(stderr, "%s\n", (first ? again : first).error().to_string().c_str());
    return 1;
  }
  std::printf(*first == *again ? "replayed\n" : "not the same\n");
  return 0;
}
