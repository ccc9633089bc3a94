// SPDX-License-Identifier: Apache-2.0
// Two processes that find each other through a folder: the builder gets a discovery, which
// announces the node and is asked for the addresses of peers. A watch tells who comes and goes; a
// process that is killed disappears at once, without a time-out.

#include <velo/velo.hpp>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>

namespace peer_discovery {

using velo::discovery::FilesystemDiscovery;
using velo::discovery::PeerChange;

constexpr std::chrono::seconds patience{20};

/// The other process; ends with this object.
struct Child {
  pid_t id = -1;
  ~Child() {
    ::kill(id, SIGKILL);
    ::waitpid(id, nullptr, 0);
  }
};

/// In the child: announced in `folder` until somebody sends "leave".
static velo::Result<void> serve(const std::string& folder) {
  std::promise<void> asked_to_leave;
  auto built = velo::Velo::builder().filesystem_discovery(folder).build();
  if (!built) return built.error();
  velo::Velo& node = **built;
  auto who = velo::Handler::unary_handler("who", [](velo::Context&) {
               return velo::Bytes::own("process " + std::to_string(::getpid()));
             }).build();
  if (auto added = node.register_handler(std::move(who)); !added) return added;
  auto leave = velo::Handler::am_handler("leave", [&](velo::Context&) {
                 asked_to_leave.set_value();
               }).build();
  if (auto added = node.register_handler(std::move(leave)); !added) return added;
  asked_to_leave.get_future().wait();
  return node.shutdown().get();  // lets the acknowledgement out
}

/// What the watch tells, as two futures.
struct Seen {
  std::promise<velo::InstanceId> arrived;
  std::promise<void> left;

  void take(const PeerChange& change, const velo::InstanceId& self) {
    for (const velo::PeerInfo& peer : change.peers) {
      if (peer.instance_id == self) continue;
      if (change.kind == PeerChange::Kind::removed) {
        left.set_value();
      } else {
        arrived.set_value(peer.instance_id);
      }
    }
  }
};

static velo::Result<void> call(velo::Velo& node, const velo::InstanceId& peer) {
  // The child is announced before it has registered its handlers.
  auto ready = node.wait_for_handler(peer, "leave", patience).get();
  if (!ready) return ready;
  auto who = node.unary("who").instance(peer).send().get();
  if (!who) return who.error();
  std::printf("found %s\n", who->to_string().c_str());
  return node.am_sync("leave").instance(peer).send().get();
}

static velo::Result<void> find(const std::string& folder) {
  Seen seen;
  auto built = velo::Velo::builder().filesystem_discovery(folder).build();
  if (!built) return built.error();
  velo::Velo& node = **built;
  auto discovery = FilesystemDiscovery::create(node.world(), folder, "velo");
  if (!discovery) return discovery.error();
  const velo::InstanceId self = node.instance_id();
  auto watch = (*discovery)->watch(node.world().pool(), [&](const PeerChange& change) {
    seen.take(change, self);
  });

  auto arrived = seen.arrived.get_future();
  if (arrived.wait_for(patience) != std::future_status::ready) {
    return velo::make_error(velo::Errc::not_found, "nobody came");
  }
  // No register_peer: the messenger asks its discovery for the address.
  if (auto called = call(node, arrived.get()); !called) return called;
  if (seen.left.get_future().wait_for(patience) != std::future_status::ready) {
    return velo::make_error(velo::Errc::deadline_exceeded, "the peer stays announced");
  }
  std::puts("it has left");
  return {};
}

static velo::Result<void> run() {
  std::string folder = (std::filesystem::temp_directory_path() / "velo-example-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return velo::make_error(velo::Errc::io, folder);
  Child child;
  child.id = ::fork();  // before the first node: threads do not survive it
  if (child.id == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // if this process is killed
    auto served = serve(folder);
    std::_Exit(served ? 0 : 1);
  }
  auto found = find(folder);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return found;
}

}  // namespace peer_discovery

int main() {
  auto ended = peer_discovery::run();
  if (!ended) std::fprintf(stderr, "peer_discovery: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
