// SPDX-License-Identifier: Apache-2.0
// Round trips of an empty request between two nodes: ping_pong [--rounds N] [--transport
// tcp|uds|inproc] [--two-process]. For figures to compare see `velo bench latency`, which measures
// plain sockets in the same run.

#include <velo/codec/peer_info.hpp>
#include <velo/velo.hpp>

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace ping_pong {

using Clock = std::chrono::steady_clock;
using Hub = std::shared_ptr<velo::transport::InprocHub>;

struct Options {
  std::size_t rounds = 1000;
  std::string transport = "tcp";
  bool two_processes = false;
};

static bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--two-process") {
      options.two_processes = true;
    } else if (name == "--rounds" && i + 1 < count) {
      options.rounds = std::strtoul(arguments[++i], nullptr, 10);
    } else if (name == "--transport" && i + 1 < count) {
      options.transport = arguments[++i];
    } else {
      return false;
    }
  }
  if (options.transport == "inproc") return options.rounds > 0 && !options.two_processes;
  return options.rounds > 0 && (options.transport == "tcp" || options.transport == "uds");
}

static velo::Result<std::unique_ptr<velo::Velo>> make_node(const Options& options, const char* name,
                                                           const Hub& hub) {
  auto builder = velo::Velo::builder();
  if (options.transport == "inproc") {
    builder.add_transport(velo::transport::make_inproc(hub));
  } else if (options.transport == "uds") {
    velo::transport::UdsOptions uds;
    uds.path = "@velo-ping-pong-" + std::string(name) + std::to_string(::getpid());
    builder.add_transport(velo::transport::make_uds(uds));
  } else {
    builder.add_transport(velo::transport::make_tcp());
  }
  return builder.build();
}

static velo::Result<std::unique_ptr<velo::Velo>> serve(const Options& options, const Hub& hub) {
  auto node = make_node(options, "server-", hub);
  if (!node) return node;
  auto ping = velo::Handler::unary_handler("ping", [](velo::Context&) { return velo::Bytes(); });
  auto added = (*node)->register_handler(std::move(ping).inline_().build());
  if (!added) return added.error();
  return node;
}

/// Before any node exists, since threads do not survive a fork. The address comes through a pipe.
static velo::Result<velo::PeerInfo> start_server(const Options& options) {
  int ends[2];
  if (::pipe(ends) != 0) return velo::make_error(velo::Errc::io, "no pipe");
  if (::fork() == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // ends with this process
    auto node = serve(options, nullptr);
    if (!node) std::_Exit(1);
    const std::string address = velo::to_json((*node)->peer_info());
    if (::write(ends[1], address.data(), address.size()) < 0) std::_Exit(1);
    ::close(ends[1]);
    for (;;) ::pause();
  }
  ::close(ends[1]);
  std::string address;
  char letter = 0;
  while (::read(ends[0], &letter, 1) == 1) address += letter;
  ::close(ends[0]);
  return velo::from_json<velo::PeerInfo>(address);
}

static velo::Result<std::vector<double>> measure(velo::Velo& client, const velo::InstanceId& peer,
                                                 std::size_t rounds) {
  constexpr std::size_t warm_up = 100;
  std::vector<double> samples;
  for (std::size_t i = 0; i < warm_up + rounds; ++i) {
    const Clock::time_point begin = Clock::now();
    auto reply = client.unary("ping").raw_payload(velo::Bytes()).instance(peer).send().get();
    if (!reply) return reply.error();
    const std::chrono::duration<double, std::micro> time = Clock::now() - begin;
    if (i >= warm_up) samples.push_back(time.count());
  }
  return samples;
}

static void print(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const auto count = static_cast<double>(samples.size());
  const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count;
  const auto at = [&](double fraction) {
    return samples[std::min(samples.size() - 1, static_cast<std::size_t>(fraction * count))];
  };
  std::printf("rtt us: avg %.2f  min %.2f  max %.2f\n", mean, samples.front(), samples.back());
  std::printf("rtt us: p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f\n", at(0.5), at(0.9), at(0.99),
              at(0.999));
}

static velo::Result<void> run(const Options& options) {
  const Hub hub = velo::transport::make_inproc_hub(static_cast<std::uint64_t>(::getpid()));
  std::unique_ptr<velo::Velo> server;
  velo::PeerInfo peer;
  if (options.two_processes) {
    auto started = start_server(options);
    if (!started) return started.error();
    peer = *started;
  } else {
    auto node = serve(options, hub);
    if (!node) return node.error();
    server = std::move(*node);
    peer = server->peer_info();
  }
  auto client = make_node(options, "client-", hub);
  if (!client) return client.error();
  if (auto known = (*client)->register_peer(peer); !known) return known;
  auto samples = measure(**client, peer.instance_id, options.rounds);
  if (!samples) return samples.error();
  const char* where = options.two_processes ? "two processes" : "one process";
  std::printf("%zu rounds over %s, %s\n", options.rounds, options.transport.c_str(), where);
  print(std::move(*samples));
  return {};
}

}  // namespace ping_pong

int main(int count, char** arguments) {
  ping_pong::Options options;
  if (!ping_pong::parse(count, arguments, options)) {
    std::puts("usage: ping_pong [--rounds N] [--transport tcp|uds|inproc] [--two-process]");
    return 2;
  }
  auto ended = ping_pong::run(options);
  if (!ended) std::fprintf(stderr, "ping_pong: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
