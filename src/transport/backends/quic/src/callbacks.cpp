// SPDX-License-Identifier: Apache-2.0
// From the QUIC library to the session.

#include "callbacks.hpp"

#include "connection.hpp"
#include "context.hpp"
#include "endpoint.hpp"

#include <velo/base/world.hpp>

#include <algorithm>
#include <array>
#include <span>

namespace velo::transport {

void QuicCallbacks::fill(ngtcp2_callbacks& callbacks, bool server) {
  callbacks = {};
  if (server) {
    callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  } else {
    callbacks.client_initial = ngtcp2_crypto_client_initial_cb;
    callbacks.recv_retry = ngtcp2_crypto_recv_retry_cb;
  }
  callbacks.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  callbacks.encrypt = ngtcp2_crypto_encrypt_cb;
  callbacks.decrypt = ngtcp2_crypto_decrypt_cb;
  callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb;
  callbacks.update_key = ngtcp2_crypto_update_key_cb;
  callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  callbacks.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  callbacks.rand = &random;
  callbacks.get_new_connection_id = &new_id;
  callbacks.remove_connection_id = &id_gone;
  callbacks.handshake_completed = &completed;
  callbacks.handshake_confirmed = &confirmed;
  callbacks.stream_open = &stream_opened;
  callbacks.recv_stream_data = &stream_data;
  callbacks.acked_stream_data_offset = &stream_acknowledged;
  callbacks.stream_reset = &stream_broken;
  callbacks.stream_close = &stream_closed;
  callbacks.recv_datagram = &datagram;
  callbacks.ack_datagram = &datagram_arrived;
  callbacks.lost_datagram = &datagram_lost;
  callbacks.path_validation = &path_validated;
  callbacks.recv_stateless_reset = &reset_received;
}

void QuicCallbacks::random(std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx* context) {
  static_cast<Random*>(context->native_handle)->fill({reinterpret_cast<std::byte*>(out), size});
}

int QuicCallbacks::new_id(ngtcp2_conn* /*native*/, ngtcp2_cid* id, std::uint8_t* token,
                          std::size_t size, void* user) {
  QuicSession& self = session(user);
  *id = self.new_id();
  if (id->datalen != size) return NGTCP2_ERR_CALLBACK_FAILURE;
  const QuicContext& context = self.endpoint_.context();
  if (ngtcp2_crypto_generate_stateless_reset_token(token, context.reset_secret.data(),
                                                   context.reset_secret.size(), id) != 0) {
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  return 0;
}

int QuicCallbacks::id_gone(ngtcp2_conn* /*native*/, const ngtcp2_cid* id, void* user) {
  QuicSession& self = session(user);
  self.endpoint_.remove_id(*id);
  std::erase_if(self.ids_, [id](const ngtcp2_cid& one) { return ngtcp2_cid_eq(&one, id) != 0; });
  return 0;
}

int QuicCallbacks::completed(ngtcp2_conn* /*native*/, void* user) {
  // A server has seen the client's proof now; a client waits until the server says that it has.
  QuicSession& self = session(user);
  if (self.server_) self.establish();
  return 0;
}

int QuicCallbacks::confirmed(ngtcp2_conn* /*native*/, void* user) {
  QuicSession& self = session(user);
  if (!self.server_) self.establish();
  return 0;
}

int QuicCallbacks::stream_opened(ngtcp2_conn* /*native*/, std::int64_t stream, void* user) {
  QuicSession& self = session(user);
  self.readers_.try_emplace(stream, self.endpoint_.context().budget);
  return 0;
}

int QuicCallbacks::stream_data(ngtcp2_conn* native, std::uint32_t flags, std::int64_t stream,
                               std::uint64_t /*offset*/, const std::uint8_t* data, std::size_t size,
                               void* user, void* /*stream_user*/) {
  QuicSession& self = session(user);
  ngtcp2_conn_extend_max_stream_offset(native, stream, size);
  ngtcp2_conn_extend_max_offset(native, size);
  self.read(stream, {reinterpret_cast<const std::byte*>(data), size});
  if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0) {
    self.fail_framing(make_error(Errc::malformed_frame, "a stream ended before its connection"));
  }
  return 0;
}

int QuicCallbacks::stream_acknowledged(ngtcp2_conn* /*native*/, std::int64_t stream,
                                       std::uint64_t offset, std::uint64_t size, void* user,
                                       void* /*stream_user*/) {
  QuicSession& self = session(user);
  const auto found = self.opened_.find(stream);
  if (found != self.opened_.end()) {
    self.owner_.settle(found->second->acknowledge(offset + size));
  }
  return 0;
}

int QuicCallbacks::stream_broken(ngtcp2_conn* /*native*/, std::int64_t /*stream*/,
                                 std::uint64_t /*final_size*/, std::uint64_t /*code*/, void* user,
                                 void* /*stream_user*/) {
  session(user).fail_framing(make_error(Errc::malformed_frame, "a stream was reset"));
  return 0;
}

/// Of ours, because the other end asked to stop it: the library resets it then by itself.
int QuicCallbacks::stream_closed(ngtcp2_conn* /*native*/, std::uint32_t /*flags*/,
                                 std::int64_t /*stream*/, std::uint64_t /*code*/, void* user,
                                 void* /*stream_user*/) {
  session(user).fail_framing(make_error(Errc::malformed_frame, "a stream was not wanted"));
  return 0;
}

int QuicCallbacks::datagram(ngtcp2_conn* /*native*/, std::uint32_t /*flags*/,
                            const std::uint8_t* data, std::size_t size, void* user) {
  session(user).read_datagram({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}

int QuicCallbacks::datagram_arrived(ngtcp2_conn* /*native*/, std::uint64_t /*id*/, void* user) {
  session(user).owner_.datagrams_acknowledged.fetch_add(1, std::memory_order_relaxed);
  return 0;
}

int QuicCallbacks::datagram_lost(ngtcp2_conn* /*native*/, std::uint64_t /*id*/, void* user) {
  session(user).owner_.datagrams_lost.fetch_add(1, std::memory_order_relaxed);
  return 0;
}

int QuicCallbacks::path_validated(ngtcp2_conn* /*native*/, std::uint32_t /*flags*/,
                                  const ngtcp2_path* /*path*/, ngtcp2_path_validation_result result,
                                  void* user) {
  if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
    session(user).owner_.path_changes.fetch_add(1, std::memory_order_relaxed);
  }
  return 0;
}

int QuicCallbacks::reset_received(ngtcp2_conn* /*native*/,
                                  const ngtcp2_pkt_stateless_reset* /*reset*/, void* user) {
  session(user).was_reset_ = true;
  return 0;
}

}  // namespace velo::transport
