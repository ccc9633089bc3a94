// SPDX-License-Identifier: Apache-2.0
// What leaves: accepted frames to streams and datagrams, and these to packets.

#include "connection.hpp"
#include "context.hpp"
#include "endpoint.hpp"
#include "session.hpp"

#include <velo/transport/limits.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace velo::transport {
namespace session_write_detail {

/// Then the shard's other connections have their turn.
constexpr int packets_per_flush_max = 256;
constexpr std::size_t vectors_max = 16;
/// Before the last one.
constexpr int last_packets_max = 4;
/// The library had something left to say only if it left a packet with less room than this.
constexpr std::size_t room_bytes_min = 128;

}  // namespace session_write_detail

namespace writing = session_write_detail;

bool QuicSession::datagrams_possible() const noexcept {
  const ngtcp2_transport_params* theirs = ngtcp2_conn_get_remote_transport_params(native_);
  return theirs != nullptr && theirs->max_datagram_frame_size >= limits::quic_datagram_bytes_max;
}

void QuicSession::collect() {
  owner_.collect(collected_);
  if (collected_.empty()) return;
  lanes_.begin_batch();
  SendBlock block;
  for (QueuedFrame& frame : collected_) {
    if (frame.block != nullptr) block = std::move(frame.block);
    collected_position_ = frame.end;
    if (frame.may_be_lost && frame.size() <= limits::quic_datagram_bytes_max &&
        datagrams_possible()) {
      frame.block = block;
      add_datagram(std::move(frame));
    } else {
      lanes_.append(std::move(frame), block);
    }
  }
  collected_.clear();
}

void QuicSession::add_datagram(QueuedFrame&& frame) {
  if (datagrams_.size() >= limits::quic_datagrams_queued_max) {
    owner_.datagrams_dropped.fetch_add(1, std::memory_order_relaxed);
    owner_.settle(frame.size());
    return;
  }
  datagram_bytes_ += frame.size();
  datagrams_.push_back(std::move(frame));
}

bool QuicSession::open(SendStream& stream) {
  if (stream.id >= 0) return true;
  if (ngtcp2_conn_open_uni_stream(native_, &stream.id, nullptr) != 0) {
    stream.id = -1;
    stream.blocked = true;
    return false;
  }
  opened_.emplace(stream.id, &stream);
  owner_.streams_opened.fetch_add(1, std::memory_order_relaxed);
  return true;
}

ngtcp2_ssize QuicSession::write_datagram(std::uint8_t* out, ngtcp2_path_storage& path,
                                         bool& again) {
  const QueuedFrame& frame = datagrams_.front();
  ngtcp2_vec vector{reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(frame.head)),
                    frame.head_bytes};
  int accepted = 0;
  ngtcp2_pkt_info info{};
  const ngtcp2_ssize written = ngtcp2_conn_writev_datagram(
      native_, &path.path, &info, out, PacketSender::packet_bytes_max, &accepted,
      NGTCP2_WRITE_DATAGRAM_FLAG_MORE, next_datagram_id_, &vector, 1, now_);
  const bool refused =
      written == NGTCP2_ERR_INVALID_ARGUMENT || written == NGTCP2_ERR_INVALID_STATE;
  if (accepted != 0 || refused) {
    datagrams_sent_position_ = frame.end;
    (accepted != 0 ? owner_.datagrams_sent : owner_.datagrams_dropped)
        .fetch_add(1, std::memory_order_relaxed);
    ++next_datagram_id_;
    datagram_bytes_ -= frame.size();
    owner_.settle(frame.size());
    datagrams_.pop_front();
  }
  again = written == NGTCP2_ERR_WRITE_MORE || refused;
  return written;
}

ngtcp2_ssize QuicSession::write_stream(SendStream& stream, std::uint8_t* out,
                                       ngtcp2_path_storage& path, bool& again) {
  std::array<iovec, writing::vectors_max> vectors;
  const SendStream::Gathered gathered = stream.gather(vectors);
  static_assert(sizeof(ngtcp2_vec) == sizeof(iovec));
  std::array<ngtcp2_vec, writing::vectors_max> native;
  for (std::size_t i = 0; i < gathered.count; ++i) {
    native[i] = {static_cast<std::uint8_t*>(vectors[i].iov_base), vectors[i].iov_len};
  }
  // With nothing else to send, the packet is complete with this.
  const bool more = !gathered.all || lanes_.others_than(stream);
  ngtcp2_ssize taken = -1;
  ngtcp2_pkt_info info{};
  const ngtcp2_ssize written = ngtcp2_conn_writev_stream(
      native_, &path.path, &info, out, PacketSender::packet_bytes_max, &taken,
      more ? NGTCP2_WRITE_STREAM_FLAG_MORE : NGTCP2_WRITE_STREAM_FLAG_NONE, stream.id,
      native.data(), gathered.count, now_);
  if (taken > 0) stream.advance(static_cast<std::size_t>(taken));
  again = written == NGTCP2_ERR_WRITE_MORE;
  ends_with_data_ = taken > 0 && !again;
  if (written == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
    stream.blocked = true;
    again = true;
  } else if (!again) {
    lanes_.rotate();
  }
  return written;
}

