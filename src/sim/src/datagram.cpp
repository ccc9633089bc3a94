// SPDX-License-Identifier: Apache-2.0
// Datagrams in a simulated network, to one socket or to a group's members: lost, doubled and
// overtaken as the link says.

#include "network_impl.hpp"
#include "node_impl.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace velo::sim::detail {

namespace datagram_detail {

constexpr std::size_t datagram_bytes_max = 65507;
/// A socket whose node does not come to read holds this many; more are lost.
constexpr int waiting_max = 256;
constexpr int reorder_latencies = 4;

/// The endpoints that the simulation itself made are numeric.
static NetAddress numeric(const Endpoint& endpoint) {
  const auto address = to_net_address(endpoint);
  return address.has_value() ? *address : NetAddress();
}

/// One datagram between two sockets, and then in the receiver's queue.
class Datagram final : public Resource, private Event, private Ready {
 public:
  /// To `member`, or to whoever has the port of `machine` when it arrives.
  Datagram(Core& the_core, NodeImpl& from_node, const Endpoint& from, const Endpoint& to,
           Machine& machine, DatagramState* member, Bytes contents)
      : Resource(the_core),
        from_node_(from_node),
        from_(numeric(from)),
        to_(numeric(to)),
        machine_(machine),
        socket_(member),
        contents_(std::move(contents)) {}

  void travel(std::int64_t arrival) { arm(*this, arrival); }
  void node_crashed(NodeImpl&, bool) override {}
  void simulation_ended() override {
    if (scheduled()) disarm(*this);
  }

 private:
  void fire() override {
    const Ref<Datagram> keep = Ref<Datagram>::adopt(this);
    if (!socket_) {
      const auto found = machine_.datagram_sockets.find(to_.port);
      if (found == machine_.datagram_sockets.end()) return lose();
      socket_ = Ref<DatagramState>(found->second.back());
    }
    if (core().links.blocked(from_node_, socket_->node())) return lose();
    retain();
    if (socket_->offer(*this)) return;
    release();
    lose();
  }
  void lose() {
    ++core().stats.datagrams_lost;
    core().trace(from_node_, TraceKind::datagram_lost, to_.port, contents_.size());
  }
  void run() override { finish(true); }
  void discard() override { finish(false); }
  void finish(bool run) {
    const Ref<Datagram> keep = Ref<Datagram>::adopt(this);
    socket_->receive(from_, to_, contents_, run);
  }

  NodeImpl& from_node_;
  NetAddress from_;
  NetAddress to_;
  Machine& machine_;
  Ref<DatagramState> socket_;
  Bytes contents_;
};

class SocketHandle final : public DatagramSocket {
 public:
  explicit SocketHandle(Ref<DatagramState> state) noexcept : state_(std::move(state)) {}
  ~SocketHandle() override { state_->close(); }
  Endpoint local() const override { return state_->local(); }
  IoResult try_send(const Endpoint& to, ByteSpan datagram) noexcept override {
    return state_->send(to, datagram);
  }

 private:
  Ref<DatagramState> state_;
};

template <class Sockets, class Key>
static void remove_from(Sockets& sockets, const Key& key, const DatagramState* one) {
  const auto found = sockets.find(key);
  if (found == sockets.end()) return;
  std::erase(found->second, one);
  if (found->second.empty()) sockets.erase(found);
}

}  // namespace datagram_detail

DatagramState::DatagramState(Core& the_core, NodeImpl& node, ShardImpl& shard, Endpoint local,
                             const DatagramOptions& options, DatagramEvents& events)
    : Resource(the_core),
      node_(node),
      shard_(shard),
      local_(std::move(local)),
      options_(options),
      events_(events) {}

Result<void> DatagramState::start() {
  const std::string& interface = options_.interface_address;
  if (!interface.empty() && !by_loopback() && interface != node_.host() && interface != "%2") {
    return make_error(Errc::invalid_argument, "no interface has the address " + interface);
  }
  for (const std::string& text : options_.multicast_groups) {
    const auto group = to_net_address(Endpoint::tcp(text, local_.port));
    if (!group.has_value()) return group.error();
    if (!is_multicast(*group)) return make_error(Errc::invalid_argument, text + " is no group");
    if (std::find(groups_.begin(), groups_.end(), *group) == groups_.end()) {
      groups_.push_back(*group);
    }
  }
  for (const NetAddress& group : groups_) core().groups[group].push_back(this);
  node_.machine().datagram_sockets[local_.port].push_back(this);
  return {};
}

bool DatagramState::by_loopback() const noexcept {
  const std::string& interface = options_.interface_address;
  return interface == "::1" || interface == "%1" || interface.starts_with("127.");
}

