// SPDX-License-Identifier: Apache-2.0
// The floor of QUIC: the same exchanges over ngtcp2 written directly.

#include "floor_quic.hpp"

#include "floor_socket.hpp"

#include <cstdlib>
#include <string>

namespace velo::bench {
namespace floor_quic_shapes_detail {

using floor_quic_detail::QuicEnd;

static std::uint64_t frame_bytes(const Spec& spec) {
  return sizeof(floor_detail::Header) + spec.payload_bytes;
}

static void serve(const Spec& spec, int ready) {
  QuicEnd end(0);
  const std::string line = std::to_string(end.port()) + "\n";
  if (::write(ready, line.data(), line.size()) < 0) ::_exit(3);
  end.accept();
  const std::uint64_t frame = frame_bytes(spec);
  std::uint64_t answered = 0;
  for (;;) {
    end.step();
    if (spec.shape == Shape::one_way) {
      for (; answered < end.marks(); ++answered) end.send(sizeof(floor_detail::Header));
    } else {
      while (end.received() - answered >= frame) {
        answered += frame;
        end.send(frame);
      }
    }
    end.flush();
  }
}

static Measurement round_trips(const Spec& spec, QuicEnd& end) {
  const std::uint64_t frame = frame_bytes(spec);
  return floor_detail::time_round_trips(spec, [&] {
    const std::uint64_t wanted = end.received() + frame;
    end.send(frame);
    end.flush();
    while (end.received() < wanted) end.step();
  });
}

static Measurement pipeline(const Spec& spec, QuicEnd& end, double seconds) {
  const std::uint64_t frame = frame_bytes(spec);
  Measurement result;
  const std::int64_t begin = now_ns();
  const std::int64_t until = begin + static_cast<std::int64_t>(seconds * 1e9);
  std::uint64_t seen = end.received();
  std::size_t out = spec.outstanding;
  end.send(frame * out);
  end.flush();
  while (out > 0) {
    while (end.received() - seen < frame) end.step();
    const std::uint64_t got = (end.received() - seen) / frame;
    seen += got * frame;
    out -= got;
    result.messages += static_cast<double>(got);
    if (now_ns() >= until) continue;
    out += got;
    end.send(frame * got);
    end.flush();
  }
  result.seconds = static_cast<double>(now_ns() - begin) / 1e9;
  return result;
}

static Measurement one_way(const Spec& spec, QuicEnd& end, double seconds) {
  const std::uint64_t frame = frame_bytes(spec);
  Measurement result;
  const std::int64_t begin = now_ns();
  const std::int64_t until = begin + static_cast<std::int64_t>(seconds * 1e9);
  while (now_ns() < until) {
    if (end.pending() < frame) {
      end.send(frame * spec.outstanding);
      result.messages += static_cast<double>(spec.outstanding);
      end.flush();
    }
    end.step();
  }
  const std::uint64_t before = end.received();
  end.send_mark();
  end.flush();
  while (end.received() == before) end.step();
  result.seconds = static_cast<double>(now_ns() - begin) / 1e9;
  return result;
}

}  // namespace floor_quic_shapes_detail

Measurement run_quic_floor(const Spec& spec) {
  using namespace floor_quic_shapes_detail;
  const std::string line = start_server(spec, [&](int ready) { serve(spec, ready); });
  QuicEnd end(static_cast<std::uint16_t>(std::atoi(line.c_str())));
  end.connect();
  // The server learns of the stream by what comes on it.
  if (spec.shape == Shape::pipeline) {
    pipeline(spec, end, spec.warm_up_seconds);
    return pipeline(spec, end, spec.seconds);
  }
  if (spec.shape == Shape::one_way) {
    one_way(spec, end, spec.warm_up_seconds);
    return one_way(spec, end, spec.seconds);
  }
  return round_trips(spec, end);
}

}  // namespace velo::bench
