// SPDX-License-Identifier: Apache-2.0
// Listening and accepting in a simulated network.

#include "network_impl.hpp"
#include "node_impl.hpp"

#include <utility>

namespace velo::sim::detail {

namespace listener_detail {

/// An established connection that waits for the listener's shard.
class AcceptReady final : public Ready {
 public:
  AcceptReady(ListenerState& listener, Connection& connection) noexcept
      : listener_(&listener), connection_(&connection) {}
  void run() override { finish(true); }
  void discard() override { finish(false); }

 private:
  void finish(bool run) {
    const std::unique_ptr<AcceptReady> self(this);
    listener_->accept(*connection_, run);
  }
  Ref<ListenerState> listener_;
  Ref<Connection> connection_;
};

/// The maps of the machine that hold a TCP listener for this host.
static void erase(std::map<std::uint16_t, ListenerState*>& map, std::uint16_t port,
                  const ListenerState* listener) noexcept {
  const auto found = map.find(port);
  if (found != map.end() && found->second == listener) map.erase(found);
}

static bool is_any(const std::string& host) noexcept {
  return host.empty() || host == "0.0.0.0" || host == "::";
}

class ListenerHandle final : public Listener {
 public:
  explicit ListenerHandle(Ref<ListenerState> state) noexcept : state_(std::move(state)) {}
  ~ListenerHandle() override { state_->close(); }
  Endpoint local() const override { return state_->local(); }

 private:
  Ref<ListenerState> state_;
};

}  // namespace listener_detail

ListenerState::ListenerState(Core& the_core, NodeImpl& node, ShardImpl& shard, Endpoint local,
                             const ListenOptions& options, StreamHandler on_accept)
    : Resource(the_core),
      node_(node),
      shard_(shard),
      local_(std::move(local)),
      on_accept_(std::move(on_accept)),
      backlog_(options.backlog),
      window_bytes_(options.socket_buffer_bytes != 0 ? options.socket_buffer_bytes
                                                     : the_core.options.send_window_bytes) {
  Machine& machine = node_.machine();
  if (local_.kind == Endpoint::Kind::unix_socket) {
    machine.unix_listeners.emplace(local_.host, this);
    return;
  }
  if (!local_.is_loopback()) machine.listeners.emplace(local_.port, this);
  if (local_.is_loopback() || listener_detail::is_any(local_.host)) {
    machine.loopback_listeners.emplace(local_.port, this);
  }
}

void ListenerState::offer(Connection& connection) {
  ++waiting_;
  shard_.make_ready(*new listener_detail::AcceptReady(*this, connection));
}

void ListenerState::accept(Connection& connection, bool run) {
  --waiting_;
  if (!run || closed_) return connection.close(server_side);
  core().trace(node_, TraceKind::accepted, connection.id(), 0);
  on_accept_(connection.open(server_side));
}

void ListenerState::close() noexcept {
  if (std::exchange(closed_, true)) return;
  Machine& machine = node_.machine();
  if (local_.kind == Endpoint::Kind::unix_socket) {
    machine.unix_listeners.erase(local_.host);
  } else {
    listener_detail::erase(machine.listeners, local_.port, this);
    listener_detail::erase(machine.loopback_listeners, local_.port, this);
  }
}

void ListenerState::node_crashed(NodeImpl& node, bool) {
  if (&node == &node_) close();
}

// ---- network ----

Result<Endpoint> NetworkImpl::claim(const Endpoint& local, bool datagram, bool share) const {
  if (!node_.alive()) return make_error(Errc::shutting_down, "the simulated node is dead");
  Machine& machine = node_.machine();
  if (local.kind == Endpoint::Kind::unix_socket) {
    if (local.host.empty()) return make_error(Errc::invalid_argument, "a Unix socket needs a path");
    if (!machine.unix_listeners.contains(local.host)) return local;
    return make_error(Errc::already_exists, local.to_string() + ": in use");
  }
  const auto numeric = to_net_address(local);
  const bool group = datagram && numeric.has_value() && is_multicast(*numeric);
  if (!group && !listener_detail::is_any(local.host) && !local.is_loopback() &&
      local.host != machine.host) {
    return make_error(Errc::invalid_argument,
                      local.to_string() + ": not an address of this machine");
  }
  auto taken = [&](std::uint16_t port) {
    return datagram ? !machine.datagram_port_free(port, share)
                    : machine.listeners.contains(port) || machine.loopback_listeners.contains(port);
  };
  Endpoint claimed = local;
  if (local.port != 0) {
    if (taken(local.port)) return make_error(Errc::already_exists, local.to_string() + ": in use");
    return claimed;
  }
  for (int tries = 0; tries < 16384; ++tries) {
    claimed.port = node_.machine().take_port();
    if (!taken(claimed.port)) return claimed;
  }
  return make_error(Errc::overloaded, "no free port");
}

Result<std::unique_ptr<Listener>> NetworkImpl::listen(Shard& shard, const Endpoint& local,
                                                      const ListenOptions& options,
                                                      StreamHandler on_accept) {
  Result<Endpoint> claimed = claim(local, false);
  if (!claimed) return claimed.error();
  Ref<ListenerState> state(new ListenerState(core_, node_, static_cast<ShardImpl&>(shard),
                                             std::move(*claimed), options, std::move(on_accept)));
  return std::unique_ptr<Listener>(
      std::make_unique<listener_detail::ListenerHandle>(std::move(state)));
}

PeerCredentials NetworkImpl::own_credentials() const { return node_.credentials(); }

std::vector<InterfaceAddress> NetworkImpl::interfaces() {
  InterfaceAddress loopback;
  loopback.name = "lo";
  loopback.address = "127.0.0.1";
  loopback.prefix_bits = 8;
  loopback.up = true;
  loopback.loopback = true;
  InterfaceAddress ethernet;
  ethernet.name = "sim0";
  ethernet.address = node_.host();
  ethernet.prefix_bits = 8;
  ethernet.up = true;
  ethernet.multicast = true;
  loopback.index = 1;
  ethernet.index = 2;
  return {loopback, ethernet};
}

}  // namespace velo::sim::detail
