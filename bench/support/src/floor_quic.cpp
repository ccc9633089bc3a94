// SPDX-License-Identifier: Apache-2.0
// A bare end of a QUIC connection.

#include "floor_quic.hpp"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <netinet/udp.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace velo::bench::floor_quic_detail {

constexpr std::size_t packet_bytes_max = 1452;
constexpr std::size_t run_packets_max = 44;
constexpr std::size_t source_bytes = std::size_t{1} << 20;
constexpr std::uint8_t mark = 'E';
constexpr std::size_t id_bytes = 8;

[[noreturn]] static void fail(const char* what) {
  std::perror(what);
  ::_exit(3);
}

static void check(std::int64_t code, const char* what) {
  if (code >= 0) return;
  std::fprintf(stderr, "bench: %s: %s\n", what, ngtcp2_strerror(static_cast<int>(code)));
  ::_exit(3);
}

static const std::uint8_t* source() {
  static const std::vector<std::uint8_t> bytes(source_bytes, 'x');
  return bytes.data();
}

static ngtcp2_cid random_id(std::size_t size) {
  std::array<std::uint8_t, NGTCP2_MAX_CIDLEN> bytes;
  gnutls_rnd(GNUTLS_RND_NONCE, bytes.data(), size);
  ngtcp2_cid id;
  ngtcp2_cid_init(&id, bytes.data(), size);
  return id;
}

struct QuicEndCallbacks {
  static QuicEnd& end(void* user) { return *static_cast<QuicEnd*>(user); }

  static void random(std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx*) {
    gnutls_rnd(GNUTLS_RND_NONCE, out, size);
  }
  static int new_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t size, void*) {
    *id = random_id(size);
    return gnutls_rnd(GNUTLS_RND_NONCE, token, NGTCP2_STATELESS_RESET_TOKENLEN);
  }
  static int completed(ngtcp2_conn*, void* user) {
    end(user).complete_ = true;
    return 0;
  }
  static int opened(ngtcp2_conn*, std::int64_t stream, void* user) {
    end(user).stream_ = stream;
    return 0;
  }
  static int data(ngtcp2_conn* native, std::uint32_t, std::int64_t stream, std::uint64_t,
                  const std::uint8_t* bytes, std::size_t size, void* user, void*) {
    static std::vector<std::uint8_t> sink(source_bytes);
    QuicEnd& self = end(user);
    std::memcpy(sink.data(), bytes, std::min(size, sink.size()));
    self.received_ += size;
    if (size > 0 && bytes[size - 1] == mark) ++self.marks_;
    ngtcp2_conn_extend_max_stream_offset(native, stream, size);
    ngtcp2_conn_extend_max_offset(native, size);
    return 0;
  }

  static ngtcp2_callbacks of(bool server) {
    ngtcp2_callbacks all{};
    all.client_initial = server ? nullptr : ngtcp2_crypto_client_initial_cb;
    all.recv_retry = server ? nullptr : ngtcp2_crypto_recv_retry_cb;
    all.recv_client_initial = server ? ngtcp2_crypto_recv_client_initial_cb : nullptr;
    all.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
    all.encrypt = ngtcp2_crypto_encrypt_cb;
    all.decrypt = ngtcp2_crypto_decrypt_cb;
    all.hp_mask = ngtcp2_crypto_hp_mask_cb;
    all.update_key = ngtcp2_crypto_update_key_cb;
    all.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    all.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    all.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
    all.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
    all.rand = &random;
    all.get_new_connection_id = &new_id;
    all.handshake_completed = &completed;
    all.stream_open = &opened;
    all.recv_stream_data = &data;
    return all;
  }
};

/// A key and a certificate that vouches for itself, made just now.
static gnutls_certificate_credentials_t make_credentials(bool server) {
  gnutls_certificate_credentials_t made = nullptr;
  gnutls_certificate_allocate_credentials(&made);
  if (!server) return made;
  gnutls_x509_privkey_t key = nullptr;
  gnutls_x509_crt_t certificate = nullptr;
  gnutls_x509_privkey_init(&key);
  gnutls_x509_crt_init(&certificate);
  const std::uint8_t serial = 1;
  if (gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 0, 0) < 0 ||
      gnutls_x509_crt_set_version(certificate, 3) < 0 ||
      gnutls_x509_crt_set_key(certificate, key) < 0 ||
      gnutls_x509_crt_set_serial(certificate, &serial, sizeof serial) < 0 ||
      gnutls_x509_crt_set_activation_time(certificate, 978'307'200) < 0 ||
      gnutls_x509_crt_set_expiration_time(certificate, 4'000'000'000) < 0 ||
      gnutls_x509_crt_set_dn(certificate, "CN=floor", nullptr) < 0 ||
      gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA512, 0) < 0 ||
      gnutls_certificate_set_x509_key(made, &certificate, 1, key) < 0) {
    fail("bench: certificate");
  }
  return made;
}

