// SPDX-License-Identifier: Apache-2.0
// The socket, who gets its datagrams, and whose turn it is to write.

#include "endpoint.hpp"

#include "context.hpp"

#include <velo/transport/interfaces.hpp>
#include <velo/transport/limits.hpp>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace velo::transport {
namespace endpoint_detail {

/// What flushed again in the same turn, because it was sent meanwhile; the rest has the next one.
constexpr int rounds_max = 4;
/// Of the first byte.
constexpr std::byte long_header{0x80};

static std::uint64_t number(const std::uint8_t* id) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, id, sizeof value);
  return value;
}

static std::string_view text(const std::uint8_t* id, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(id), size};
}

}  // namespace endpoint_detail

QuicEndpoint::QuicEndpoint(std::shared_ptr<QuicContext> context, Shard& shard)
    : context_(std::move(context)), shard_(shard) {}

QuicEndpoint::~QuicEndpoint() { sender_.detach(); }

Result<std::shared_ptr<QuicEndpoint>> QuicEndpoint::open(std::shared_ptr<QuicContext> context,
                                                         Shard& shard, const Endpoint& local) {
  std::shared_ptr<QuicEndpoint> made(new QuicEndpoint(std::move(context), shard));
  DatagramOptions options;
  options.socket_buffer_bytes = made->context_->options.socket_buffer_bytes;
  options.never_fragment = true;
  auto socket = made->context_->world.network().open_datagram(shard, local, options, *made);
  if (!socket) return socket.error();
  made->socket_ = std::move(*socket);
  Result<NetAddress> address = to_net_address(made->socket_->local());
  if (!address) return address.error();
  made->local_ = *address;
  made->any_address_ = is_unspecified(made->socket_->local().host);
  made->sender_.attach(*made->socket_, made->any_address_,
                       [endpoint = made.get()] { endpoint->schedule_turn(); });
  return made;
}

void QuicEndpoint::stop_listening() noexcept {
  if (accepts_ != nullptr) listened_ = true;
  accepts_ = nullptr;
  for (const auto& [number, pointer] : connections_) {
    auto& connection = static_cast<QuicConnection&>(*pointer);
    if (connection.is_incoming() && !connection.established()) connection.refuse();
  }
}

QuicConnection& QuicEndpoint::dial(const NetAddress& remote, ConnectHandler outcome) {
  ConnectionPtr pointer =
      ConnectionPtr::adopt(new QuicConnection(shared_from_this(), remote, std::move(outcome),
                                              context_->options.connect_timeout, next_connection_));
  auto& connection = static_cast<QuicConnection&>(*pointer);
  connections_.emplace(next_connection_++, std::move(pointer));
  connection.begin({local_, remote}, nullptr, GatePass());
  return connection;
}

void QuicEndpoint::schedule(QuicConnection& connection) {
  if (std::exchange(connection.scheduled, true)) return;
  dirty_.push_back(ConnectionPtr::share(connection));
  if (!sender_.blocked()) schedule_turn();
}

void QuicEndpoint::schedule_turn() {
  if (std::exchange(turn_pending_, true)) return;
  keep_ = shared_from_this();
  shard_.at_turn_end(
      Task0{[](void* argument) { static_cast<QuicEndpoint*>(argument)->turn_ended(); }, this});
}

void QuicEndpoint::turn_ended() {
  turn_pending_ = false;
  const std::shared_ptr<QuicEndpoint> self = std::move(keep_);
  for (int round = 0; round < endpoint_detail::rounds_max && !sender_.blocked(); ++round) {
    if (dirty_.empty()) return;
    flushing_.swap(dirty_);
    for (ConnectionPtr& pointer : flushing_) {
      auto& connection = static_cast<QuicConnection&>(*pointer);
      connection.scheduled = false;
      if (sender_.blocked()) {
        schedule(connection);
      } else {
        connection.flush();
      }
    }
    flushing_.clear();
  }
  if (dirty_.empty() || sender_.blocked()) return;
  // Others have their turn first.
  turn_pending_ = true;
  keep_ = self;
  shard_.post(
      Task0{[](void* argument) { static_cast<QuicEndpoint*>(argument)->turn_ended(); }, this});
}

void QuicEndpoint::add_id(const ngtcp2_cid& id, QuicConnection& connection) {
  ids_.insert_or_assign(endpoint_detail::number(id.data), &connection);
}

void QuicEndpoint::add_first_id(const ngtcp2_cid& id, QuicConnection& connection) {
  first_ids_.insert_or_assign(std::string(endpoint_detail::text(id.data, id.datalen)), &connection);
}

