// SPDX-License-Identifier: Apache-2.0
// What the QUIC library calls. None of it calls the library back, but for what may be called from
// there: opening windows.
// Threading: the shard's thread.
#pragma once

#include "session.hpp"

namespace velo::transport {

class QuicCallbacks {
 public:
  static void fill(ngtcp2_callbacks& callbacks, bool server);

 private:
  static QuicSession& session(void* user) noexcept { return *static_cast<QuicSession*>(user); }

  static void random(std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx* context);
  static int new_id(ngtcp2_conn* native, ngtcp2_cid* id, std::uint8_t* token, std::size_t size,
                    void* user);
  static int id_gone(ngtcp2_conn* native, const ngtcp2_cid* id, void* user);
  static int completed(ngtcp2_conn* native, void* user);
  static int confirmed(ngtcp2_conn* native, void* user);
  static int stream_opened(ngtcp2_conn* native, std::int64_t stream, void* user);
  static int stream_data(ngtcp2_conn* native, std::uint32_t flags, std::int64_t stream,
                         std::uint64_t offset, const std::uint8_t* data, std::size_t size,
                         void* user, void* stream_user);
  static int stream_acknowledged(ngtcp2_conn* native, std::int64_t stream, std::uint64_t offset,
                                 std::uint64_t size, void* user, void* stream_user);
  static int stream_broken(ngtcp2_conn* native, std::int64_t stream, std::uint64_t final_size,
                           std::uint64_t code, void* user, void* stream_user);
  static int stream_closed(ngtcp2_conn* native, std::uint32_t flags, std::int64_t stream,
                           std::uint64_t code, void* user, void* stream_user);
  static int datagram(ngtcp2_conn* native, std::uint32_t flags, const std::uint8_t* data,
                      std::size_t size, void* user);
  static int datagram_arrived(ngtcp2_conn* native, std::uint64_t id, void* user);
  static int datagram_lost(ngtcp2_conn* native, std::uint64_t id, void* user);
  static int path_validated(ngtcp2_conn* native, std::uint32_t flags, const ngtcp2_path* path,
                            ngtcp2_path_validation_result result, void* user);
  static int reset_received(ngtcp2_conn* native, const ngtcp2_pkt_stateless_reset* reset,
                            void* user);
};

}  // namespace velo::transport
