// SPDX-License-Identifier: Apache-2.0
// A node of netns_test.py: `velo_netns_node TRANSPORT ADDRESS [multicast]` listens at the address
// over tcp, tls or quic, with credentials below an authority that all of them know, and says who it
// is, a line of JSON. Then it obeys lines, and answers each with one:
//   peer JSON               gets to know it
//   know ID                 calls that one from now on, wherever discovery finds it
//   load COUNT AT_ONCE BYTES TIMEOUT_MS    calls the peer
//   seen                    what its handler saw
//   books / balance JSON    its books; whether they agree with another's

#include <velo/base/check.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/discovery/backends/multicast.hpp>
#include <velo/messenger/balance.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/backends/tls.hpp>
#include <velo/velo.hpp>

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "netns_report.hpp"

namespace velo::netns {

using std::chrono::milliseconds;

static crypto::PrivateKey key_of(std::uint8_t number) {
  std::array<std::byte, 32> seed{};
  seed[0] = std::byte{number};
  return crypto::PrivateKey::ed25519_from_seed(seed).value();
}

/// Each process makes the authority's certificate anew; its key is what counts.
static std::shared_ptr<crypto::CredentialSource> make_credentials(World& world) {
  crypto::IssueOptions options;
  options.common_name = "netns";
  options.purpose = crypto::Purpose::authority;
  options.not_before = world.clock().wall_now();
  const crypto::PrivateKey authority_key = key_of(1);
  const auto authority = crypto::issue(authority_key, nullptr, authority_key.public_key(), options);
  VELO_CHECK(authority.has_value());
  options.common_name = "node";
  options.purpose = crypto::Purpose::peer;
  crypto::PrivateKey own = key_of(static_cast<std::uint8_t>(2 + ::getpid() % 250));
  const auto leaf = crypto::issue(authority_key, &*authority, own.public_key(), options);
  VELO_CHECK(leaf.has_value());
  crypto::TrustOptions trust;
  trust.authorities = {*authority};
  auto store = crypto::TrustStore::create(std::move(trust));
  VELO_CHECK(store.has_value());
  auto source = crypto::CredentialSource::create({std::move(own), {*leaf}, std::move(*store)});
  VELO_CHECK(source.has_value());
  return std::move(*source);
}

static std::unique_ptr<Velo> make_node(World& world, std::string_view kind,
                                       const std::string& address, bool multicast) {
  const Endpoint bind = Endpoint::tcp(address, 0);
  VeloBuilder builder = Velo::builder();
  builder.world(world);
  if (kind == "tcp") {
    transport::TcpOptions options;
    options.bind = bind;
    options.allow_plaintext_beyond_loopback = true;
    builder.add_transport(transport::make_tcp(options));
  } else {
    builder.credentials(make_credentials(world));
    builder.add_transport([bind, quic = kind == "quic"](
                              const NodeParts& parts) -> Result<std::unique_ptr<Transport>> {
      if (quic) {
        transport::QuicOptions options;
        options.bind = bind;
        options.credentials = parts.credentials;
        return transport::make_quic(std::move(options));
      }
      transport::TlsOptions options;
      options.bind = bind;
      options.credentials = parts.credentials;
      return transport::make_tls(std::move(options));
    });
  }
  if (multicast) {
    builder.discovery([address](World& home) -> Result<std::shared_ptr<PeerDiscovery>> {
      discovery::MulticastOptions options;
      options.interfaces = {address};
      options.group_v6.clear();
      auto made = discovery::MulticastDiscovery::create(home, "netns", options);
      if (!made) return std::move(made).error();
      return std::shared_ptr<PeerDiscovery>(std::move(*made));
    });
  }
  auto node = builder.build();
  if (!node) std::cerr << node.error().to_string() << std::endl;
  VELO_CHECK(node.has_value());
  return std::move(*node);
}

/// Which numbers came, and how often.
class Seen {
 public:
  void note(ByteSpan payload) {
    std::uint64_t number = 0;
    VELO_CHECK(payload.size() >= sizeof number);
    std::memcpy(&number, payload.data(), sizeof number);
    const std::lock_guard lock(mutex_);
    ++(numbers_.insert(number).second ? report_.distinct : report_.repeated);
  }
  SeenReport report() const {
    const std::lock_guard lock(mutex_);
    return report_;
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::uint64_t> numbers_;
  SeenReport report_;
};

struct Load {
  std::size_t count = 0;
  std::size_t at_once = 0;
  std::size_t bytes = 0;
  std::int64_t timeout_ms = 0;
};

class Node {
 public:
  Node(World& world, std::string_view kind, const std::string& address, bool multicast)
      : clock_(world.clock()), node_(make_node(world, kind, address, multicast)) {
    const auto registered =
        node_->register_handler(Handler::unary_handler("work", [this](Context& c) {
                                  seen_.note(c.payload());
                                  return Bytes::copy(c.payload());
                                }).build());
    VELO_CHECK(registered.has_value());
    std::cout << codec::to_json(node_->peer_info()) << std::endl;
  }

