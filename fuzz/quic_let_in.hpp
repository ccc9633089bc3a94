// SPDX-License-Identifier: Apache-2.0
// A peer that is let in and says anything on streams and in datagrams, and what must come of it.
// Threading: one thread.
#pragma once

#include <velo/base/check.hpp>
#include <velo/transport/framing.hpp>

#include "quic_fuzz_input.hpp"
#include "quic_liar.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace velo::transport::transport_quic_fuzz {

/// What the liar has said, and what must come of it.
class Said {
 public:
  void bytes(std::size_t stream, std::string_view bytes) { streams_[stream] += bytes; }
  void datagram(std::string_view bytes) {
    FrameParser parser(as_bytes(bytes));
    if (parser.next() != FrameParser::Status::frame || parser.frame_bytes() != bytes.size()) {
      breaks_ = true;
    } else {
      ++datagrams_;
    }
  }
  void breaks() { breaks_ = true; }
  std::pair<std::size_t, bool> judge() const {
    std::size_t frames = 0;
    bool breaks = breaks_;
    for (const auto& [stream, bytes] : streams_) {
      FrameParser parser(as_bytes(bytes));
      FrameParser::Status status = parser.next();
      for (; status == FrameParser::Status::frame; status = parser.next()) ++frames;
      breaks = breaks || status == FrameParser::Status::malformed;
    }
    return {frames, breaks};
  }
  std::size_t datagrams() const { return datagrams_; }

 private:
  std::map<std::size_t, std::string> streams_;
  std::size_t datagrams_ = 0;
  bool breaks_ = false;
};

class LetIn {
 public:
  explicit LetIn(std::uint8_t bits)
      : pair_(1, server_options(bits)),
        liar_(pair_.relay_node, 7000, pair_.server_node.endpoint(4433), credentials_of(0)) {
    const bool in = run([this] { return bool(pair_.server.connection) && liar_.connected(); });
    VELO_CHECK(in);
  }

  void run_steps(Input& input) {
    for (std::size_t i = 0; i < steps_max && !input.empty() && !closed_; ++i) step(input);
    settle();
  }

 private:
  template <class P>
  bool run(P condition) {
    for (int i = 0; i < 400; ++i) {
      if (condition()) return true;
      pair_.simulation.run_for(milliseconds(1));
      liar_.tick();
    }
    return condition();
  }

  static std::string frame(Input& input) {
    const std::uint8_t type = input.take();
    const std::size_t header_bytes = input.take();
    const std::size_t payload_bytes = std::size_t{input.take()} * input.take() * 4;
    std::string made(preamble_bytes, '\0');
    auto* at = reinterpret_cast<std::byte*>(made.data());
    framing_detail::put_u16(at, framing_version);
    at[2] = static_cast<std::byte>(type % 5);
    framing_detail::put_u32(at + 3, static_cast<std::uint32_t>(header_bytes));
    framing_detail::put_u32(at + 7, static_cast<std::uint32_t>(payload_bytes));
    return made + std::string(header_bytes, 'h') + std::string(payload_bytes, 'p');
  }

  /// Never nothing: the liar's own library cannot bear that it is acknowledged.
  void say(std::size_t stream, std::string_view bytes, bool end = false) {
    if (bytes.empty() && !end) return;
    if (bytes.empty()) bytes = std::string_view("\0", 1);
    if (!liar_.say(stream, bytes, end)) return;
    said_.bytes(stream, bytes);
    if (end) said_.breaks();
  }

  void step(Input& input) {
    const std::uint8_t what = input.take();
    const std::size_t stream = input.take() % 80;
    switch (what % 10) {
      case 0: return say(stream, input.take(input.take()));
      case 1:
      case 2: {
        std::string bytes = frame(input);
        const std::size_t cut = std::min<std::size_t>(input.take() * std::size_t{64}, bytes.size());
        if (what % 10 == 2) {
          say(stream, bytes.substr(0, cut));
          pair_.simulation.run_for(milliseconds(1));
          bytes.erase(0, cut);
        }
        return say(stream, bytes);
      }
      case 3: return datagram(input.take(input.take()));
      case 4: {
        const std::string bytes = frame(input);
        return datagram(bytes.size() <= 1100 ? bytes : std::string("too long for one"));
      }
      case 5: return end(stream, input);
      case 6:
        if (liar_.refuse_theirs(input.take())) said_.breaks();
        return;
      case 7: return close(input);
      case 8:
        pair_.server.send("from the server", input.take() * std::size_t{100}, input.take());
        break;
      default: break;
    }
    run([runs = input.take() % 16]() mutable { return runs-- == 0; });
  }

  void end(std::size_t stream, Input& input) {
    if (input.take() % 2 == 0) return say(stream, input.take(input.take()), true);
    said_.breaks();
    unsure_ = true;  // what was said before may or may not have come
    liar_.reset(stream, input.take());
  }

  void datagram(const std::string& bytes) {
    if (bytes.empty()) return;
    said_.datagram(bytes);
    liar_.say_datagram(bytes);
  }

  void close(Input& input) {
    closed_ = true;
    unsure_ = true;
    const bool application = input.take() % 2 == 0;
    const std::uint64_t code = input.take() | static_cast<std::uint64_t>(input.take()) << 8U;
    liar_.close(application, code, input.take(input.take() % 64));
  }

  void settle() {
    const auto [frames, breaks] = said_.judge();
    const std::size_t all = frames + said_.datagrams();
    const auto& got = pair_.server.frames;
    if (breaks || closed_ || liar_.over()) {
      run([this] { return pair_.server.closed.has_value(); });
      VELO_CHECK(got.size() <= all);
      VELO_CHECK(!breaks || unsure_ || pair_.server.closed.has_value());
    } else {
      run([this, all, &got] { return pair_.server.closed || got.size() == all; });
      VELO_CHECK(!pair_.server.closed.has_value());
      VELO_CHECK(got.size() == all);
    }
    VELO_CHECK(pair_.budgets[0]->used() <= held_bytes_max + (std::size_t{16} << 20));
    if (pair_.server.connection) {
      pair_.server.connection->close(make_error(Errc::closed_locally));
      VELO_CHECK(pair_.until([this] { return pair_.server.closed.has_value(); }));
    }
    pair_.server.connection = ConnectionPtr();
    VELO_CHECK(pair_.budgets[0]->used() == 0);
  }

  Pair pair_;
  QuicLiar liar_;
  Said said_;
  bool closed_ = false;
  bool unsure_ = false;
};

}  // namespace velo::transport::transport_quic_fuzz
