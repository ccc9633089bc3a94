// SPDX-License-Identifier: Apache-2.0
// What the two sides of a simulated stream see and do: reading, writing, closing, and being told.

#include "connection.hpp"

#include "node_impl.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace velo::sim::detail {

namespace connection_detail {

class StreamHandle final : public ByteStream {
 public:
  StreamHandle(Connection& connection, Side side) noexcept
      : connection_(&connection), side_(side) {}
  ~StreamHandle() override { connection_->close(side_); }

  void attach(StreamEvents& events) override { connection_->attach(side_, events); }
  IoResult try_read(std::span<std::byte> into) noexcept override {
    return connection_->read(side_, into);
  }
  IoResult try_write(std::span<const iovec> from) noexcept override {
    return connection_->write(side_, from);
  }
  void want_write() noexcept override { connection_->want_write(side_); }
  void close() noexcept override { connection_->close(side_); }
  Shard& shard() noexcept override { return connection_->shard(side_); }
  Endpoint remote() const override { return connection_->remote(side_); }
  std::optional<PeerCredentials> peer_credentials() const override {
    if (remote().kind != Endpoint::Kind::unix_socket) return std::nullopt;
    return connection_->node(1 - side_).credentials();
  }

 private:
  Ref<Connection> connection_;
  Side side_;
};

static IoResult failed(int error) noexcept { return {IoResult::Status::error, 0, error}; }

/// A blocked writer is told when this part of the window is free.
constexpr std::size_t wake_fraction = 4;
constexpr std::int64_t slow_read_interval = 1'000'000;

}  // namespace connection_detail

Connection::Connection(Core& the_core, const EndInit& client, const EndInit& server)
    : Resource(the_core),
      id_(the_core.next_connection++),
      list_index_(the_core.connections.size()),
      ends_{End(*this, client_side, client), End(*this, server_side, server)},
      directions_{Direction(*this, client_side), Direction(*this, server_side)} {
  directions_[client_side].window_bytes = client.window_bytes;
  directions_[server_side].window_bytes = server.window_bytes;
  the_core.connections.push_back(this);
  ++the_core.stats.connections_opened;
}

Connection::~Connection() {
  if (has_core()) leave_open_list();
}

std::unique_ptr<ByteStream> Connection::open(Side side) {
  return std::make_unique<connection_detail::StreamHandle>(*this, side);
}

void Connection::server_data_not_before(std::int64_t at) noexcept {
  std::int64_t& last = directions_[server_side].last_arrival;
  last = std::max(last, at);
}

void Connection::attach(Side side, StreamEvents& events) {
  End& end = ends_[side];
  if (end.closed || !has_core() || !end.node.alive()) return;
  end.events = &events;
  if (directions_[1 - side].readable != 0 || end.finished || end.error != 0) notify_readable(side);
}

IoResult Connection::read(Side side, std::span<std::byte> into) {
  End& end = ends_[side];
  Direction& incoming = directions_[1 - side];
  if (end.closed) return connection_detail::failed(EBADF);
  if (into.empty()) return {};
  std::size_t count = std::min(incoming.readable, into.size());
  if (count != 0 && end.node.read_limit() != 0) {
    count = std::min<std::size_t>(count, end.read_budget);
    end.read_budget -= static_cast<std::uint32_t>(count);
    if (count < incoming.readable && !end.read_retry.scheduled()) {
      arm(end.read_retry, core().now + connection_detail::slow_read_interval);
    }
    if (count == 0) return {IoResult::Status::would_block, 0, 0};
  }
  if (count == 0) {
    end.end_told = end.error != 0 || end.finished;
    if (end.error != 0) return connection_detail::failed(end.error);
    return {end.finished ? IoResult::Status::end : IoResult::Status::would_block, 0, 0};
  }
  incoming.data.pop_front(into.first(count));
  incoming.readable -= count;
  if (core().links.blocked(end.node, ends_[1 - side].node)) {
    incoming.unacknowledged += count;
    incoming.ack_stalled = true;
    watch(1 - side);
  } else {
    wake_writer(1 - side);
  }
  // The reader may stop here, at a short read: what else there is to read is told again.
  if (incoming.readable == 0 && (end.finished || end.error != 0)) notify_readable(side);
  return {IoResult::Status::ok, count, 0};
}

IoResult Connection::write(Side side, std::span<const iovec> from) {
  End& end = ends_[side];
  Direction& outgoing = directions_[side];
  if (end.closed) return connection_detail::failed(EBADF);
  if (end.error != 0) return connection_detail::failed(end.error == ECONNRESET ? EPIPE : end.error);
  std::size_t total = 0;
  for (const iovec& part : from) total += part.iov_len;
  if (total == 0) return {};
  if (outgoing.used() >= outgoing.window_bytes) return {IoResult::Status::would_block, 0, 0};
  std::size_t accepted = std::min(total, outgoing.window_bytes - outgoing.used());
  if (accepted > 1 && core().network_random.chance(core().options.short_write_per_million)) {
    accepted = 1 + core().network_random.pick(accepted);
  }
  std::size_t left = accepted;
  for (const iovec& part : from) {
    const std::size_t count = std::min(left, part.iov_len);
    if (count != 0) outgoing.data.push_back({static_cast<const std::byte*>(part.iov_base), count});
    left -= count;
  }
  core().stats.stream_bytes += accepted;
  transmit(side, accepted);
  return {IoResult::Status::ok, accepted, 0};
}

