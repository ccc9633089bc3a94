// SPDX-License-Identifier: Apache-2.0
// What happens between the two sides of a simulated stream: segments, their arrival, stalls,
// time-outs and resets.

#include "connection.hpp"
#include "node_impl.hpp"

#include <algorithm>
#include <cerrno>

namespace velo::sim::detail {

namespace connection_wire_detail {
constexpr std::uint64_t fragment_gap_max = 2'000;
}

/// Whether a segment that leaves `from` now gets through: no partition, and a machine that answers.
bool Connection::path_open(Side from) const noexcept {
  const NodeImpl& to = ends_[1 - from].node;
  return !to.silent() && !core().links.blocked(ends_[from].node, to);
}

// ---- sending ----

void Connection::transmit(Side from, std::size_t bytes) {
  const SimOptions& options = core().options;
  SimRandom& random = core().network_random;
  const LinkOptions& link = core().links.find(ends_[from].node, ends_[1 - from].node);
  const std::uint32_t loss = link.reset_per_million_segments +
                             core().links.extra_loss(ends_[from].node, ends_[1 - from].node);
  for (bool first = true; bytes != 0; first = false) {
    std::size_t length = std::min(bytes, options.segment_bytes_max);
    if (length > 1 && random.chance(options.fragment_per_million)) {
      // Small first parts cut headers; even parts cut payloads.
      const std::size_t within =
          random.chance(500'000) ? std::min<std::size_t>(length - 1, 16) : length - 1;
      length = 1 + random.pick(within);
    }
    Segment segment{0, static_cast<std::uint32_t>(length), Segment::Kind::data, false};
    if (!first) {
      segment.arrival =
          directions_[from].last_arrival + 1 +
          static_cast<std::int64_t>(random.pick(connection_wire_detail::fragment_gap_max));
    }
    send(from, segment);
    bytes -= length;
    if (random.chance(loss)) return reset();
  }
}

void Connection::send(Side from, Segment segment) {
  Direction& direction = directions_[from];
  const std::int64_t arrival = core().links.arrival(
      ends_[from].node, ends_[1 - from].node, segment.length, core().now, core().network_random);
  segment.arrival = std::max({arrival, segment.arrival, direction.last_arrival});
  direction.last_arrival = segment.arrival;
  direction.segments.push_back(segment);
  if (!direction.stalled && !direction.arrival.scheduled()) arm(direction.arrival, segment.arrival);
}

void Connection::send_reset(Side from, bool forced) {
  End& end = ends_[from];
  if (end.reset_sent) return;
  end.reset_sent = true;
  send(from, Segment{0, 0, Segment::Kind::reset, forced});
}

/// Drops the segments in flight, or a random number of the last ones.
void Connection::lose_in_flight(Side from, bool all) {
  Direction& direction = directions_[from];
  std::size_t lost = direction.segments.size();
  if (!all) lost = core().network_random.pick(lost + 1);
  for (; lost != 0; --lost) {
    direction.data.discard_back(direction.segments.back().length);
    direction.segments.pop_back();
  }
  if (direction.segments.empty() && direction.arrival.scheduled()) disarm(direction.arrival);
}

void Connection::reset() {
  if (!ends_[client_side].usable() && !ends_[server_side].usable()) return;
  ++core().stats.resets;
  for (const Side from : {client_side, server_side}) {
    Direction& direction = directions_[from];
    lose_in_flight(from, direction.stalled);
    if (direction.timeout.scheduled()) disarm(direction.timeout);
    direction.stalled = direction.ack_stalled = false;
    ends_[from].reset_sent = false;  // an injected reset arrives even where the end's own cannot
    send_reset(from, true);
  }
}

// ---- arriving ----

void Connection::Arrival::fire() {
  const Ref<Connection> keep = Ref<Connection>::adopt(&connection);
  connection.on_arrival(side);
}

void Connection::on_arrival(Side from) {
  Direction& direction = directions_[from];
  while (!direction.segments.empty()) {
    const Segment segment = direction.segments.front();
    if (segment.arrival > core().now) {
      if (!direction.arrival.scheduled()) arm(direction.arrival, segment.arrival);
      return;
    }
    if (!segment.forced && !path_open(from)) return stall(from);
    direction.segments.pop_front();
    deliver(from, segment);
  }
}

void Connection::deliver(Side from, const Segment& segment) {
  End& receiver = ends_[1 - from];
  switch (segment.kind) {
    case Segment::Kind::data: return deliver_data(from, segment.length);
    case Segment::Kind::finish:
      core().trace(receiver.node, TraceKind::end_of_stream, trace_id(1 - from), 0);
      receiver.finished = true;
      return notify_readable(1 - from);
    case Segment::Kind::reset:
      core().trace(receiver.node, TraceKind::reset, trace_id(1 - from), segment.forced);
      // A reset may destroy what arrived but was not read yet; some systems do, some do not.
      if (core().network_random.chance(500'000)) discard_readable(from);
      return fail(1 - from, ECONNRESET);
  }
}

void Connection::deliver_data(Side from, std::size_t bytes) {
  Direction& direction = directions_[from];
  End& receiver = ends_[1 - from];
  ++core().stats.segments;
  core().trace(receiver.node, TraceKind::segment, trace_id(1 - from), bytes);
  if (!receiver.usable()) {
    discard_readable(from);
    direction.data.discard_front(bytes);
    return send_reset(1 - from, false);
  }
  direction.readable += bytes;
  if (core().links.blocked(receiver.node, ends_[from].node)) {
    direction.ack_stalled = true;
    watch(from);
  }
  notify_readable(1 - from);
}

// ---- what cannot pass ----

void Connection::stall(Side from) {
  directions_[from].stalled = true;
  watch(from);
}

void Connection::watch(Side from) {
  Direction& direction = directions_[from];
  if (direction.timeout.scheduled()) return;
  arm(direction.timeout, core().now + core().options.connection_timeout.count());
}

void Connection::Timeout::fire() {
  const Ref<Connection> keep = Ref<Connection>::adopt(&connection);
  connection.on_timeout(side);
}

void Connection::on_timeout(Side from) {
  core().trace(ends_[from].node, TraceKind::timed_out, trace_id(from), 0);
  Direction& direction = directions_[from];
  lose_in_flight(from, true);
  direction.stalled = direction.ack_stalled = false;
  direction.unacknowledged = 0;
  fail(from, ETIMEDOUT);
}

void Connection::paths_changed() {
  const Ref<Connection> keep(this);
  for (const Side from : {client_side, server_side}) resume_direction(from);
}

void Connection::resume_direction(Side from) {
  Direction& direction = directions_[from];
  const NodeImpl& sender = ends_[from].node;
  const NodeImpl& receiver = ends_[1 - from].node;
  if (direction.stalled && path_open(from)) {
    direction.stalled = false;
    std::int64_t at = core().links.arrival(sender, receiver, 0, core().now, core().network_random);
    for (std::size_t i = 0; i < direction.segments.size(); ++i) {
      at = std::max(at, direction.segments[i].arrival);
      direction.segments[i].arrival = at;
    }
    direction.last_arrival = std::max(direction.last_arrival, at);
    arm(direction.arrival, direction.segments.front().arrival);
  }
  if (direction.ack_stalled && !core().links.blocked(receiver, sender)) {
    direction.ack_stalled = false;
    direction.unacknowledged = 0;
    wake_writer(from);
  }
  if (!direction.stalled && !direction.ack_stalled && direction.timeout.scheduled()) {
    disarm(direction.timeout);
  }
}

// ---- ends of nodes and of the simulation ----

void Connection::node_crashed(NodeImpl& node, bool silent) {
  for (const Side side : {client_side, server_side}) {
    End& end = ends_[side];
    if (&end.node != &node) continue;
    end.events = nullptr;
    discard_readable(1 - side);
    if (end.error == 0) end.error = ECONNRESET;
    lose_in_flight(side, silent && directions_[side].stalled);
    if (silent) {
      end.reset_sent = false;
    } else {
      send_reset(side, false);
    }
  }
  ended_here();
}

void Connection::simulation_ended() {
  const Ref<Connection> keep(this);
  for (const Side side : {client_side, server_side}) {
    End& end = ends_[side];
    end.events = nullptr;
    if (end.error == 0) end.error = ECONNRESET;
    directions_[side].segments.clear();
    discard_readable(side);
    for (Event* event : {static_cast<Event*>(&end.write_wake), static_cast<Event*>(&end.read_retry),
                         static_cast<Event*>(&directions_[side].arrival),
                         static_cast<Event*>(&directions_[side].timeout)}) {
      if (event->scheduled()) disarm(*event);
    }
  }
  leave_open_list();
}

}  // namespace velo::sim::detail
