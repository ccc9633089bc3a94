// SPDX-License-Identifier: Apache-2.0
// What the commands that talk to one peer share: a node that nobody sees, the folder in which peers
// announce themselves, and the choice of a peer by a prefix of its id.
// Threading: the main thread.
#pragma once

#include "commands.hpp"

#include <velo/velo.hpp>

#include <memory>
#include <string>
#include <vector>

namespace velo::cli {

class Client {
 public:
  /// Nothing yet; join() does the work.
  Client(Rendezvous where, NodeSetup setup) : where_(std::move(where)), setup_(std::move(setup)) {}

  /// Exit code; a failure was printed. The node is not announced: it only calls.
  int join();
  /// Who is announced now, in the order of the ids.
  Result<std::vector<PeerInfo>> announced();
  /// Exit code; a failure was printed. The one peer whose id starts with `prefix`; registered with
  /// the node.
  int choose(const std::string& prefix, PeerInfo& chosen);

  Velo& node() noexcept { return *node_; }

 private:
  Rendezvous where_;
  NodeSetup setup_;
  std::unique_ptr<Velo> node_;
  std::shared_ptr<PeerDiscovery> found_at_;
};

}  // namespace velo::cli