void Connection::want_write(Side side) {
  End& end = ends_[side];
  if (end.closed || !has_core()) return;
  end.wants_write = true;
  if (end.error != 0) return notify_writable(side);
  const Direction& outgoing = directions_[side];
  const std::size_t free = outgoing.window_bytes - std::min(outgoing.used(), outgoing.window_bytes);
  if (free >= outgoing.window_bytes / connection_detail::wake_fraction && free != 0 &&
      !end.write_wake.scheduled()) {
    arm(end.write_wake, core().now);
  }
}

/// The reader of `side`'s direction made room; the news takes the way back.
void Connection::wake_writer(Side side) {
  End& end = ends_[side];
  const Direction& outgoing = directions_[side];
  if (!end.wants_write || end.write_wake.scheduled() || !end.usable()) return;
  const std::size_t free = outgoing.window_bytes - std::min(outgoing.used(), outgoing.window_bytes);
  if (free == 0 || free < outgoing.window_bytes / connection_detail::wake_fraction) return;
  arm(end.write_wake,
      core().links.arrival(ends_[1 - side].node, end.node, 0, core().now, core().network_random));
}

void Connection::close(Side side) {
  End& end = ends_[side];
  if (std::exchange(end.closed, true)) return;
  end.events = nullptr;
  if (!has_core()) return;
  const bool unread = directions_[1 - side].readable != 0;
  discard_readable(1 - side);
  if (end.error == 0 && !end.node.silent()) {
    if (unread) {
      lose_in_flight(side, false);
      send_reset(side, false);
    } else if (!end.reset_sent) {
      send(side, Segment{0, 0, Segment::Kind::finish, false});
    }
  }
  ended_here();
}

void Connection::fail(Side side, int error) {
  End& end = ends_[side];
  if (!end.usable()) return;
  end.error = error;
  end.end_told = false;
  notify_readable(side);
  if (end.wants_write) notify_writable(side);
  ended_here();
}

void Connection::discard_readable(Side from) {
  Direction& direction = directions_[from];
  direction.data.discard_front(direction.readable);
  direction.readable = 0;
}

void Connection::ended_here() noexcept {
  if (!ends_[client_side].usable() && !ends_[server_side].usable()) leave_open_list();
}

void Connection::leave_open_list() noexcept {
  if (!std::exchange(listed_, false)) return;
  auto& list = core().connections;
  list[list_index_] = list.back();
  list[list_index_]->list_index_ = list_index_;
  list.pop_back();
}

// ---- telling the user ----

void Connection::notify_readable(Side side) {
  End& end = ends_[side];
  if (end.events == nullptr || end.closed) return;
  if (std::exchange(end.readable_queued, true)) return;
  retain();
  end.shard.make_ready(end.readable);
}

void Connection::notify_writable(Side side) {
  End& end = ends_[side];
  if (end.events == nullptr || end.closed) return;
  if (std::exchange(end.writable_queued, true)) return;
  retain();
  end.shard.make_ready(end.writable);
}

void Connection::Readable::run() {
  const Ref<Connection> keep = Ref<Connection>::adopt(&connection);
  End& end = connection.ends_[side];
  end.readable_queued = false;
  if (end.closed || end.events == nullptr) return;
  if (end.end_told && connection.directions_[1 - side].readable == 0) return;
  connection.core().trace(end.node, TraceKind::readable, connection.trace_id(side),
                          connection.directions_[1 - side].readable);
  end.events->on_readable();
}

void Connection::Readable::discard() {
  connection.ends_[side].readable_queued = false;
  connection.release();
}

void Connection::Writable::run() {
  const Ref<Connection> keep = Ref<Connection>::adopt(&connection);
  End& end = connection.ends_[side];
  end.writable_queued = false;
  if (end.closed || end.events == nullptr || !std::exchange(end.wants_write, false)) return;
  connection.core().trace(end.node, TraceKind::writable, connection.trace_id(side), 0);
  end.events->on_writable();
}

void Connection::Writable::discard() {
  connection.ends_[side].writable_queued = false;
  connection.release();
}

void Connection::WriteWake::fire() {
  const Ref<Connection> keep = Ref<Connection>::adopt(&connection);
  connection.notify_writable(side);
}

void Connection::ReadRetry::fire() {
  const Ref<Connection> keep = Ref<Connection>::adopt(&connection);
  End& end = connection.ends_[side];
  end.read_budget = end.node.read_limit();
  if (connection.directions_[1 - side].readable != 0) connection.notify_readable(side);
}

}  // namespace velo::sim::detail
