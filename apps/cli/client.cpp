// SPDX-License-Identifier: Apache-2.0
// Joining a cluster from the command line.

#include "client.hpp"

#include "node_setup.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace velo::cli {

int Client::join() {
  if (!is_there(where_)) {
    return fail(exit_usage, fmt::format("no directory '{}'", where_.directory),
                "--discovery names the folder in which the peers announce themselves");
  }
  VeloBuilder builder;
  if (auto ready = set_up(builder, setup_, {}, Listening::no); !ready) {
    return fail("cannot set up the node", ready.error());
  }
  auto node = std::move(builder).build();
  if (!node) return fail("cannot start", node.error());
  node_ = std::move(*node);
  auto found = open_discovery(node_->world(), where_);
  if (!found) return fail("cannot use the discovery", found.error());
  found_at_ = std::move(*found);
  return exit_ok;
}

Result<std::vector<PeerInfo>> Client::announced() {
  auto peers = found_at_->list().get();
  if (!peers && peers.error().is(Errc::not_found)) return std::vector<PeerInfo>();
  if (peers) {
    std::sort(peers->begin(), peers->end(),
              [](const PeerInfo& a, const PeerInfo& b) { return a.instance_id < b.instance_id; });
  }
  return peers;
}

int Client::choose(const std::string& prefix, PeerInfo& chosen) {
  auto peers = announced();
  if (!peers) return fail("cannot read the discovery folder", peers.error());
  std::vector<PeerInfo> matching;
  for (PeerInfo& peer : *peers) {
    if (peer.instance_id.to_string().starts_with(prefix)) matching.push_back(std::move(peer));
  }
  if (matching.empty()) {
    return fail(exit_unreachable,
                prefix.empty() ? fmt::format("nobody is announced in '{}', cluster '{}'",
                                             where_.directory, where_.cluster)
                               : fmt::format("no announced peer starts with '{}'", prefix),
                "list who is there with `velo info --discovery DIR [--cluster NAME]`");
  }
  if (matching.size() > 1) {
    return fail(exit_usage, fmt::format("{} announced peers match '{}'", matching.size(), prefix),
                "name one with --peer and the first digits of its instance id");
  }
  chosen = std::move(matching.front());
  auto registered = node_->register_peer(chosen);
  if (!registered) return fail("cannot reach the peer", registered.error());
  return exit_ok;
}

}  // namespace velo::cli
