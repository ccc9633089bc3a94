// SPDX-License-Identifier: Apache-2.0
// A client that says anything.

#include "quic_liar.hpp"

#include <velo/base/check.hpp>

#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "context.hpp"

#include <array>
#include <utility>

namespace velo::transport {
namespace quic_liar_detail {

constexpr std::size_t packet_bytes_max = 1400;
constexpr int packets_per_tick_max = 2000;

static ngtcp2_cid random_id(std::size_t size) {
  std::array<std::uint8_t, NGTCP2_MAX_CIDLEN> bytes;
  gnutls_rnd(GNUTLS_RND_NONCE, bytes.data(), size);
  ngtcp2_cid id;
  ngtcp2_cid_init(&id, bytes.data(), size);
  return id;
}

static gnutls_datum_t datum(ByteSpan bytes) {
  return {reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data())),
          static_cast<unsigned>(bytes.size())};
}

}  // namespace quic_liar_detail

namespace lying = quic_liar_detail;

struct QuicLiarCallbacks {
  static QuicLiar& liar(void* user) { return *static_cast<QuicLiar*>(user); }

  static void random(std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx*) {
    gnutls_rnd(GNUTLS_RND_NONCE, out, size);
  }
  static int new_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t size, void*) {
    *id = lying::random_id(size);
    return gnutls_rnd(GNUTLS_RND_NONCE, token, NGTCP2_STATELESS_RESET_TOKENLEN);
  }
  static int confirmed(ngtcp2_conn*, void* user) {
    liar(user).connected_ = true;
    return 0;
  }
  static int opened(ngtcp2_conn*, std::int64_t stream, void* user) {
    liar(user).theirs_ = stream;
    return 0;
  }
  static int data(ngtcp2_conn* native, std::uint32_t, std::int64_t stream, std::uint64_t,
                  const std::uint8_t*, std::size_t size, void*, void*) {
    ngtcp2_conn_extend_max_stream_offset(native, stream, size);
    ngtcp2_conn_extend_max_offset(native, size);
    return 0;
  }

  static ngtcp2_callbacks all() {
    ngtcp2_callbacks made{};
    made.client_initial = ngtcp2_crypto_client_initial_cb;
    made.recv_retry = ngtcp2_crypto_recv_retry_cb;
    made.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
    made.encrypt = ngtcp2_crypto_encrypt_cb;
    made.decrypt = ngtcp2_crypto_decrypt_cb;
    made.hp_mask = ngtcp2_crypto_hp_mask_cb;
    made.update_key = ngtcp2_crypto_update_key_cb;
    made.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    made.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    made.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
    made.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
    made.rand = &random;
    made.get_new_connection_id = &new_id;
    made.handshake_confirmed = &confirmed;
    made.stream_open = &opened;
    made.recv_stream_data = &data;
    return made;
  }
};

QuicLiar::QuicLiar(sim::SimNode& node, std::uint16_t port, const Endpoint& server,
                   const crypto::Credentials& credentials)
    : node_(node),
      server_(server),
      path_({*to_net_address(node.endpoint(port)), *to_net_address(server)}) {
  auto opened =
      node.network().bind_datagram(node.shard(0), node.endpoint(port),
                                   [this](const Endpoint&, ByteSpan datagram) { hear(datagram); });
  VELO_CHECK(opened.has_value());
  socket_ = std::move(*opened);
  const ngtcp2_callbacks callbacks = QuicLiarCallbacks::all();
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = now();
  ngtcp2_transport_params parameters;
  ngtcp2_transport_params_default(&parameters);
  parameters.initial_max_data = std::uint64_t{16} << 20;
  parameters.initial_max_stream_data_uni = std::uint64_t{8} << 20;
  parameters.initial_max_streams_uni = 64;
  parameters.max_datagram_frame_size = UINT16_MAX;
  const ngtcp2_cid own = lying::random_id(8);
  const ngtcp2_cid theirs = lying::random_id(16);
  const ngtcp2_path path = path_.native();
  VELO_CHECK(ngtcp2_conn_client_new(&native_, &theirs, &own, &path, NGTCP2_PROTO_VER_V1, &callbacks,
                                    &settings, &parameters, nullptr, this) == 0);
  begin_tls(credentials);
  flush();
}

