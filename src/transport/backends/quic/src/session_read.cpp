// SPDX-License-Identifier: Apache-2.0
// What arrives: packets to the library, the bytes of streams to frames, and what it means when it
// is over.

#include "connection.hpp"
#include "context.hpp"
#include "endpoint.hpp"
#include "session.hpp"

#include <velo/transport/framing.hpp>
#include <velo/transport/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace velo::transport {
namespace session_read_detail {

/// Of RFC 8446, section 6: what says that a certificate was not liked.
static bool about_certificates(std::uint64_t alert) noexcept {
  return (alert >= 42 && alert <= 46) || alert == 48 || alert == 49 || alert == 116;
}

static Error closed_by_peer(const ngtcp2_connection_close_error& told, bool established,
                            const std::string& remote) {
  const std::string_view reason(reinterpret_cast<const char*>(told.reason), told.reasonlen);
  std::string text = fmt::format("{} closed the connection: code {:#x}{}{}", remote,
                                 told.error_code, reason.empty() ? "" : ", ", reason);
  if (established) return make_error(Errc::connection_lost, text);
  if (told.error_code >= NGTCP2_CRYPTO_ERROR && told.error_code < NGTCP2_CRYPTO_ERROR + 0x100) {
    text += fmt::format(", {}", alert_text(told.error_code - NGTCP2_CRYPTO_ERROR));
    const bool certificate = about_certificates(told.error_code - NGTCP2_CRYPTO_ERROR);
    return make_error(certificate ? Errc::not_authenticated : Errc::handshake_failed, text);
  }
  return make_error(
      told.error_code == NGTCP2_CONNECTION_REFUSED ? Errc::connect_failed : Errc::handshake_failed,
      text);
}

}  // namespace session_read_detail

void QuicSession::receive(const QuicRoute& from, ByteSpan datagram) {
  if (over_) return;
  now_ = quic_time(endpoint_.shard().now());
  if (server_ && !confirmed_) {
    handshake_bytes_ += datagram.size();
    if (handshake_bytes_ > endpoint_.context().options.gate.handshake_bytes_max) {
      over_ = true;
      silent_ = true;
      return owner_.fail(make_error(Errc::handshake_failed, "too much before its proof"),
                         GateRefusal::bytes);
    }
  }
  // A client asked at one address of the other end's, wherever of its own it is answered.
  QuicPath path(server_ ? from : QuicRoute{endpoint_.local(), from.there});
  const ngtcp2_path native_path = path.native();
  const ngtcp2_pkt_info info{};
  const int code = ngtcp2_conn_read_pkt(native_, &native_path, &info,
                                        reinterpret_cast<const std::uint8_t*>(datagram.data()),
                                        datagram.size(), now_);
  if (code != 0) fail(code);
}

void QuicSession::read(std::int64_t stream, ByteSpan bytes) {
  if (over_ || bytes.empty()) return;
  if (!confirmed_) {
    early_bytes_ += bytes.size();
    if (early_bytes_ > limits::quic_early_bytes_max) {
      return fail_framing(make_error(Errc::malformed_frame, "too much before the handshake"));
    }
    early_.push_back({stream,
                      {bytes.begin(), bytes.end()},
                      Charge::take(endpoint_.context().budget, bytes.size())});
    return;
  }
  const auto found = readers_.find(stream);
  if (found == readers_.end()) return;
  FrameReader& reader = found->second;
  const auto deliver_one = [this](const InFrame& frame) { return owner_.deliver(frame); };
  if (reader.idle()) {
    // Most frames are whole in what came: they are handled where they lie.
    FrameParser parser(bytes);
    FrameParser::Status status = parser.next();
    for (; status == FrameParser::Status::frame; status = parser.next()) {
      if (!deliver_one(InFrame(parser.type(), parser.header(), parser.payload(), nullptr))) return;
    }
    if (status == FrameParser::Status::malformed) return fail_framing(make_error(parser.fault()));
    bytes = parser.rest();
    if (bytes.empty()) return;
  }
  if (reading_ != &reader) {
    const std::span<std::byte> buffer = endpoint_.lend_buffer(*this);
    reading_ = &reader;
    reader.begin(buffer);
  }
  while (!bytes.empty() && !owner_.ended()) {
    const std::span<std::byte> space = reader.space();
    const std::size_t size = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), size);
    bytes = bytes.subspan(size);
    const FrameFault fault = reader.commit(size, deliver_one);
    if (fault != FrameFault::none) {
      reading_ = nullptr;
      reader.clear();
      return fail_framing(make_error(fault));
    }
  }
}

