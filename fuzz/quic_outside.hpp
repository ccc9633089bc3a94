// SPDX-License-Identifier: Apache-2.0
// Strangers who send anything, and somebody between a client and the server who changes, loses,
// repeats and forges what passes.
// Threading: one thread.
#pragma once

#include <velo/base/check.hpp>

#include <ngtcp2/ngtcp2.h>

#include "endpoint.hpp"
#include "quic_fuzz_input.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport::transport_quic_fuzz {

/// Whom nobody knows, at one port.
struct Stranger {
  Stranger(sim::SimNode& node, std::uint16_t port)
      : socket(std::move(*node.network().bind_datagram(node.shard(0), node.endpoint(port),
                                                       [this](const Endpoint&, ByteSpan datagram) {
                                                         bytes_heard += datagram.size();
                                                         last = std::string(as_text(datagram));
                                                       }))) {}
  std::size_t bytes_heard = 0;
  std::size_t bytes_said = 0;
  std::string last;
  std::unique_ptr<DatagramSocket> socket;
};

/// The ids of a long header: [flags][version][length][id][length][id].
struct Ids {
  explicit Ids(std::string_view packet) {
    if (packet.empty()) return;
    ngtcp2_version_cid ids{};
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(packet.data());
    if (ngtcp2_pkt_decode_version_cid(&ids, bytes, packet.size(), quic_id_bytes) != 0) return;
    to.assign(reinterpret_cast<const char*>(ids.dcid), ids.dcidlen);
    from.assign(reinterpret_cast<const char*>(ids.scid), ids.scidlen);
    is_long = ids.version != 0;
    body = is_long ? 7 + to.size() + from.size() : 1 + to.size();
  }
  std::string to;
  std::string from;
  std::size_t body = 0;
  bool is_long = false;
};

class Outside {
 public:
  explicit Outside(std::uint8_t bits) : pair_(2, server_options(bits)) {
    for (std::uint16_t i = 0; i < 4; ++i) {
      strangers_.push_back(
          std::make_unique<Stranger>(pair_.relay_node, static_cast<std::uint16_t>(7000 + i)));
    }
    front_ = open(5000, [this](const Endpoint& from, ByteSpan datagram) {
      victim_ = from;
      meddle(std::string(as_text(datagram)), true);
    });
    back_ = open(5001, [this](const Endpoint&, ByteSpan datagram) {
      meddle(std::string(as_text(datagram)), false);
    });
    VELO_CHECK(!pair_.connect().has_value());
  }
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;
  ~Outside() {
    victim_dial_.reset();
    if (victim_end_.connection) {
      victim_end_.connection->close(make_error(Errc::closed_locally));
      pair_.until([this] { return victim_end_.closed.has_value(); });
    }
    victim_end_.connection = ConnectionPtr();
    if (victim_transport_ != nullptr) victim_transport_->stop();
  }

  void run_steps(Input& input) {
    for (std::size_t i = 0; i < steps_max && !input.empty(); ++i) step(input);
    settle();
  }

 private:
  std::unique_ptr<DatagramSocket> open(std::uint16_t port, DatagramHandler handler) {
    return std::move(*pair_.relay_node.network().bind_datagram(
        pair_.relay_node.shard(0), pair_.relay_node.endpoint(port), std::move(handler)));
  }
  Endpoint server() { return pair_.server_node.endpoint(4433); }

  void send(Stranger& from, std::string_view packet) {
    from.bytes_said += packet.size();
    (void)from.socket->try_send(server(), as_bytes(packet));
    pair_.simulation.run_for(milliseconds(2));
  }

  void step(Input& input) {
    const std::uint8_t what = input.take();
    Stranger& from = *strangers_[what / 16 % 4];
    switch (what % 8) {
      case 0: return send(from, input.take(input.take() * std::size_t{4}));
      case 1: return send(from, long_header(input, from));
      case 2: return send(from, again(input));
      case 3: return send(from, short_header(input));
      case 4: return dial(input);
      case 5: pair_.simulation.run_for(milliseconds(input.take() * 40)); return;
      case 6:
        pair_.client.send("honest", input.take() * std::size_t{40}, input.take(), true);
        ++honest_;
        return;
      default:
        if (victim_end_.connection) victim_end_.send("victim", input.take() * std::size_t{40});
        pair_.simulation.run_for(milliseconds(1));
    }
  }

