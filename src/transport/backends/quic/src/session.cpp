// SPDX-License-Identifier: Apache-2.0
// How a QUIC connection begins and ends.

#include "session.hpp"

#include "callbacks.hpp"
#include "connection.hpp"
#include "context.hpp"
#include "endpoint.hpp"

#include <velo/base/world.hpp>
#include <velo/transport/limits.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace velo::transport {
namespace session_detail {

/// Of timers, as RFC 9002 has it. The library wants to acknowledge a packet after an eighth of a
/// round trip. Within a host that is a few microseconds: a timer would be set and go off for every
/// packet, just before an answer leaves that carries the acknowledgement anyway. The other end
/// expects one within 25 ms (max_ack_delay).
constexpr Duration timer_granularity = std::chrono::milliseconds(1);

static std::uint64_t nanoseconds(Duration duration) noexcept {
  return duration > Duration::zero() ? static_cast<std::uint64_t>(duration.count()) : 0;
}

static bool on_this_host(const NetAddress& address) noexcept {
  return to_endpoint(address).is_loopback();
}

}  // namespace session_detail

QuicSession::QuicSession(QuicConnection& owner, QuicEndpoint& endpoint, bool server)
    : owner_(owner),
      endpoint_(endpoint),
      server_(server),
      memory_(endpoint.context().budget),
      now_(quic_time(endpoint.shard().now())) {
  reference_.user_data = this;
  reference_.get_conn = [](ngtcp2_crypto_conn_ref* reference) {
    return static_cast<QuicSession*>(reference->user_data)->native_;
  };
}

QuicSession::~QuicSession() {
  endpoint_.give_buffer_back(*this);
  endpoint_.forget(*this, owner_);
  if (native_ != nullptr) ngtcp2_conn_del(native_);
}

std::unique_ptr<QuicSession> QuicSession::dial(QuicConnection& owner, QuicEndpoint& endpoint,
                                               std::shared_ptr<const TlsCredentials> credentials,
                                               const QuicRoute& route) {
  std::unique_ptr<QuicSession> made(new QuicSession(owner, endpoint, false));
  return made->begin(std::move(credentials), route, nullptr) ? std::move(made) : nullptr;
}

std::unique_ptr<QuicSession> QuicSession::accept(QuicConnection& owner, QuicEndpoint& endpoint,
                                                 std::shared_ptr<const TlsCredentials> credentials,
                                                 const QuicRoute& route, const Arrival& arrival) {
  std::unique_ptr<QuicSession> made(new QuicSession(owner, endpoint, true));
  return made->begin(std::move(credentials), route, &arrival) ? std::move(made) : nullptr;
}

void QuicSession::fill_settings(ngtcp2_settings& settings) const {
  ngtcp2_settings_default(&settings);
  settings.initial_ts = now_;
  settings.rand_ctx.native_handle = &endpoint_.context().world.random();
  // The handshake's end is watched by the owner.
  settings.handshake_timeout = UINT64_MAX;
}

void QuicSession::fill_parameters(ngtcp2_transport_params& parameters, const Arrival* arrival,
                                  const ngtcp2_cid& own) {
  ngtcp2_transport_params_default(&parameters);
  const QuicContext& context = endpoint_.context();
  parameters.initial_max_streams_uni = limits::quic_streams_max;
  parameters.initial_max_stream_data_uni = limits::quic_stream_window_bytes;
  parameters.initial_max_data = limits::quic_connection_window_bytes;
  parameters.max_idle_timeout = session_detail::nanoseconds(context.options.idle_timeout);
  parameters.max_datagram_frame_size = UINT16_MAX;
  parameters.active_connection_id_limit = limits::quic_ids_max;
  if (arrival == nullptr) return;
  parameters.original_dcid = arrival->original_dcid;
  if (arrival->after_retry) {
    parameters.retry_scid = arrival->header.dcid;
    parameters.retry_scid_present = 1;
  }
  parameters.stateless_reset_token_present = 1;
  ngtcp2_crypto_generate_stateless_reset_token(parameters.stateless_reset_token,
                                               context.reset_secret.data(),
                                               context.reset_secret.size(), &own);
}

ngtcp2_cid QuicSession::new_id() {
  std::array<std::byte, quic_id_bytes> random;
  endpoint_.context().world.random().fill(random);
  ngtcp2_cid id;
  ngtcp2_cid_init(&id, reinterpret_cast<const std::uint8_t*>(random.data()), random.size());
  endpoint_.add_id(id, owner_);
  ids_.push_back(id);
  return id;
}