QuicLiar::~QuicLiar() {
  ngtcp2_conn_del(native_);
  gnutls_deinit(tls_);
  gnutls_certificate_free_credentials(certificate_);
}

void QuicLiar::begin_tls(const crypto::Credentials& credentials) {
  gnutls_x509_crt_t shown = nullptr;
  gnutls_x509_privkey_t key = nullptr;
  const gnutls_datum_t der = lying::datum(credentials.chain.front().der());
  const Bytes secret = credentials.key.to_der();
  const gnutls_datum_t secret_der = lying::datum(secret);
  gnutls_x509_crt_init(&shown);
  gnutls_x509_privkey_init(&key);
  VELO_CHECK(gnutls_x509_crt_import(shown, &der, GNUTLS_X509_FMT_DER) == 0);
  VELO_CHECK(gnutls_x509_privkey_import_pkcs8(key, &secret_der, GNUTLS_X509_FMT_DER, nullptr,
                                              GNUTLS_PKCS_PLAIN) == 0);
  gnutls_certificate_allocate_credentials(&certificate_);
  VELO_CHECK(gnutls_certificate_set_x509_key(certificate_, &shown, 1, key) == 0);
  gnutls_x509_crt_deinit(shown);
  gnutls_x509_privkey_deinit(key);
  gnutls_init(&tls_, GNUTLS_CLIENT | GNUTLS_NO_TICKETS);
  gnutls_priority_set_direct(tls_, "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE",
                             nullptr);
  gnutls_credentials_set(tls_, GNUTLS_CRD_CERTIFICATE, certificate_);
  const gnutls_datum_t protocol = lying::datum(as_bytes("velo/1"));
  gnutls_alpn_set_protocols(tls_, &protocol, 1, 0);
  reference_.user_data = this;
  reference_.get_conn = [](ngtcp2_crypto_conn_ref* reference) {
    return static_cast<QuicLiar*>(reference->user_data)->native_;
  };
  gnutls_session_set_ptr(tls_, &reference_);
  VELO_CHECK(ngtcp2_crypto_gnutls_configure_client_session(tls_) == 0);
  ngtcp2_conn_set_tls_native_handle(native_, tls_);
}

std::uint64_t QuicLiar::now() const { return quic_time(node_.clock().now()); }

void QuicLiar::hear(ByteSpan datagram) {
  if (over_) return;
  const ngtcp2_path path = path_.native();
  const ngtcp2_pkt_info info{};
  const int code = ngtcp2_conn_read_pkt(native_, &path, &info,
                                        reinterpret_cast<const std::uint8_t*>(datagram.data()),
                                        datagram.size(), now());
  if (code != 0) over_ = true;
  flush();
}

bool QuicLiar::say(std::size_t index, std::string_view bytes, bool and_end) {
  while (!over_ && streams_.size() <= index) {
    std::int64_t stream = -1;
    if (ngtcp2_conn_open_uni_stream(native_, &stream, nullptr) != 0) return false;
    streams_.push_back(stream);
  }
  if (over_) return false;
  chunks_.push_back({streams_[index], {bytes.begin(), bytes.end()}, 0, and_end});
  return true;
}

void QuicLiar::say_datagram(std::string_view bytes) {
  chunks_.push_back({-1, {bytes.begin(), bytes.end()}, 0, false});
}

void QuicLiar::reset(std::size_t index, std::uint64_t code) {
  if (!over_ && index < streams_.size()) {
    ngtcp2_conn_shutdown_stream_write(native_, streams_[index], code);
  }
}