IoResult DatagramState::send(const Endpoint& to, ByteSpan datagram) {
  if (closed_) return {IoResult::Status::error, 0, EBADF};
  if (datagram.size() > datagram_detail::datagram_bytes_max) {
    return {IoResult::Status::error, 0, EMSGSIZE};
  }
  ++core().stats.datagrams;
  const IoResult sent{IoResult::Status::ok, datagram.size(), 0};
  Machine* machine = core().find_machine(node_, to.host);
  if (machine != nullptr) {
    NodeImpl& there = core().current(machine->first_node);
    send_to(there, to, Bytes::copy(datagram), *machine, nullptr);
  } else if (const auto group = to_net_address(to); group.has_value() && is_multicast(*group)) {
    send_to_group(*group, datagram);
  }
  return sent;
}

void DatagramState::send_to_group(const NetAddress& group, ByteSpan datagram) {
  NetAddress unscoped = group;
  unscoped.scope = 0;
  const auto members = core().groups.find(unscoped);
  if (members == core().groups.end()) return;
  const Endpoint to = to_endpoint(unscoped);
  const Bytes contents = Bytes::copy(datagram);
  for (DatagramState* member : members->second) {
    Machine& machine = member->node().machine();
    const bool same_host = &machine == &node_.machine();
    if (member->by_loopback() != by_loopback()) continue;
    if (same_host ? !options_.multicast_loopback : by_loopback() || options_.multicast_hops == 0) {
      continue;
    }
    send_to(member->node(), to, contents, machine, member);
  }
}

void DatagramState::send_to(NodeImpl& there, const Endpoint& to, const Bytes& datagram,
                            Machine& machine, DatagramState* member) {
  SimRandom& random = core().network_random;
  const LinkOptions& link = core().links.find(node_, there);
  if (random.chance(link.datagram_loss_per_million + core().links.extra_loss(node_, there))) {
    ++core().stats.datagrams_lost;
    core().trace(node_, TraceKind::datagram_lost, to.port, datagram.size());
    return;
  }
  put_on_the_wire(there, to, datagram, machine, member);
  if (random.chance(link.datagram_duplicate_per_million)) {
    put_on_the_wire(there, to, datagram, machine, member);
  }
}

void DatagramState::put_on_the_wire(NodeImpl& there, const Endpoint& to, const Bytes& datagram,
                                    Machine& machine, DatagramState* member) {
  SimRandom& random = core().network_random;
  const LinkOptions& link = core().links.find(node_, there);
  std::int64_t at = core().links.arrival(node_, there, datagram.size(), core().now, random);
  if (random.chance(link.datagram_reorder_per_million)) {
    for (int i = 0; i < datagram_detail::reorder_latencies; ++i) at += sample(link.latency, random);
  }
  Endpoint from = local_;
  if (!from.is_loopback()) from.host = to.is_loopback() ? to.host : node_.host();
  const Ref<datagram_detail::Datagram> travelling(
      new datagram_detail::Datagram(core(), node_, from, to, machine, member, datagram));
  travelling->travel(at);
}

bool DatagramState::offer(Ready& datagram) {
  if (closed_ || waiting_ >= datagram_detail::waiting_max) return false;
  ++waiting_;
  shard_.make_ready(datagram);
  return true;
}

void DatagramState::receive(const NetAddress& from, const NetAddress& to, ByteSpan datagram,
                            bool run) {
  --waiting_;
  if (!run || closed_) return;
  core().trace(node_, TraceKind::datagram, local_.port, datagram.size());
  if (!std::exchange(batch_open_, true)) {
    retain();
    shard_.make_ready(batch_end_);
  }
  events_.on_datagram(from, to, datagram);
}

void DatagramState::end_batch(bool run) {
  const Ref<DatagramState> keep = Ref<DatagramState>::adopt(this);
  batch_open_ = false;
  if (run && !closed_) events_.on_batch_end();
}

void DatagramState::close() noexcept {
  if (std::exchange(closed_, true)) return;
  datagram_detail::remove_from(node_.machine().datagram_sockets, local_.port, this);
  if (!has_core()) return;
  for (const NetAddress& group : groups_) {
    datagram_detail::remove_from(core().groups, group, this);
  }
}

void DatagramState::node_crashed(NodeImpl& node, bool) {
  if (&node == &node_) close();
}

Result<std::unique_ptr<DatagramSocket>> NetworkImpl::open_datagram(Shard& shard,
                                                                   const Endpoint& local,
                                                                   const DatagramOptions& options,
                                                                   DatagramEvents& events) {
  if (local.kind != Endpoint::Kind::tcp) {
    return make_error(Errc::unsupported, "datagrams have a host and a port");
  }
  Result<Endpoint> claimed = claim(local, true, options.share_port);
  if (!claimed) return claimed.error();
  Ref<DatagramState> state(new DatagramState(core_, node_, static_cast<ShardImpl&>(shard),
                                             std::move(*claimed), options, events));
  Result<void> started = state->start();
  if (!started) return started.error();
  return std::unique_ptr<DatagramSocket>(
      std::make_unique<datagram_detail::SocketHandle>(std::move(state)));
}

}  // namespace velo::sim::detail