QuicEnd::QuicEnd(std::uint16_t port) {
  fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int size = 4 << 20;
  const int one = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  ::setsockopt(fd_, SOL_UDP, UDP_GRO, &one, sizeof one);
  local_.sin_family = AF_INET;
  local_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd_, reinterpret_cast<sockaddr*>(&local_), sizeof local_) != 0) fail("bind");
  socklen_t length = sizeof local_;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&local_), &length);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event);
  if (port == 0) return;
  remote_ = local_;
  remote_.sin_port = htons(port);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&remote_), sizeof remote_) != 0) fail("connect");
}

std::uint16_t QuicEnd::port() const { return ntohs(local_.sin_port); }

ngtcp2_path QuicEnd::path() {
  return {{reinterpret_cast<sockaddr*>(&local_), sizeof local_},
          {reinterpret_cast<sockaddr*>(&remote_), sizeof remote_},
          nullptr};
}

void QuicEnd::start_tls(bool server) {
  const unsigned flags = server ? GNUTLS_SERVER : GNUTLS_CLIENT;
  if (gnutls_init(&tls_, flags | GNUTLS_NO_TICKETS) < 0) fail("gnutls");
  gnutls_priority_set_direct(tls_,
                             "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:"
                             "-GROUP-ALL:+GROUP-X25519:%DISABLE_TLS13_COMPAT_MODE",
                             nullptr);
  gnutls_credentials_set(tls_, GNUTLS_CRD_CERTIFICATE, make_credentials(server));
  gnutls_datum_t protocol{reinterpret_cast<unsigned char*>(const_cast<char*>("floor")), 5};
  gnutls_alpn_set_protocols(tls_, &protocol, 1, 0);
  reference_.user_data = this;
  reference_.get_conn = [](ngtcp2_crypto_conn_ref* reference) {
    return static_cast<QuicEnd*>(reference->user_data)->native_;
  };
  gnutls_session_set_ptr(tls_, &reference_);
  const int code = server ? ngtcp2_crypto_gnutls_configure_server_session(tls_)
                          : ngtcp2_crypto_gnutls_configure_client_session(tls_);
  if (code != 0) fail("gnutls for quic");
  ngtcp2_conn_set_tls_native_handle(native_, tls_);
}

void QuicEnd::begin(bool server, const ngtcp2_pkt_hd* first) {
  const ngtcp2_callbacks callbacks = QuicEndCallbacks::of(server);
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = static_cast<std::uint64_t>(now_ns());
  ngtcp2_transport_params parameters;
  ngtcp2_transport_params_default(&parameters);
  parameters.initial_max_data = std::uint64_t{16} << 20;
  parameters.initial_max_stream_data_bidi_local = std::uint64_t{8} << 20;
  parameters.initial_max_stream_data_bidi_remote = std::uint64_t{8} << 20;
  parameters.initial_max_streams_bidi = 4;
  const ngtcp2_cid own = random_id(id_bytes);
  const ngtcp2_path there = path();
  if (server) {
    parameters.original_dcid = first->dcid;
    check(ngtcp2_conn_server_new(&native_, &first->scid, &own, &there, first->version, &callbacks,
                                 &settings, &parameters, nullptr, this),
          "server");
  } else {
    const ngtcp2_cid theirs = random_id(16);
    check(ngtcp2_conn_client_new(&native_, &theirs, &own, &there, NGTCP2_PROTO_VER_V1, &callbacks,
                                 &settings, &parameters, nullptr, this),
          "client");
  }
  start_tls(server);
}

void QuicEnd::accept() {
  epoll_event event{};
  while (::epoll_wait(epoll_, &event, 1, -1) < 1) {
  }
  socklen_t length = sizeof remote_;
  const ssize_t size =
      ::recvfrom(fd_, in_.data(), in_.size(), 0, reinterpret_cast<sockaddr*>(&remote_), &length);
  if (size < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&remote_), sizeof remote_) != 0) {
    fail("first packet");
  }
  ngtcp2_pkt_hd header;
  check(ngtcp2_accept(&header, in_.data(), static_cast<std::size_t>(size)), "accept");
  begin(true, &header);
  take(in_.data(), static_cast<std::size_t>(size));
  flush();
}

void QuicEnd::connect() {
  begin(false, nullptr);
  flush();
  while (!complete_) step();
  check(ngtcp2_conn_open_bidi_stream(native_, &stream_, nullptr), "stream");
}

