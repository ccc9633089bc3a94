// SPDX-License-Identifier: Apache-2.0
// The floor: the same exchange over plain non-blocking sockets and epoll, one thread a process, an
// eight-byte header, no protocol.

#include "floor_socket.hpp"

namespace velo::bench {
namespace floor_detail {

/// Replies to everything that one read brought with one write.
static void serve_pipeline(const Spec& spec, Peer& peer) {
  std::vector<char> replies;
  for (;;) {
    Header header{};
    if (!peer.have(&header)) peer.fill();
    if (spec.payload_bytes >= large_frame_bytes) {
      if (peer.have(&header)) peer.send_back(sizeof header + header.length);
      continue;
    }
    replies.clear();
    while (peer.have(&header)) {
      replies.insert(replies.end(), peer.front(), peer.front() + sizeof header + header.length);
      peer.pop(header);
    }
    if (!replies.empty()) peer.send_while_reading(replies.data(), replies.size());
  }
}

static void serve_one_way(Peer& peer) {
  std::uint64_t count = 0;
  for (;;) {
    const char* payload = nullptr;
    const Header header = peer.next(&payload);
    if (header.id != end_of_stream) {
      ++count;
      continue;
    }
    peer.send_frame(Header{sizeof count, 1}, reinterpret_cast<const char*>(&count));
    count = 0;
  }
}

static void serve(const Spec& spec, int ready) {
  Peer peer(accept_one(spec, ready), spec.medium == Medium::uds, spec.payload_bytes);
  if (spec.shape == Shape::pipeline) serve_pipeline(spec, peer);
  if (spec.shape == Shape::one_way) serve_one_way(peer);
  for (;;) {
    const char* payload = nullptr;
    const Header header = peer.next(&payload);
    peer.send_frame(header, payload);
  }
}

static Measurement round_trips(const Spec& spec, Peer& peer, const std::vector<char>& payload) {
  return time_round_trips(spec, [&] {
    peer.send_frame(Header{static_cast<std::uint32_t>(spec.payload_bytes), 1}, payload.data());
    const char* reply = nullptr;
    (void)peer.next(&reply);
  });
}

static Measurement pipeline(const Spec& spec, Peer& peer, const std::vector<char>& frame) {
  std::vector<char> burst;
  for (std::size_t i = 0; i < spec.outstanding; ++i) {
    burst.insert(burst.end(), frame.begin(), frame.end());
  }
  const auto run = [&](double seconds) {
    Measurement result;
    const std::int64_t begin = now_ns();
    const std::int64_t end = begin + static_cast<std::int64_t>(seconds * 1e9);
    std::size_t out = spec.outstanding;
    peer.send_while_reading(burst.data(), frame.size() * out);
    while (out > 0) {
      std::size_t got = 0;
      Header header{};
      if (!peer.have(&header)) peer.fill();
      while (peer.have(&header)) {
        peer.pop(header);
        ++got;
      }
      out -= got;
      result.messages += static_cast<double>(got);
      if (got > 0 && now_ns() < end) {
        peer.send_while_reading(burst.data(), frame.size() * got);
        out += got;
      }
    }
    result.seconds = static_cast<double>(now_ns() - begin) / 1e9;
    return result;
  };
  run(spec.warm_up_seconds);
  return run(spec.seconds);
}

static Measurement one_way(const Spec& spec, Peer& peer, const std::vector<char>& frame) {
  const std::size_t frames =
      std::clamp<std::size_t>(one_way_batch_bytes / frame.size(), 1, one_way_batch);
  std::vector<char> batch;
  for (std::size_t i = 0; i < frames; ++i) batch.insert(batch.end(), frame.begin(), frame.end());
  const auto run = [&](double seconds) {
    Measurement result;
    const std::int64_t begin = now_ns();
    const std::int64_t end = begin + static_cast<std::int64_t>(seconds * 1e9);
    while (now_ns() < end) {
      peer.send_bytes(batch.data(), batch.size());
      result.messages += static_cast<double>(frames);
    }
    peer.send_frame(Header{0, end_of_stream}, nullptr);
    const char* reply = nullptr;
    (void)peer.next(&reply);
    std::uint64_t counted = 0;
    std::memcpy(&counted, reply, sizeof counted);
    if (static_cast<double>(counted) != result.messages) fail("the floor lost messages");
    result.seconds = static_cast<double>(now_ns() - begin) / 1e9;
    return result;
  };
  run(spec.warm_up_seconds);
  return run(spec.seconds);
}

}  // namespace floor_detail

Measurement run_floor(const Spec& spec) {
  using namespace floor_detail;
  if (spec.medium == Medium::quic) return run_quic_floor(spec);
  const std::string where = start_server(spec, [&](int ready) { serve(spec, ready); });
  const int fd = connect_to(spec, where);
  Peer peer(fd, spec.medium == Medium::uds, spec.payload_bytes);
  const Header header{static_cast<std::uint32_t>(spec.payload_bytes), 1};
  std::vector<char> frame(sizeof header + spec.payload_bytes, 'x');
  std::memcpy(frame.data(), &header, sizeof header);
  if (spec.shape == Shape::pipeline) return pipeline(spec, peer, frame);
  if (spec.shape == Shape::one_way) return one_way(spec, peer, frame);
  return round_trips(spec, peer, std::vector<char>(spec.payload_bytes + 1, 'x'));
}

}  // namespace velo::bench
