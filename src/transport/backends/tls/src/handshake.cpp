// SPDX-License-Identifier: Apache-2.0
// The steps of a handshake.

#include "handshake.hpp"

#include "handshake_callbacks.hpp"

#include <velo/transport/transport.hpp>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace velo::transport::tls {
namespace handshake_detail {

/// A ClientHello is some hundred bytes; certificates come later.
constexpr std::size_t client_hello_bytes_max = std::size_t{16} << 10;

static Error handshake_error(std::string why) {
  return make_error(Errc::handshake_failed, std::move(why));
}
static Error identity_error(std::string why) {
  return make_error(Errc::not_authenticated, std::move(why));
}

/// Alerts by which a peer says that it does not believe who we are (RFC 8446, 6.2).
static bool concerns_identity(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_DECRYPT_ERROR:
    case TLS13_AD_CERTIFICATE_REQUIRED: return true;
    default: return false;
  }
}

}  // namespace handshake_detail

StreamRefusal refusal_of_alert(int alert) {
  std::string why = "the other end refused: ";
  why += alert == TLS13_AD_CERTIFICATE_REQUIRED ? "certificate required"
                                                : SSL_alert_desc_string_long(alert);
  if (handshake_detail::concerns_identity(alert)) {
    return {GateRefusal::identity, handshake_detail::identity_error(std::move(why))};
  }
  return {GateRefusal::protocol, handshake_detail::handshake_error(std::move(why))};
}

Handshake::Handshake(std::shared_ptr<const Context> context, StreamRole role, std::size_t bytes_max)
    : context_(std::move(context)),
      role_(role),
      bytes_max_(bytes_max),
      ssl_(SSL_new(context_->of(role))) {
  if (ssl_ == nullptr) return;
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  if (in == nullptr || out == nullptr) {
    BIO_free(in);
    BIO_free(out);
    ssl_.reset();
    return;
  }
  // What has not come yet is no end.
  BIO_set_mem_eof_return(in, -1);
  SSL_set_bio(ssl_.get(), in, out);
  SSL_set_app_data(ssl_.get(), this);
  if (role_ == StreamRole::accepted) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

Handshake::~Handshake() {
  OPENSSL_cleanse(client_secret_.data(), client_secret_.size());
  OPENSSL_cleanse(server_secret_.data(), server_secret_.size());
}

Handshake::State Handshake::fail(GateRefusal reason, Error error) {
  refusal_.emplace(reason, std::move(error));
  ssl_.reset();
  return state_ = State::failed;
}

/// Whether a client may be about to send a ClientHello of bearable size.
bool Handshake::plausible(ByteSpan received) {
  const std::size_t more = std::min(received.size(), opening_.size() - opening_bytes_);
  std::copy_n(received.begin(), more,
              opening_.begin() + static_cast<std::ptrdiff_t>(opening_bytes_));
  opening_bytes_ += more;
  const auto at = [this](std::size_t i) { return std::to_integer<std::size_t>(opening_.at(i)); };
  if (opening_bytes_ > 0 && at(0) != static_cast<std::size_t>(ContentType::handshake)) return false;
  if (opening_bytes_ > 1 && at(1) != 3) return false;
  if (opening_bytes_ < opening_.size()) return true;
  const std::size_t hello = at(6) << 16 | at(7) << 8 | at(8);
  return at(5) == 1 && hello <= handshake_detail::client_hello_bytes_max;
}

Handshake::State Handshake::advance(ByteSpan received, WallTime now) {
  if (state_ != State::working) return state_;
  now_ = now;
  if (ssl_ == nullptr && !opener_) {
    return fail(GateRefusal::memory, handshake_detail::handshake_error("out of memory"));
  }
  received_bytes_ += received.size();
  if (received_bytes_ > bytes_max_) {
    return fail(GateRefusal::bytes,
                handshake_detail::handshake_error("more than " + std::to_string(bytes_max_) +
                                                  " bytes of handshake"));
  }
  if (opener_) {
    rest_.insert(rest_.end(), received.begin(), received.end());
    return confirm();
  }
  if (role_ == StreamRole::accepted && opening_bytes_ < opening_.size() && !plausible(received)) {
    return fail(GateRefusal::protocol, handshake_detail::handshake_error("this is not TLS 1.3"));
  }
  if (!received.empty()) {
    BIO_write(SSL_get_rbio(ssl_.get()), received.data(), static_cast<int>(received.size()));
  }
  return step();
}

Handshake::State Handshake::step() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  collect_output();
  if (result == 1) return finish();
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return State::working;
  return fail_ssl();
}