void QuicEnd::hand_over() {
  if (end_ == begin_) return;
  iovec contents{out_.data() + begin_, end_ - begin_};
  msghdr message{};
  message.msg_iov = &contents;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  if (end_ - begin_ > segment_) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* one = CMSG_FIRSTHDR(&message);
    one->cmsg_level = SOL_UDP;
    one->cmsg_type = UDP_SEGMENT;
    one->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto size = static_cast<std::uint16_t>(segment_);
    std::memcpy(CMSG_DATA(one), &size, sizeof size);
  }
  while (::sendmsg(fd_, &message, 0) < 0) {
    if (errno == ECONNREFUSED) ::_exit(0);
    if (errno != EAGAIN && errno != EINTR) break;
  }
  begin_ = end_;
}

/// A packet of `size` was written at end_.
void QuicEnd::add(std::size_t size) {
  if (end_ > begin_ && size > segment_) hand_over();
  if (end_ == begin_) segment_ = size;
  end_ += size;
  if (size < segment_ || end_ - begin_ >= run_packets_max * segment_) hand_over();
}

void QuicEnd::flush() {
  ngtcp2_path_storage path;
  ngtcp2_pkt_info info{};
  const auto now = static_cast<std::uint64_t>(now_ns());
  bool blocked = false;
  for (;;) {
    if (out_.size() - end_ < packet_bytes_max) {
      hand_over();
      begin_ = end_ = 0;
    }
    ngtcp2_path_storage_zero(&path);
    const bool has = !blocked && stream_ >= 0 && pending() > 0;
    const bool marked = pending_ == 0;
    static const std::uint8_t forever = mark;
    ngtcp2_vec vector{const_cast<std::uint8_t*>(marked ? &forever : source()),
                      marked ? 1 : std::min<std::size_t>(pending_, source_bytes)};
    ngtcp2_ssize taken = -1;
    const ngtcp2_ssize written =
        ngtcp2_conn_writev_stream(native_, &path.path, &info, out_.data() + end_, packet_bytes_max,
                                  &taken, NGTCP2_WRITE_STREAM_FLAG_NONE, has ? stream_ : -1,
                                  has ? &vector : nullptr, has ? 1 : 0, now);
    if (written == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
      blocked = true;
      continue;
    }
    check(written, "write");
    if (written == 0) break;
    if (taken > 0 && marked) mark_ = false;
    if (taken > 0 && !marked) pending_ -= static_cast<std::uint64_t>(taken);
    add(static_cast<std::size_t>(written));
  }
  hand_over();
  begin_ = end_ = 0;
}

void QuicEnd::take(const std::uint8_t* packet, std::size_t size) {
  const ngtcp2_path there = path();
  const ngtcp2_pkt_info info{};
  check(ngtcp2_conn_read_pkt(native_, &there, &info, packet, size,
                             static_cast<std::uint64_t>(now_ns())),
        "read");
}

void QuicEnd::receive() {
  for (int calls = 0; calls < 16; ++calls) {
    alignas(cmsghdr) std::array<std::byte, 64> control{};
    iovec into{in_.data(), in_.size()};
    msghdr message{};
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(fd_, &message, MSG_DONTWAIT);
    if (got < 0 && errno == ECONNREFUSED) ::_exit(0);
    if (got < 0) return;
    const auto size = static_cast<std::size_t>(got);
    std::size_t segment = size;
    for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
      if (one->cmsg_level != SOL_UDP || one->cmsg_type != UDP_GRO) continue;
      int glued = 0;
      std::memcpy(&glued, CMSG_DATA(one), sizeof glued);
      segment = static_cast<std::size_t>(glued);
    }
    for (std::size_t at = 0; at < size; at += segment) {
      take(in_.data() + at, std::min(segment, size - at));
    }
  }
}

void QuicEnd::step() {
  const std::uint64_t expiry = ngtcp2_conn_get_expiry(native_);
  const auto now = static_cast<std::uint64_t>(now_ns());
  int wait = -1;
  if (expiry <= now) {
    wait = 0;
  } else if (expiry != UINT64_MAX) {
    wait = static_cast<int>(std::min<std::uint64_t>((expiry - now) / 1'000'000 + 1, 1000));
  }
  epoll_event event{};
  if (::epoll_wait(epoll_, &event, 1, wait) > 0) receive();
  const auto then = static_cast<std::uint64_t>(now_ns());
  if (ngtcp2_conn_get_expiry(native_) <= then) {
    check(ngtcp2_conn_handle_expiry(native_, then), "expiry");
  }
  flush();
}

}  // namespace velo::bench::floor_quic_detail
