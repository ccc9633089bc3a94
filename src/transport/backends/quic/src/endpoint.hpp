// SPDX-License-Identifier: Apache-2.0
// One UDP socket on one shard, and the connections that share it: tells datagrams apart by the
// connection ids in them, lets first packets in or asks them back (endpoint_arrivals.cpp), and
// writes for all connections once a turn. Made on its shard, and let go of there.
// Threading: the shard's thread, but for context() and shard().
#pragma once

#include "connection.hpp"
#include "packet_sender.hpp"

#include <velo/base/network.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/transport.hpp>

#include <ngtcp2/ngtcp2.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace velo::transport {

class QuicContext;

/// Connection ids of ours have this length, so that a short header tells where its id ends.
constexpr std::size_t quic_id_bytes = 8;

// why: a turn's end is still to come after the last connection is gone.
class QuicEndpoint final : public std::enable_shared_from_this<QuicEndpoint>,
                           private DatagramEvents {
 public:
  static Result<std::shared_ptr<QuicEndpoint>> open(std::shared_ptr<QuicContext> context,
                                                    Shard& shard, const Endpoint& local);
  QuicEndpoint(const QuicEndpoint&) = delete;
  QuicEndpoint& operator=(const QuicEndpoint&) = delete;
  virtual ~QuicEndpoint();

  QuicContext& context() noexcept { return *context_; }
  Shard& shard() noexcept { return shard_; }
  const NetAddress& local() const noexcept { return local_; }
  Endpoint local_endpoint() const { return socket_->local(); }
  PacketSender& sender() noexcept { return sender_; }

  /// Who connects is given to `accepts` from now on.
  void listen(AcceptHandler& accepts) noexcept { accepts_ = &accepts; }
  /// Nobody is let in any more; who is on the way in is turned away.
  void stop_listening() noexcept;
  /// The connection is in the table until it ends.
  QuicConnection& dial(const NetAddress& remote, ConnectHandler outcome);

  /// Flushes the connection at the end of this turn.
  void schedule(QuicConnection& connection);
  /// Takes it out of the table, says goodbye for it, and remembers for a while what to answer to
  /// packets that are still on their way.
  void remove(QuicConnection& connection, QuicSession* session);

  /// Of ours, quic_id_bytes long.
  void add_id(const ngtcp2_cid& id, QuicConnection& connection);
  /// What the client chose for its first packets; gone with the connection.
  void add_first_id(const ngtcp2_cid& id, QuicConnection& connection);
  void remove_id(const ngtcp2_cid& id) noexcept;
  /// Nothing leads from this session's ids to its connection any more.
  void forget(const QuicSession& session, const QuicConnection& owner) noexcept;
  /// The buffer that all connections read into; whoever had it has saved what is his.
  std::span<std::byte> lend_buffer(QuicSession& session);
  void give_buffer_back(const QuicSession& session) noexcept;

 private:
  /// What is answered to packets of a connection that is over.
  struct Epitaph {
    std::vector<std::uint8_t> packet;  ///< empty: nothing
    std::uint32_t heard = 0;
  };
  struct Buried {
    TimePoint until;
    std::vector<std::uint64_t> ids;
  };

  QuicEndpoint(std::shared_ptr<QuicContext> context, Shard& shard);

  void on_datagram(const NetAddress& from, const NetAddress& to, ByteSpan datagram) override;
  /// The address of ours that it was sent to, which is the one to answer from.
  const NetAddress& reached_at(const NetAddress& to) const noexcept;
  void on_batch_end() override;
  QuicConnection* find(const ngtcp2_version_cid& ids) const;
  void schedule_turn();
  void turn_ended();
  void bury(const QuicSession& session, std::vector<std::uint8_t> packet);

  // Packets of no connection (endpoint_arrivals.cpp).
  void answer_version(const QuicRoute& from, const ngtcp2_version_cid& ids, std::size_t size);
  bool answer_for_the_buried(const QuicRoute& from, std::uint64_t id, std::size_t size);
  void answer_reset(const QuicRoute& from, const ngtcp2_version_cid& ids, ByteSpan datagram);
  void arrive(const QuicRoute& from, ByteSpan datagram);
  bool validate(const QuicRoute& from, QuicSession::Arrival& arrival, bool& validated);
  void let_in(const QuicRoute& from, const QuicSession::Arrival& arrival, bool validated,
              ByteSpan datagram);
  void send_retry(const QuicRoute& to, const ngtcp2_pkt_hd& header);
  void refuse(const QuicRoute& to, const ngtcp2_pkt_hd& header, std::uint64_t code,
              std::string_view reason);
  void send_stateless(const QuicRoute& to, std::span<const std::uint8_t> packet);

  const std::shared_ptr<QuicContext> context_;
  Shard& shard_;
  std::unique_ptr<DatagramSocket> socket_;
  NetAddress local_;
  bool any_address_ = false;  ///< local_ is none of this host's, but stands for all
  PacketSender sender_;
  AcceptHandler* accepts_ = nullptr;
  bool listened_ = false;

  std::uint64_t next_connection_ = 1;
  std::map<std::uint64_t, ConnectionPtr> connections_;
  std::unordered_map<std::uint64_t, QuicConnection*> ids_;
  /// What clients chose for their first packet; of any length, so that nobody can choose them to
  /// collide in a hash.
  std::map<std::string, QuicConnection*, std::less<>> first_ids_;
  std::vector<ConnectionPtr> dirty_;
  std::vector<ConnectionPtr> flushing_;
  bool turn_pending_ = false;
  std::shared_ptr<QuicEndpoint> keep_;  ///< while turn_pending_

  std::unique_ptr<std::byte[]> buffer_;
  QuicSession* borrower_ = nullptr;

  std::unordered_map<std::uint64_t, std::shared_ptr<Epitaph>> epitaphs_;
  std::deque<Buried> buried_;
  TimePoint resets_since_;
  std::uint32_t resets_ = 0;
};

}  // namespace velo::transport