Handshake::State Handshake::fail_ssl() {
  const unsigned long code = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(code);
  if (distrust_) {
    return fail(GateRefusal::identity, handshake_detail::identity_error(distrust_->to_string()));
  }
  if (reason > SSL_AD_REASON_OFFSET) {
    const StreamRefusal refused = refusal_of_alert(reason - SSL_AD_REASON_OFFSET);
    return fail(refused.reason, refused.error);
  }
  const char* text = ERR_reason_error_string(code);
  const std::string why = text != nullptr ? text : "the handshake broke off";
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE || reason == SSL_R_BAD_SIGNATURE) {
    return fail(GateRefusal::identity, handshake_detail::identity_error(why));
  }
  return fail(GateRefusal::protocol, handshake_detail::handshake_error(why));
}

void Handshake::collect_output() {
  BIO* const out = SSL_get_wbio(ssl_.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  if (size <= 0) return;
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  output_.insert(output_.end(), begin, begin + size);
  BIO_reset(out);
}

std::vector<std::byte> Handshake::take_output() { return std::exchange(output_, {}); }

std::optional<DirectionSecret> Handshake::direction(const TrafficSecret& secret) const {
  DirectionSecret made;
  made.secret = secret;
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get());
  switch (cipher == nullptr ? 0 : SSL_CIPHER_get_id(cipher)) {
    case TLS1_3_CK_AES_128_GCM_SHA256: made.suite = Suite::aes_128_gcm_sha256; return made;
    case TLS1_3_CK_CHACHA20_POLY1305_SHA256:
      made.suite = Suite::chacha20_poly1305_sha256;
      return made;
    default: return std::nullopt;
  }
}

Handshake::State Handshake::finish() {
  const unsigned char* chosen = nullptr;
  unsigned chosen_bytes = 0;
  SSL_get0_alpn_selected(ssl_.get(), &chosen, &chosen_bytes);
  if (as_text(std::as_bytes(std::span(chosen, chosen_bytes))) != protocol_name) {
    return fail(GateRefusal::protocol,
                handshake_detail::handshake_error("the other end does not speak " +
                                                  std::string(protocol_name)));
  }
  const bool accepted = role_ == StreamRole::accepted;
  const auto mine = direction(accepted ? server_secret_ : client_secret_);
  const auto theirs = direction(accepted ? client_secret_ : server_secret_);
  if (secrets_ != 3U || peer_ == nullptr || !mine || !theirs) {
    return fail(GateRefusal::protocol, handshake_detail::handshake_error("unexpected end"));
  }
  sealer_.emplace(*mine);
  opener_.emplace(*theirs);
  BIO* const in = SSL_get_rbio(ssl_.get());
  rest_.resize(BIO_ctrl_pending(in));
  if (!rest_.empty()) BIO_read(in, rest_.data(), static_cast<int>(rest_.size()));
  if (!accepted) return confirm();
  // "You are let in."
  const std::size_t at = output_.size();
  output_.resize(at + record_overhead_bytes);
  if (!sealer_->seal(ContentType::application_data, ByteSpan(), output_.data() + at)) {
    return fail(GateRefusal::memory, handshake_detail::handshake_error("sealing failed"));
  }
  return state_ = State::done;
}

/// The dialling end: waits for the empty record.
Handshake::State Handshake::confirm() {
  if (rest_.size() < record_header_bytes) return State::working;
  const auto size = record_bytes(std::span(rest_).first(record_header_bytes));
  if (!size) {
    return fail(GateRefusal::protocol, handshake_detail::handshake_error("no record"));
  }
  if (rest_.size() < *size) return State::working;
  const auto opened =
      opener_->open(ByteSpan(rest_).first(*size), rest_.data() + record_header_bytes);
  if (opened && opened->type == ContentType::alert && opened->bytes == 2) {
    const StreamRefusal refused =
        refusal_of_alert(std::to_integer<int>(rest_[record_header_bytes + 1]));
    return fail(refused.reason, refused.error);
  }
  if (!opened || opened->type != ContentType::application_data || opened->bytes != 0) {
    return fail(GateRefusal::protocol,
                handshake_detail::handshake_error("the other end did not confirm"));
  }
  rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(*size));
  return state_ = State::done;
}

ConnectionSecurity Handshake::describe() const {
  ConnectionSecurity security;
  security.is_private = true;
  security.peer = peer_;
  security.own_public_key = context_->credentials().chain.front().public_key().der();
  security.protocol = "TLS 1.3, ";
  security.protocol += SSL_CIPHER_get_name(SSL_get_current_cipher(ssl_.get()));
  return security;
}

Established Handshake::take_established() {
  return {std::move(*sealer_), std::move(*opener_), std::move(rest_), describe()};
}

}  // namespace velo::transport::tls