  /// What is answered to a line.
  std::string obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    std::string rest;
    std::getline(words >> std::ws, rest);
    if (verb == "peer") {
      const auto peer = codec::from_json<PeerInfo>(rest);
      VELO_CHECK(peer.has_value() && node_->register_peer(*peer).has_value());
      peer_ = peer->instance_id;
      return "{}";
    }
    if (verb == "know") {
      peer_ = InstanceId::parse(rest).value();
      return "{}";
    }
    if (verb == "load") {
      std::istringstream numbers(rest);
      Load load;
      numbers >> load.count >> load.at_once >> load.bytes >> load.timeout_ms;
      VELO_CHECK(!numbers.fail());
      return codec::to_json(run(load));
    }
    if (verb == "seen") return codec::to_json(seen_.report());
    if (verb == "books") return codec::to_json(node_->node_books());
    VELO_CHECK(verb == "balance");
    const auto theirs = codec::from_json<NodeBooks>(rest);
    VELO_CHECK(theirs.has_value());
    const std::array books{node_->node_books(), *theirs};
    const auto balance = messenger::compare(books, messenger::Moving::no);
    return codec::to_json(
        BalanceReport{balance.ok(), balance.ok() ? "" : balance.complaints.front()});
  }

 private:
  struct Running {
    Op<Bytes> op;
    Bytes payload;
    TimePoint began;
  };

  LoadReport run(const Load& load) {
    LoadReport report;
    std::deque<Running> running;
    for (std::size_t i = 0; i < load.count || !running.empty();) {
      if (i < load.count && running.size() < load.at_once) {
        ++i;
        running.push_back(start(load));
      } else {
        end(running.front(), report);
        running.pop_front();
      }
    }
    return report;
  }

  Running start(const Load& load) {
    std::string text(std::max(load.bytes, sizeof next_), static_cast<char>('a' + next_ % 26));
    std::memcpy(text.data(), &next_, sizeof next_);
    ++next_;
    Bytes payload = Bytes::own(std::move(text));
    auto op = node_->unary("work")
                  .raw_payload(payload)
                  .instance(peer_)
                  .timeout(milliseconds(load.timeout_ms))
                  .send();
    return Running{std::move(op), std::move(payload), clock_.now()};
  }

  void end(Running& call, LoadReport& report) {
    const Result<Bytes> reply = std::move(call.op).get();
    const auto took = std::chrono::duration_cast<milliseconds>(clock_.now() - call.began);
    report.slowest_ms = std::max(report.slowest_ms, static_cast<std::uint64_t>(took.count()));
    if (reply) {
      ++(reply->text() == call.payload.text() ? report.succeeded : report.wrong);
      return;
    }
    ++(reply.error().is(Errc::deadline_exceeded) ? report.expired : report.failed);
    if (report.first_failure.empty()) report.first_failure = reply.error().to_string();
  }

  Clock& clock_;
  Seen seen_;
  std::unique_ptr<Velo> node_;
  InstanceId peer_;
  std::uint64_t next_ = 1;
};

}  // namespace velo::netns

int main(int count, char** words) {
  if (count < 3) return 2;
  const auto world = velo::runtime::RealWorld::create();
  VELO_CHECK(world.has_value());
  velo::netns::Node node(**world, words[1], words[2],
                         count > 3 && std::string_view(words[3]) == "multicast");
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << node.obey(line) << std::endl;
  }
  return 0;
}
