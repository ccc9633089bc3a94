// SPDX-License-Identifier: Apache-2.0
// Packets that belong to no connection: first ones, which are let in, asked to show where they come
// from, or refused; and others, of which the sender is told that nobody is there. No answer is
// larger than what it answers, and nothing is kept for who was not let in.

#include "context.hpp"
#include "endpoint.hpp"

#include <velo/transport/limits.hpp>

#include <ngtcp2/ngtcp2_crypto.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>
#include <utility>

namespace velo::transport {
namespace endpoint_arrivals_detail {

constexpr std::size_t stateless_bytes_max = 1200;
/// RFC 9000, section 8.1.
constexpr std::size_t amplification_max = 3;
/// The answer is shorter than what it answers, and not below what a reset has at least.
constexpr std::size_t reset_bytes_min =
    NGTCP2_MIN_STATELESS_RESET_RANDLEN + NGTCP2_STATELESS_RESET_TOKENLEN + 1;

static bool per_source(GateRefusal reason) noexcept {
  return reason == GateRefusal::source_connections ||
         reason == GateRefusal::source_unauthenticated || reason == GateRefusal::source_rate;
}

}  // namespace endpoint_arrivals_detail

namespace arrivals = endpoint_arrivals_detail;

void QuicEndpoint::send_stateless(const QuicRoute& to, std::span<const std::uint8_t> packet) {
  context_->stateless_bytes_out.fetch_add(packet.size(), std::memory_order_relaxed);
  sender_.send_alone(std::as_bytes(packet), to);
}

void QuicEndpoint::answer_version(const QuicRoute& from, const ngtcp2_version_cid& ids,
                                  std::size_t size) {
  context_->unvalidated_bytes_in.fetch_add(size, std::memory_order_relaxed);
  if (accepts_ == nullptr || size < NGTCP2_MAX_UDP_PAYLOAD_SIZE) return;
  std::array<std::uint8_t, arrivals::stateless_bytes_max> packet;
  const std::uint64_t random = context_->world.random().next();
  const std::array<std::uint32_t, 1> versions{NGTCP2_PROTO_VER_V1};
  const ngtcp2_ssize written = ngtcp2_pkt_write_version_negotiation(
      packet.data(), packet.size(), static_cast<std::uint8_t>(random), ids.scid, ids.scidlen,
      ids.dcid, ids.dcidlen, versions.data(), versions.size());
  if (written <= 0) return;
  context_->versions_sent.fetch_add(1, std::memory_order_relaxed);
  send_stateless(from, std::span(packet).first(static_cast<std::size_t>(written)));
}

bool QuicEndpoint::answer_for_the_buried(const QuicRoute& from, std::uint64_t id,
                                         std::size_t size) {
  const auto found = epitaphs_.find(id);
  if (found == epitaphs_.end()) return false;
  Epitaph& epitaph = *found->second;
  // Who repeats a few bytes of it may be anybody: as before an address is known.
  if (epitaph.packet.size() > arrivals::amplification_max * size) return true;
  // The more is heard, the more rarely it is answered.
  if (!epitaph.packet.empty() && std::has_single_bit(++epitaph.heard)) {
    send_stateless(from, epitaph.packet);
  }
  return true;
}

void QuicEndpoint::answer_reset(const QuicRoute& from, const ngtcp2_version_cid& ids,
                                ByteSpan datagram) {
  const std::size_t size = datagram.size();
  if (size < arrivals::reset_bytes_min) return;
  const TimePoint now = shard_.now();
  if (now - resets_since_ >= std::chrono::seconds(1)) {
    resets_since_ = now;
    resets_ = 0;
  }
  if (++resets_ > limits::quic_resets_per_second) return;
  // It may itself be a reset, which carries no id of ours: who has this peer can tell.
  for (const auto& [number, pointer] : connections_) {
    auto& connection = static_cast<QuicConnection&>(*pointer);
    if (!connection.is_with(from.there)) continue;
    connection.receive(from, datagram);
    if (connection.ended()) return;
  }
  ngtcp2_cid id;
  ngtcp2_cid_init(&id, ids.dcid, ids.dcidlen);
  std::array<std::uint8_t, NGTCP2_STATELESS_RESET_TOKENLEN> token;
  if (ngtcp2_crypto_generate_stateless_reset_token(token.data(), context_->reset_secret.data(),
                                                   context_->reset_secret.size(), &id) != 0) {
    return;
  }
  std::array<std::byte, 40> random;
  context_->world.random().fill(random);
  // Shorter than what it answers, so that two ends cannot reset each other for ever.
  const std::size_t most = std::min<std::size_t>(size - 1, random.size());
  std::array<std::uint8_t, 64> packet;
  const ngtcp2_ssize written = ngtcp2_pkt_write_stateless_reset(
      packet.data(), packet.size(), token.data(),
      reinterpret_cast<const std::uint8_t*>(random.data()), most - token.size());
  if (written <= 0) return;
  context_->resets_sent.fetch_add(1, std::memory_order_relaxed);
  send_stateless(from, std::span(packet).first(static_cast<std::size_t>(written)));
}

void QuicEndpoint::arrive(const QuicRoute& from, ByteSpan datagram) {
  context_->unvalidated_bytes_in.fetch_add(datagram.size(), std::memory_order_relaxed);
  if (accepts_ == nullptr && !listened_) return;
  QuicSession::Arrival arrival;
  if (ngtcp2_accept(&arrival.header, reinterpret_cast<const std::uint8_t*>(datagram.data()),
                    datagram.size()) != 0) {
    return;
  }
  if (accepts_ == nullptr) {
    return refuse(from, arrival.header, NGTCP2_CONNECTION_REFUSED, "not listening");
  }
  bool validated = false;
  if (!validate(from, arrival, validated)) return;
  const std::uint64_t waiting = context_->gate->counts().unauthenticated;
  if (!validated &&
      (context_->options.always_retry || waiting >= limits::quic_retry_from_handshakes)) {
    return send_retry(from, arrival.header);
  }
  let_in(from, arrival, validated, datagram);
}

/// False: answered already.
bool QuicEndpoint::validate(const QuicRoute& from, QuicSession::Arrival& arrival, bool& validated) {
  const ngtcp2_pkt_hd& header = arrival.header;
  arrival.original_dcid = header.dcid;
  if (header.token.len == 0 || header.token.base[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY) return true;
  QuicAddress address(from.there);
  const int code = ngtcp2_crypto_verify_retry_token(
      &arrival.original_dcid, header.token.base, header.token.len, context_->token_secret.data(),
      context_->token_secret.size(), header.version, address.get(), address.size(), &header.dcid,
      static_cast<ngtcp2_duration>(limits::quic_token_time.count()), quic_time(shard_.now()));
  if (code != 0) {
    refuse(from, header, NGTCP2_INVALID_TOKEN, "stale token");
    return false;
  }
  arrival.after_retry = true;
  validated = true;
  return true;
}

void QuicEndpoint::let_in(const QuicRoute& from, const QuicSession::Arrival& arrival,
                          bool validated, ByteSpan datagram) {
  auto pass = Gatekeeper::admit(context_->gate, GateSource::of(from.there), shard_.now());
  if (!pass) {
    // Whoever forges addresses must not use up what another source may have.
    if (!validated && arrivals::per_source(pass.error())) return send_retry(from, arrival.header);
    return refuse(from, arrival.header, NGTCP2_CONNECTION_REFUSED, name_of(pass.error()));
  }
  ConnectHandler outcome = [this](Result<ConnectionPtr> connection) {
    if (connection && accepts_ != nullptr) accepts_->on_accepted(std::move(*connection));
  };
  ConnectionPtr pointer = ConnectionPtr::adopt(
      new QuicConnection(shared_from_this(), from.there, std::move(outcome),
                         context_->options.gate.handshake_time_max, next_connection_));
  auto& connection = static_cast<QuicConnection&>(*pointer);
  connections_.emplace(next_connection_++, std::move(pointer));
  if (connection.begin(from, &arrival, std::move(*pass))) connection.receive(from, datagram);
}

void QuicEndpoint::send_retry(const QuicRoute& to, const ngtcp2_pkt_hd& header) {
  ngtcp2_cid id;
  std::array<std::byte, quic_id_bytes> random;
  context_->world.random().fill(random);
  ngtcp2_cid_init(&id, reinterpret_cast<const std::uint8_t*>(random.data()), random.size());
  QuicAddress address(to.there);
  std::array<std::uint8_t, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN> token;
  const ngtcp2_ssize token_bytes = ngtcp2_crypto_generate_retry_token(
      token.data(), context_->token_secret.data(), context_->token_secret.size(), header.version,
      address.get(), address.size(), &id, &header.dcid, quic_time(shard_.now()));
  if (token_bytes < 0) return;
  std::array<std::uint8_t, arrivals::stateless_bytes_max> packet;
  const ngtcp2_ssize written =
      ngtcp2_crypto_write_retry(packet.data(), packet.size(), header.version, &header.scid, &id,
                                &header.dcid, token.data(), static_cast<std::size_t>(token_bytes));
  if (written <= 0) return;
  context_->retries_sent.fetch_add(1, std::memory_order_relaxed);
  send_stateless(to, std::span(packet).first(static_cast<std::size_t>(written)));
}

void QuicEndpoint::refuse(const QuicRoute& to, const ngtcp2_pkt_hd& header, std::uint64_t code,
                          std::string_view reason) {
  std::array<std::uint8_t, arrivals::stateless_bytes_max> packet;
  const ngtcp2_ssize written = ngtcp2_crypto_write_connection_close(
      packet.data(), packet.size(), header.version, &header.scid, &header.dcid, code,
      reinterpret_cast<const std::uint8_t*>(reason.data()), reason.size());
  if (written <= 0) return;
  context_->refusals_sent.fetch_add(1, std::memory_order_relaxed);
  send_stateless(to, std::span(packet).first(static_cast<std::size_t>(written)));
}

}  // namespace velo::transport
