// SPDX-License-Identifier: Apache-2.0
// Connecting in a simulated network.

#include "network_impl.hpp"
#include "node_impl.hpp"

#include <algorithm>
#include <utility>

namespace velo::sim::detail {

namespace connect_detail {

/// A lost SYN or SYN-ACK is repeated after this, then after twice as long, and so on.
constexpr std::int64_t first_repeat = 1'000'000'000;
constexpr std::int64_t repeat_max = 8'000'000'000;

class ConnectingHandle final : public Connecting {
 public:
  explicit ConnectingHandle(Ref<Attempt> attempt) noexcept : attempt_(std::move(attempt)) {}
  ~ConnectingHandle() override { attempt_->abandon(); }

 private:
  Ref<Attempt> attempt_;
};

}  // namespace connect_detail

Attempt::Attempt(Core& the_core, NodeImpl& node, ShardImpl& shard, Endpoint remote,
                 const ConnectOptions& options, StreamHandler done)
    : Resource(the_core),
      node_(node),
      shard_(shard),
      remote_(std::move(remote)),
      done_(std::move(done)),
      timeout_(options.timeout),
      window_bytes_(options.socket_buffer_bytes != 0 ? options.socket_buffer_bytes
                                                     : the_core.options.send_window_bytes),
      repeat_after_(connect_detail::first_repeat) {}

void Attempt::begin() {
  if (!node_.alive()) {
    phase_ = Phase::over;
    return;
  }
  arm(timeout_event_, (TimePoint(Duration(core().now)) + timeout_).nanoseconds());
  const NodeImpl* to = peer();
  if (to == nullptr) return;
  arm(step_, core().links.arrival(node_, *to, 0, core().now, core().network_random));
}

ListenerState* Attempt::find_listener() const noexcept {
  if (remote_.kind == Endpoint::Kind::unix_socket) {
    const auto& map = node_.machine().unix_listeners;
    const auto found = map.find(remote_.host);
    return found == map.end() ? nullptr : found->second;
  }
  const Machine* machine = core().find_machine(node_, remote_.host);
  if (machine == nullptr) return nullptr;
  const auto& map = remote_.is_loopback() ? machine->loopback_listeners : machine->listeners;
  const auto found = map.find(remote_.port);
  return found == map.end() ? nullptr : found->second;
}

NodeImpl* Attempt::peer() const noexcept {
  if (connection_) return &connection_->node(server_side);
  if (const ListenerState* listener = find_listener()) return &listener->node();
  const Machine* machine = core().find_machine(node_, remote_.host);
  if (remote_.kind == Endpoint::Kind::unix_socket) machine = &node_.machine();
  return machine == nullptr ? nullptr : &core().current(machine->first_node);
}

void Attempt::Step::fire() {
  const Ref<Attempt> keep = Ref<Attempt>::adopt(&attempt);
  if (attempt.phase_ == Phase::reaching) return attempt.reach();
  attempt.come_back();
}

void Attempt::Timeout::fire() {
  const Ref<Attempt> keep = Ref<Attempt>::adopt(&attempt);
  attempt.finish(Error(error_code(Errc::deadline_exceeded), Retry::elsewhere,
                       "connect to " + attempt.remote_.to_string() + ": timed out"));
}

void Attempt::repeat_later() {
  arm(step_, core().now + repeat_after_);
  repeat_after_ = std::min(repeat_after_ * 2, connect_detail::repeat_max);
}

void Attempt::reach() {
  NodeImpl* to = peer();
  if (to == nullptr) return;  // the address went away; only the time-out is left
  if (to->silent() || core().links.blocked(node_, *to)) return repeat_later();
  ListenerState* listener = find_listener();
  if (listener != nullptr && listener->backlog_full()) return repeat_later();
  const std::int64_t back = core().links.arrival(*to, node_, 0, core().now, core().network_random);
  arm(step_, back);
  if (listener == nullptr) {
    phase_ = Phase::refused;
    return;
  }
  phase_ = Phase::returning;
  Endpoint from = remote_;
  if (remote_.kind == Endpoint::Kind::tcp) {
    from = Endpoint::tcp(remote_.is_loopback() ? remote_.host : node_.host(),
                         node_.machine().take_port());
  }
  connection_ = Ref<Connection>(new Connection(
      core(), {node_, shard_, remote_, window_bytes_},
      {listener->node(), listener->shard(), std::move(from), listener->window_bytes()}));
  connection_->server_data_not_before(back);
  listener->offer(*connection_);
}

void Attempt::come_back() {
  const NodeImpl* from = peer();
  if (from == nullptr || core().links.blocked(*from, node_)) return repeat_later();
  if (phase_ == Phase::refused) {
    return finish(
        make_error(Errc::io, "connect to " + remote_.to_string() + ": connection refused"));
  }
  if (!connection_->usable(client_side)) {
    return finish(make_error(Errc::io, "connect to " + remote_.to_string() + ": connection reset"));
  }
  disarm(timeout_event_);
  phase_ = Phase::over;
  retain();
  shard_.make_ready(*this);
}

void Attempt::finish(Error error) {
  stop();
  error_ = std::move(error);
  retain();
  shard_.make_ready(*this);
}

/// Ends the attempt's own events, and a connection that nobody was given yet.
void Attempt::stop() noexcept {
  phase_ = Phase::over;
  if (step_.scheduled()) disarm(step_);
  if (timeout_event_.scheduled()) disarm(timeout_event_);
  if (connection_) std::exchange(connection_, {})->close(client_side);
}

void Attempt::abandon() noexcept {
  if (has_core()) stop();
  done_ = nullptr;
}

void Attempt::run() {
  const Ref<Attempt> keep = Ref<Attempt>::adopt(this);
  if (!done_) return;
  StreamHandler done = std::exchange(done_, nullptr);
  if (error_) {
    core().trace(node_, TraceKind::connect_failed, remote_.port, error_->code().value);
    return done(std::move(*error_));
  }
  const Ref<Connection> connection = std::exchange(connection_, {});
  core().trace(node_, TraceKind::connected, connection->id(), 0);
  done(connection->open(client_side));
}

void Attempt::discard() { release(); }

void Attempt::node_crashed(NodeImpl& node, bool) {
  if (&node == &node_) stop();
}

std::unique_ptr<Connecting> NetworkImpl::connect(Shard& shard, const Endpoint& remote,
                                                 const ConnectOptions& options,
                                                 StreamHandler done) {
  Ref<Attempt> attempt(
      new Attempt(core_, node_, static_cast<ShardImpl&>(shard), remote, options, std::move(done)));
  attempt->begin();
  return std::make_unique<connect_detail::ConnectingHandle>(std::move(attempt));
}

}  // namespace velo::sim::detail