bool QuicLiar::refuse_theirs(std::uint64_t code) {
  if (over_ || theirs_ < 0) return false;
  return ngtcp2_conn_shutdown_stream_read(native_, theirs_, code) == 0;
}

void QuicLiar::close(bool in_the_applications_name, std::uint64_t code, std::string_view reason) {
  if (over_) return;
  tick();
  over_ = true;
  ngtcp2_connection_close_error told;
  ngtcp2_connection_close_error_default(&told);
  const auto* text = reinterpret_cast<const std::uint8_t*>(reason.data());
  if (in_the_applications_name) {
    ngtcp2_connection_close_error_set_application_error(&told, code, text, reason.size());
  } else {
    ngtcp2_connection_close_error_set_transport_error(&told, code, text, reason.size());
  }
  std::array<std::uint8_t, lying::packet_bytes_max> packet;
  ngtcp2_pkt_info info{};
  const ngtcp2_ssize written = ngtcp2_conn_write_connection_close(
      native_, nullptr, &info, packet.data(), packet.size(), &told, now());
  if (written <= 0) return;
  (void)socket_->try_send(server_, {reinterpret_cast<const std::byte*>(packet.data()),
                                    static_cast<std::size_t>(written)});
}

void QuicLiar::tick() {
  if (over_) return;
  if (ngtcp2_conn_get_expiry(native_) <= now() && ngtcp2_conn_handle_expiry(native_, now()) != 0) {
    over_ = true;
    return;
  }
  flush();
}

ngtcp2_ssize QuicLiar::write(std::uint8_t* out, std::size_t room, bool& blocked) {
  ngtcp2_pkt_info info{};
  ngtcp2_ssize taken = -1;
  while (connected_ && !blocked && !chunks_.empty()) {
    Chunk& chunk = chunks_.front();
    auto* bytes = reinterpret_cast<std::uint8_t*>(chunk.bytes.data());
    ngtcp2_vec vector{bytes + chunk.sent, chunk.bytes.size() - chunk.sent};
    if (chunk.stream < 0) {
      int accepted = 0;
      const ngtcp2_ssize written =
          ngtcp2_conn_writev_datagram(native_, nullptr, &info, out, room, &accepted,
                                      NGTCP2_WRITE_DATAGRAM_FLAG_NONE, 1, &vector, 1, now());
      if (accepted != 0 || written < 0) chunks_.pop_front();
      if (written >= 0) return written;
      continue;
    }
    const ngtcp2_ssize written = ngtcp2_conn_writev_stream(
        native_, nullptr, &info, out, room, &taken,
        chunk.end ? NGTCP2_WRITE_STREAM_FLAG_FIN : NGTCP2_WRITE_STREAM_FLAG_NONE, chunk.stream,
        &vector, 1, now());
    if (taken >= 0) chunk.sent += static_cast<std::size_t>(taken);
    if (written == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
      blocked = true;
      continue;
    }
    if ((taken >= 0 && chunk.sent == chunk.bytes.size()) || written < 0) {
      said_.push_back(std::move(chunk));
      chunks_.pop_front();
    }
    if (written == NGTCP2_ERR_STREAM_SHUT_WR || written == NGTCP2_ERR_STREAM_NOT_FOUND) continue;
    return written;
  }
  return ngtcp2_conn_write_pkt(native_, nullptr, &info, out, room, now());
}

void QuicLiar::flush() {
  std::array<std::uint8_t, lying::packet_bytes_max> packet;
  bool blocked = false;
  for (int i = 0; i < lying::packets_per_tick_max && !over_; ++i) {
    const ngtcp2_ssize written = write(packet.data(), packet.size(), blocked);
    if (written < 0) over_ = true;
    if (written <= 0) return;
    (void)socket_->try_send(server_, {reinterpret_cast<const std::byte*>(packet.data()),
                                      static_cast<std::size_t>(written)});
  }
}

}  // namespace velo::transport