void QuicSession::park() {
  if (FrameReader* reader = std::exchange(reading_, nullptr)) reader->park();
}

void QuicSession::read_datagram(ByteSpan bytes) {
  owner_.datagrams_received.fetch_add(1, std::memory_order_relaxed);
  // What may be lost and comes too early is.
  if (over_ || !confirmed_) return;
  FrameParser parser(bytes);
  const bool whole = parser.next() == FrameParser::Status::frame;
  if (!whole || parser.frame_bytes() != bytes.size()) {
    return fail_framing(make_error(Errc::malformed_frame, "a datagram that is not one frame"));
  }
  owner_.deliver(InFrame(parser.type(), parser.header(), parser.payload(), nullptr));
}

void QuicSession::fail_framing(const Error& error) {
  if (over_) return;
  over_ = true;
  farewell_.emplace();
  ngtcp2_connection_close_error_default(&*farewell_);
  ngtcp2_connection_close_error_set_application_error(&*farewell_, quic_code_malformed, nullptr, 0);
  owner_.fail(error, GateRefusal::protocol);
}

void QuicSession::fail(int code) {
  if (over_) return;
  over_ = true;
  const std::string& remote = owner_.remote();
  switch (code) {
    case NGTCP2_ERR_DRAINING:
    case NGTCP2_ERR_CLOSING: {
      silent_ = true;
      if (was_reset_) {
        return owner_.fail(
            make_error(Errc::connection_lost, remote + " does not know the connection any more"),
            GateRefusal::gone);
      }
      ngtcp2_connection_close_error told;
      ngtcp2_conn_get_connection_close_error(native_, &told);
      // Only who has completed the handshake can end a connection in its application's name: the
      // goodbye has overtaken the word that it is complete.
      if (!confirmed_ && told.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION &&
          ngtcp2_conn_get_handshake_completed(native_) != 0) {
        establish();
      }
      return owner_.fail(session_read_detail::closed_by_peer(told, confirmed_, remote),
                         GateRefusal::gone);
    }
    case NGTCP2_ERR_RETRY:
    case NGTCP2_ERR_DROP_CONN:
      silent_ = true;
      return owner_.fail(make_error(Errc::handshake_failed, remote + " is not understood"),
                         GateRefusal::protocol);
    case NGTCP2_ERR_IDLE_CLOSE:
      silent_ = true;
      return owner_.fail(make_error(Errc::connection_lost, remote + " was silent for too long"),
                         GateRefusal::time);
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
      silent_ = true;
      return owner_.fail(
          make_error(Errc::handshake_failed, remote + " speaks no version of QUIC that is known"),
          GateRefusal::protocol);
    default: return explain_end(code);
  }
}

void QuicSession::explain_end(int code) {
  farewell_.emplace();
  ngtcp2_connection_close_error_default(&*farewell_);
  const std::string remote = owner_.remote();
  if (tls_ != nullptr && tls_->refused()) {
    ngtcp2_connection_close_error_set_transport_error_tls_alert(&*farewell_, tls_->alert(), nullptr,
                                                                0);
    const Error& why = *tls_->refused();
    if (why.is(Errc::handshake_failed)) {
      return owner_.fail(make_error(Errc::handshake_failed, remote + " " + why.context()),
                         GateRefusal::protocol);
    }
    return owner_.fail(make_error(Errc::not_authenticated, remote + ": " + why.to_string()),
                       GateRefusal::identity);
  }
  if (code == NGTCP2_ERR_CRYPTO) {
    const std::uint8_t alert = ngtcp2_conn_get_tls_alert(native_);
    ngtcp2_connection_close_error_set_transport_error_tls_alert(&*farewell_, alert, nullptr, 0);
    return owner_.fail(make_error(confirmed_ ? Errc::connection_lost : Errc::handshake_failed,
                                  fmt::format("{}: TLS alert {}, {}", remote,
                                              static_cast<unsigned>(alert), alert_text(alert))),
                       GateRefusal::protocol);
  }
  ngtcp2_connection_close_error_set_transport_error_liberr(&*farewell_, code, nullptr, 0);
  owner_.fail(make_error(confirmed_ ? Errc::connection_lost : Errc::handshake_failed,
                         remote + ": " + ngtcp2_strerror(code)),
              GateRefusal::protocol);
}

}  // namespace velo::transport