  /// A packet as a client would begin with, with ids, token and length as the input says.
  std::string long_header(Input& input, const Stranger& stranger) {
    constexpr std::uint32_t versions[] = {NGTCP2_PROTO_VER_V1, 0, 0x1a2a3a4a, 0x6b3343cf};
    const std::uint8_t bits = input.take();
    const Ids answered(stranger.last);
    std::string to(input.take() % 24, 'd');
    if ((bits & 4U) != 0 && answered.is_long) to = answered.from;
    if ((bits & 8U) != 0 && !remembered_.empty()) to = Ids(remembered_.front()).to;
    const std::string from(input.take() % 24, 's');
    std::string token = input.take(input.take());
    if ((bits & 16U) != 0) token.insert(0, 1, static_cast<char>(0xb6));  // of a Retry of ngtcp2's
    if ((bits & 32U) != 0) token = token_of(stranger.last);
    if ((bits & 64U) != 0 && !token.empty()) token.back() = static_cast<char>(token.back() ^ 1);
    std::string made(1, static_cast<char>(0xc0 | (input.take() & 0x3f)));
    const std::uint32_t version = versions[bits % 4];
    for (int shift = 24; shift >= 0; shift -= 8) {
      made += static_cast<char>(version >> static_cast<unsigned>(shift));
    }
    made += static_cast<char>(to.size()) + to;
    made += static_cast<char>(from.size()) + from;
    made += static_cast<char>(0x40 | (token.size() >> 8U));
    made += static_cast<char>(token.size()) + token;
    made += std::string("\x44\x00", 2);  // 1024 bytes follow
    made += input.take(input.take());
    made.resize((bits & 128U) != 0 ? input.take() * std::size_t{5} : 1200, 'x');
    return made;
  }

  static std::string token_of(const std::string& retry) {
    const Ids ids(retry);
    if (!ids.is_long || retry.size() < ids.body + 16) return {};
    return retry.substr(ids.body, retry.size() - 16 - ids.body);
  }

  /// One that was seen on its way, changed or not.
  std::string again(Input& input) {
    if (remembered_.empty()) return std::string(1200, 'x');
    return changed(remembered_[input.take() % remembered_.size()], input.take(), input);
  }

  static std::string changed(std::string packet, std::uint8_t how, Input& input) {
    if ((how & 1U) != 0 && !packet.empty()) {
      const std::size_t at = (input.take() | std::size_t{input.take()} << 8U) % packet.size();
      packet[at] = static_cast<char>(input.take());
    }
    if ((how & 2U) != 0) packet.resize(packet.size() * input.take() / 255);
    if ((how & 4U) != 0) packet += input.take(input.take());
    return packet;
  }

  std::string short_header(Input& input) {
    std::string made(1, static_cast<char>(0x40 | (input.take() & 0x3f)));
    const Ids known(short_.empty() ? std::string_view() : std::string_view(short_));
    made += input.take() % 2 == 0 && !known.to.empty() ? known.to : input.take(8);
    made.resize(input.take() * std::size_t{4} + 1, 'x');
    return made;
  }

  /// A client by way of who changes, loses, repeats and forges what passes.
  void dial(Input& input) {
    const std::uint8_t who = input.take();
    script_ = input.take(input.take() % 48);
    at_ = 0;
    if (victim_transport_ == nullptr) {
      QuicOptions made;
      made.credentials = source(credentials_of(who));
      made.bind.reset();
      made.connect_timeout = seconds(3);
      if ((who & 4U) != 0) made.idle_timeout = seconds(1);
      if ((who & 4U) != 0) made.keep_alive = Duration::zero();
      if ((who & 16U) != 0) made.credentials = distrusting();
      const std::string protocol = (who & 8U) != 0 ? "h3" : std::string(quic_protocol);
      victim_transport_ = make_quic_speaking(protocol, std::move(made));
      const auto self = InstanceId::random(pair_.client_node.random());
      VELO_CHECK(victim_transport_
                     ->start(TransportContext(pair_.client_node, self, refuses_,
                                              std::make_shared<MemoryBudget>()))
                     .has_value());
    }
    if (victim_end_.connection) return;
    const Endpoint there = pair_.relay_node.endpoint(5000);
    const InterfaceEndpoint one("", there.host, there.port, 32);
    victim_dial_ = victim_transport_->connect(pair_.client_node.shard(0),
                                              encode_interface_endpoints(std::span(&one, 1)),
                                              [this](Result<ConnectionPtr> made) {
                                                if (made && !victim_end_.connection)
                                                  victim_end_.take(*made);
                                              });
    pair_.simulation.run_for(milliseconds((who & 32U) != 0 ? 3500 : 200));
  }