/// One packet; 0 when there is nothing to write, or no room in the network.
ngtcp2_ssize QuicSession::write_packet(std::uint8_t* out, ngtcp2_path_storage& path) {
  ends_with_data_ = false;
  for (;;) {
    bool again = false;
    if (confirmed_ && !datagrams_.empty()) {
      const ngtcp2_ssize written = write_datagram(out, path, again);
      if (again) continue;
      return written;
    }
    SendStream* stream = confirmed_ ? lanes_.next() : nullptr;
    if (stream != nullptr) {
      if (!open(*stream)) continue;
      const ngtcp2_ssize written = write_stream(*stream, out, path, again);
      if (again) continue;
      return written;
    }
    ngtcp2_pkt_info info{};
    ngtcp2_ssize taken = -1;
    return ngtcp2_conn_writev_stream(native_, &path.path, &info, out,
                                     PacketSender::packet_bytes_max, &taken,
                                     NGTCP2_WRITE_STREAM_FLAG_NONE, -1, nullptr, 0, now_);
  }
}

/// Nothing is left to send after this packet: its last part were the last bytes of a stream, and
/// there was room for more. To ask the library whether it has anything to add costs almost as much
/// as a packet; what it has comes before the data of streams.
bool QuicSession::all_said(std::size_t packet_bytes) noexcept {
  return ends_with_data_ && lanes_.next() == nullptr &&
         packet_bytes + writing::room_bytes_min <
             ngtcp2_conn_get_path_max_tx_udp_payload_size(native_);
}

/// What the library itself has to say, such as that the handshake is complete; no frames.
void QuicSession::finish_sentence() {
  PacketSender& sender = endpoint_.sender();
  ngtcp2_path_storage path;
  ngtcp2_pkt_info info{};
  for (int packets = 0; packets < writing::last_packets_max; ++packets) {
    std::uint8_t* out = sender.slot();
    if (out == nullptr) break;
    ngtcp2_path_storage_zero(&path);
    const ngtcp2_ssize written = ngtcp2_conn_write_pkt(native_, &path.path, &info, out,
                                                       PacketSender::packet_bytes_max, now_);
    if (written <= 0) break;
    sender.commit(static_cast<std::size_t>(written), QuicRoute::read(path.path));
  }
  sender.send();
}

void QuicSession::flush() {
  collect();
  if (over_) return;
  now_ = std::max(now_, quic_time(endpoint_.shard().now()));
  lanes_.unblock();
  PacketSender& sender = endpoint_.sender();
  int packets = 0;
  ngtcp2_path_storage path;
  for (; packets < writing::packets_per_flush_max; ++packets) {
    std::uint8_t* out = sender.slot();
    if (out == nullptr) break;
    ngtcp2_path_storage_zero(&path);
    const ngtcp2_ssize written = write_packet(out, path);
    if (written < 0) {
      fail(static_cast<int>(written));
      break;
    }
    if (written == 0) break;
    sender.commit(static_cast<std::size_t>(written), QuicRoute::read(path.path));
    if (all_said(static_cast<std::size_t>(written))) {
      ++packets;
      break;
    }
  }
  sender.send();
  if (over_) return;
  if (packets > 0 && paced_) ngtcp2_conn_update_pkt_tx_time(native_, now_);
  if (packets == writing::packets_per_flush_max || sender.blocked()) endpoint_.schedule(owner_);
  memory_.settle();
  tell_written();
}

void QuicSession::tell_written() {
  std::uint64_t position = lanes_.unsent_position(collected_position_);
  if (!datagrams_.empty()) {
    position = std::min(position, datagrams_.front().end - datagrams_.front().size());
  }
  owner_.wrote(position);
}

}  // namespace velo::transport