bool QuicSession::begin(std::shared_ptr<const TlsCredentials> credentials, const QuicRoute& route,
                        const Arrival* arrival) {
  paced_ = !session_detail::on_this_host(route.there);
  if (!paced_) lanes_.group_within_host();
  ngtcp2_callbacks callbacks;
  QuicCallbacks::fill(callbacks, server_);
  ngtcp2_settings settings;
  fill_settings(settings);
  const ngtcp2_cid own = new_id();
  ngtcp2_transport_params parameters;
  fill_parameters(parameters, arrival, own);
  QuicPath path(route);
  const ngtcp2_path native_path = path.native();
  int code = 0;
  if (arrival != nullptr) {
    if (arrival->after_retry) settings.token = arrival->header.token;
    code = ngtcp2_conn_server_new(&native_, &arrival->header.scid, &own, &native_path,
                                  arrival->header.version, &callbacks, &settings, &parameters,
                                  memory_.native(), this);
    first_ids_.push_back(arrival->header.dcid);
    endpoint_.add_first_id(arrival->header.dcid, owner_);
  } else {
    std::array<std::byte, 16> random;
    endpoint_.context().world.random().fill(random);
    ngtcp2_cid theirs;
    ngtcp2_cid_init(&theirs, reinterpret_cast<const std::uint8_t*>(random.data()), random.size());
    code = ngtcp2_conn_client_new(&native_, &theirs, &own, &native_path, NGTCP2_PROTO_VER_V1,
                                  &callbacks, &settings, &parameters, memory_.native(), this);
  }
  if (code != 0) return false;
  tls_ = std::make_unique<TlsSession>(server_, std::move(credentials), endpoint_.context().protocol,
                                      reference_, endpoint_.context().world.clock());
  if (!tls_->valid()) return false;
  ngtcp2_conn_set_tls_native_handle(native_, tls_->native());
  const std::uint64_t keep_alive =
      session_detail::nanoseconds(endpoint_.context().options.keep_alive);
  if (keep_alive != 0) ngtcp2_conn_set_keep_alive_timeout(native_, keep_alive);
  return true;
}

void QuicSession::establish() {
  if (confirmed_) return;
  confirmed_ = true;
  ConnectionSecurity security = tls_->security();
  security.same_host = !paced_;
  owner_.establish(std::move(security));
  for (const Early& early : std::exchange(early_, {})) read(early.stream, early.bytes);
  early_bytes_ = 0;
}

TimePoint QuicSession::expiry() const noexcept {
  return over_ ? TimePoint::never() : from_quic_time(ngtcp2_conn_get_expiry(native_));
}

TimePoint QuicSession::alarm() const noexcept {
  const TimePoint at = expiry();
  // What is left to send may wait for the network's pace, which is finer.
  if (paced_ && (lanes_.pending() || !datagrams_.empty())) return at;
  return std::max(at, from_quic_time(now_) + session_detail::timer_granularity);
}

void QuicSession::expire() {
  if (over_) return;
  now_ = quic_time(endpoint_.shard().now());
  if (const int code = ngtcp2_conn_handle_expiry(native_, now_); code != 0) fail(code);
}

QuicRoute QuicSession::route() const noexcept {
  return QuicRoute::read(*ngtcp2_conn_get_path(native_));
}

std::vector<std::uint8_t> QuicSession::last_words() {
  if (silent_) return {};
  if (!over_ && confirmed_) finish_sentence();
  over_ = true;
  silent_ = true;
  if (!farewell_) {
    farewell_.emplace();
    ngtcp2_connection_close_error_default(&*farewell_);
    if (confirmed_) {
      ngtcp2_connection_close_error_set_application_error(&*farewell_, quic_code_closed, nullptr,
                                                          0);
    }
  }
  std::vector<std::uint8_t> packet(PacketSender::packet_bytes_max);
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  const ngtcp2_ssize written = ngtcp2_conn_write_connection_close(
      native_, &path.path, &info, packet.data(), packet.size(), &*farewell_, now_);
  packet.resize(written > 0 ? static_cast<std::size_t>(written) : 0);
  return packet;
}

bool QuicSession::drained() const noexcept {
  return !lanes_.pending() && datagrams_.empty() && lanes_.unacknowledged() == 0;
}

std::uint64_t QuicSession::unsent() const noexcept { return lanes_.unsent() + datagram_bytes_; }

std::uint64_t QuicSession::sent_position() const noexcept {
  return std::max(lanes_.sent_position(), datagrams_sent_position_);
}

}  // namespace velo::transport