  static std::shared_ptr<crypto::CredentialSource> distrusting() {
    static const Authority other(98);
    crypto::Credentials made = authority().credentials(31);
    made.trust = other.trusted();
    return source(std::move(made));
  }

  void pass(const std::string& packet, bool to_server) {
    if (to_server) {
      (void)back_->try_send(server(), as_bytes(packet));
    } else {
      (void)front_->try_send(victim_, as_bytes(packet));
    }
  }

  void meddle(const std::string& packet, bool to_server) {
    if (remembered_.size() < 8 && to_server) remembered_.push_back(packet);
    const Ids ids(packet);
    if (to_server && !ids.is_long) short_ = packet;
    const std::uint8_t what = at_ < script_.size() ? static_cast<std::uint8_t>(script_[at_++]) : 0;
    switch (what % 8) {
      case 1: return;
      case 2:
      case 3: {
        const std::string rest = script_.substr(at_);
        Input input(as_bytes(rest));
        return pass(changed(packet, what / 8, input), to_server);
      }
      case 4:
        for (int i = 0; i < what / 8; ++i) pass(packet, to_server);
        return;
      case 5: forge(ids, what / 8, to_server); break;
      case 6:
        back_ = open(next_port_++, [this](const Endpoint&, ByteSpan datagram) {
          meddle(std::string(as_text(datagram)), false);
        });
        break;
      case 7: pass(std::string(static_cast<std::size_t>(what), 'n'), to_server); break;
      default: break;
    }
    pass(packet, to_server);
  }

  /// To who sent the packet with these ids: another version, a Retry, a reset.
  void forge(const Ids& seen, std::uint8_t which, bool to_client) {
    std::string made(1, static_cast<char>(which % 3 == 1 ? 0xf0 : 0xc0));
    const std::uint32_t version = which % 3 == 1 ? NGTCP2_PROTO_VER_V1 : 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
      made += static_cast<char>(version >> static_cast<unsigned>(shift));
    }
    made += static_cast<char>(seen.from.size()) + seen.from;
    made += static_cast<char>(seen.to.size()) + seen.to;
    made += which % 3 == 0 ? std::string("\x1a\x2a\x3a\x4a", 4) : std::string(40, 't');
    if (which % 3 == 2) made = "@" + std::string(60, 'r');
    pass(made, !to_client);
  }

  void settle() {
    for (const auto& one : strangers_) VELO_CHECK(one->bytes_heard <= 3 * one->bytes_said);
    const QuicCounts counts = pair_.server_counts();
    VELO_CHECK(counts.stateless_bytes_out <=
               counts.unvalidated_bytes_in + counts.datagrams_received * 100);
    VELO_CHECK(counts.gate.unauthenticated <= limits::quic_retry_from_handshakes);
    VELO_CHECK(pair_.budgets[0]->used() <= held_bytes_max);
    if (pair_.client.closed) return;
    const std::size_t before = pair_.server.frames.size();
    pair_.client.send("still here", 1);
    const bool arrived = pair_.until(
        [&] { return pair_.server.frames.size() > before || pair_.client.closed; }, seconds(5));
    VELO_CHECK(arrived);
  }

  struct Refuses final : AcceptHandler {
    void on_accepted(ConnectionPtr) override {}
  };

  Pair pair_;
  std::vector<std::unique_ptr<Stranger>> strangers_;
  std::unique_ptr<DatagramSocket> front_;
  std::unique_ptr<DatagramSocket> back_;
  std::uint16_t next_port_ = 5002;
  Endpoint victim_;
  Refuses refuses_;
  std::unique_ptr<Transport> victim_transport_;
  std::unique_ptr<Dial> victim_dial_;
  End victim_end_;
  std::string script_;
  std::size_t at_ = 0;
  std::vector<std::string> remembered_;
  std::string short_;
  std::size_t honest_ = 0;
};

}  // namespace velo::transport::transport_quic_fuzz