void QuicEndpoint::remove_id(const ngtcp2_cid& id) noexcept {
  ids_.erase(endpoint_detail::number(id.data));
}

void QuicEndpoint::forget(const QuicSession& session, const QuicConnection& owner) noexcept {
  for (const ngtcp2_cid& id : session.ids()) remove_id(id);
  for (const ngtcp2_cid& id : session.first_ids()) {
    const auto found = first_ids_.find(endpoint_detail::text(id.data, id.datalen));
    if (found != first_ids_.end() && found->second == &owner) first_ids_.erase(found);
  }
}

QuicConnection* QuicEndpoint::find(const ngtcp2_version_cid& ids) const {
  if (ids.dcidlen == quic_id_bytes) {
    const auto found = ids_.find(endpoint_detail::number(ids.dcid));
    if (found != ids_.end()) return found->second;
  }
  if (ids.version == 0 || first_ids_.empty()) return nullptr;
  const auto found = first_ids_.find(endpoint_detail::text(ids.dcid, ids.dcidlen));
  return found == first_ids_.end() ? nullptr : found->second;
}

std::span<std::byte> QuicEndpoint::lend_buffer(QuicSession& session) {
  if (buffer_ == nullptr) {
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(limits::read_buffer_bytes);
  }
  if (QuicSession* before = std::exchange(borrower_, &session)) before->park();
  return {buffer_.get(), limits::read_buffer_bytes};
}

void QuicEndpoint::give_buffer_back(const QuicSession& session) noexcept {
  if (borrower_ == &session) borrower_ = nullptr;
}

const NetAddress& QuicEndpoint::reached_at(const NetAddress& to) const noexcept {
  return any_address_ && to.port != 0 ? to : local_;
}

void QuicEndpoint::on_datagram(const NetAddress& source, const NetAddress& to, ByteSpan datagram) {
  const QuicRoute from{reached_at(to), source};
  context_->datagrams_received.fetch_add(1, std::memory_order_relaxed);
  // The library aborts when it is asked about nothing.
  if (datagram.empty()) {
    context_->datagrams_ignored.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  ngtcp2_version_cid ids{};
  const int decoded = ngtcp2_pkt_decode_version_cid(
      &ids, reinterpret_cast<const std::uint8_t*>(datagram.data()), datagram.size(), quic_id_bytes);
  if (decoded == 0) {
    if (QuicConnection* connection = find(ids)) return connection->receive(from, datagram);
  }
  context_->datagrams_ignored.fetch_add(1, std::memory_order_relaxed);
  if (decoded == NGTCP2_ERR_VERSION_NEGOTIATION) return answer_version(from, ids, datagram.size());
  if (decoded != 0) return;
  if (ids.dcidlen == quic_id_bytes &&
      answer_for_the_buried(from, endpoint_detail::number(ids.dcid), datagram.size())) {
    return;
  }
  if (ids.version != 0) return arrive(from, datagram);
  // A negotiation of versions, for nobody: RFC 9000, section 6.1, has it dropped.
  if ((datagram.front() & endpoint_detail::long_header) != std::byte{0}) return;
  answer_reset(from, ids, datagram);
}

void QuicEndpoint::on_batch_end() {
  if (QuicSession* before = std::exchange(borrower_, nullptr)) before->park();
}

void QuicEndpoint::remove(QuicConnection& connection, QuicSession* session) {
  if (session != nullptr) {
    std::vector<std::uint8_t> packet = session->last_words();
    if (!packet.empty()) {
      sender_.send_alone(std::as_bytes(std::span(packet)), session->route());
    }
    bury(*session, std::move(packet));
  }
  connections_.erase(connection.number());
}

void QuicEndpoint::bury(const QuicSession& session, std::vector<std::uint8_t> packet) {
  const TimePoint now = shard_.now();
  const auto epitaph = std::make_shared<Epitaph>();
  epitaph->packet = std::move(packet);
  Buried buried;
  buried.until = now + limits::quic_closed_kept_time;
  for (const ngtcp2_cid& id : session.ids()) {
    buried.ids.push_back(endpoint_detail::number(id.data));
    epitaphs_.insert_or_assign(buried.ids.back(), epitaph);
  }
  buried_.push_back(std::move(buried));
  while (buried_.size() > limits::quic_closed_kept_max || buried_.front().until <= now) {
    for (const std::uint64_t id : buried_.front().ids) epitaphs_.erase(id);
    buried_.pop_front();
    if (buried_.empty()) break;
  }
}

}  // namespace velo::transport
