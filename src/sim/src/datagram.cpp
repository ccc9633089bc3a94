// SPDX-License-Identifier: Apache-2.0
// Datagrams in a simulated network: lost, doubled and overtaken as the link says.

#include "network_impl.hpp"
#include "node_impl.hpp"

#include <cerrno>
#include <utility>

namespace velo::sim::detail {

namespace datagram_detail {

constexpr std::size_t datagram_bytes_max = 65507;
/// A socket whose node does not come to read holds this many; more are lost.
constexpr int waiting_max = 256;
constexpr int reorder_latencies = 4;

/// One datagram between two sockets, and then in the receiver's queue.
class Datagram final : public Resource, private Event, private Ready {
 public:
  Datagram(Core& the_core, NodeImpl& from_node, Endpoint from, Machine& to, std::uint16_t port,
           ByteSpan contents)
      : Resource(the_core),
        from_node_(from_node),
        from_(std::move(from)),
        to_(to),
        port_(port),
        contents_(contents.begin(), contents.end()) {}

  void travel(std::int64_t arrival) { arm(*this, arrival); }
  void node_crashed(NodeImpl&, bool) override {}
  void simulation_ended() override {
    if (scheduled()) disarm(*this);
  }

 private:
  void fire() override {
    const Ref<Datagram> keep = Ref<Datagram>::adopt(this);
    const auto found = to_.datagram_sockets.find(port_);
    if (found == to_.datagram_sockets.end()) return lose();
    socket_ = Ref<DatagramState>(found->second);
    if (core().links.blocked(from_node_, socket_->node())) return lose();
    retain();
    if (socket_->offer(*this)) return;
    release();
    lose();
  }
  void lose() {
    ++core().stats.datagrams_lost;
    core().trace(from_node_, TraceKind::datagram_lost, port_, contents_.size());
  }
  void run() override { finish(true); }
  void discard() override { finish(false); }
  void finish(bool run) {
    const Ref<Datagram> keep = Ref<Datagram>::adopt(this);
    socket_->receive(from_, contents_, run);
  }

  NodeImpl& from_node_;
  Endpoint from_;
  Machine& to_;
  std::uint16_t port_;
  std::vector<std::byte> contents_;
  Ref<DatagramState> socket_;
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

}  // namespace datagram_detail

DatagramState::DatagramState(Core& the_core, NodeImpl& node, ShardImpl& shard, Endpoint local,
                             DatagramHandler handler)
    : Resource(the_core),
      node_(node),
      shard_(shard),
      local_(std::move(local)),
      handler_(std::move(handler)) {
  node_.machine().datagram_sockets.emplace(local_.port, this);
}

IoResult DatagramState::send(const Endpoint& to, ByteSpan datagram) {
  if (closed_) return {IoResult::Status::error, 0, EBADF};
  if (datagram.size() > datagram_detail::datagram_bytes_max) {
    return {IoResult::Status::error, 0, EMSGSIZE};
  }
  ++core().stats.datagrams;
  Machine* machine = core().find_machine(node_, to.host);
  const IoResult sent{IoResult::Status::ok, datagram.size(), 0};
  if (machine == nullptr) return sent;
  SimRandom& random = core().network_random;
  const NodeImpl& there = core().current(machine->first_node);
  const LinkOptions& link = core().links.find(node_, there);
  if (random.chance(link.datagram_loss_per_million + core().links.extra_loss(node_, there))) {
    ++core().stats.datagrams_lost;
    core().trace(node_, TraceKind::datagram_lost, to.port, datagram.size());
    return sent;
  }
  put_on_the_wire(to, *machine, datagram);
  if (random.chance(link.datagram_duplicate_per_million)) put_on_the_wire(to, *machine, datagram);
  return sent;
}

void DatagramState::put_on_the_wire(const Endpoint& to, Machine& machine, ByteSpan datagram) {
  NodeImpl& there = core().current(machine.first_node);
  SimRandom& random = core().network_random;
  const LinkOptions& link = core().links.find(node_, there);
  std::int64_t at = core().links.arrival(node_, there, datagram.size(), core().now, random);
  if (random.chance(link.datagram_reorder_per_million)) {
    for (int i = 0; i < datagram_detail::reorder_latencies; ++i) at += sample(link.latency, random);
  }
  Endpoint from = local_;
  if (!from.is_loopback()) from.host = to.is_loopback() ? to.host : node_.host();
  const Ref<datagram_detail::Datagram> travelling(
      new datagram_detail::Datagram(core(), node_, std::move(from), machine, to.port, datagram));
  travelling->travel(at);
}

bool DatagramState::offer(Ready& datagram) {
  if (closed_ || waiting_ >= datagram_detail::waiting_max) return false;
  ++waiting_;
  shard_.make_ready(datagram);
  return true;
}

void DatagramState::receive(const Endpoint& from, ByteSpan datagram, bool run) {
  --waiting_;
  if (!run || closed_) return;
  core().trace(node_, TraceKind::datagram, local_.port, datagram.size());
  handler_(from, datagram);
}

void DatagramState::close() noexcept {
  if (std::exchange(closed_, true)) return;
  node_.machine().datagram_sockets.erase(local_.port);
}

void DatagramState::node_crashed(NodeImpl& node, bool) {
  if (&node == &node_) close();
}

Result<std::unique_ptr<DatagramSocket>> NetworkImpl::bind_datagram(Shard& shard,
                                                                   const Endpoint& local,
                                                                   DatagramHandler on_datagram) {
  if (local.kind != Endpoint::Kind::tcp) {
    return make_error(Errc::unsupported, "datagrams have a host and a port");
  }
  Result<Endpoint> claimed = claim(local, true);
  if (!claimed) return claimed.error();
  Ref<DatagramState> state(new DatagramState(core_, node_, static_cast<ShardImpl&>(shard),
                                             std::move(*claimed), std::move(on_datagram)));
  return std::unique_ptr<DatagramSocket>(
      std::make_unique<datagram_detail::SocketHandle>(std::move(state)));
}

}  // namespace velo::sim::detail
