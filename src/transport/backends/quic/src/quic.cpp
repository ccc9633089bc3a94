// SPDX-License-Identifier: Apache-2.0
// Listening and connecting over QUIC: which socket, which address.

#include <velo/transport/backends/quic.hpp>

#include "connection.hpp"
#include "context.hpp"
#include "endpoint.hpp"
#include "speaking.hpp"

#include <velo/base/check.hpp>
#include <velo/transport/failed_dial.hpp>
#include <velo/transport/interfaces.hpp>
#include <velo/transport/on_shard.hpp>

#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport {
namespace quic_detail {

/// The sockets of one transport: the one that listens, and those that dials from other shards, or
/// to where that one cannot send, have opened. Outlives the transport where a dial still needs it.
class Sockets {
 public:
  explicit Sockets(std::shared_ptr<QuicContext> context) : context_(std::move(context)) {}

  void listen(std::shared_ptr<QuicEndpoint> endpoint) {
    const std::lock_guard lock(mutex_);
    listener_ = std::move(endpoint);
  }

  /// On the shard's thread.
  Result<std::shared_ptr<QuicEndpoint>> from(Shard& shard, const NetAddress& remote) {
    const std::lock_guard lock(mutex_);
    if (stopped_) return make_error(Errc::not_started, "the transport has stopped");
    const bool loopback = to_endpoint(remote).is_loopback();
    if (listener_ != nullptr && reaches(*listener_, shard, remote, loopback)) return listener_;
    for (const std::shared_ptr<QuicEndpoint>& one : others_) {
      if (reaches(*one, shard, remote, loopback)) return one;
    }
    const char* host = remote.v6 ? (loopback ? "::1" : "::") : (loopback ? "127.0.0.1" : "0.0.0.0");
    auto opened = QuicEndpoint::open(context_, shard, Endpoint::tcp(host, 0));
    if (!opened) return opened.error();
    return others_.emplace_back(std::move(*opened));
  }

  /// Nobody is let in any more, and nobody is dialled; the sockets go with their connections.
  void stop() noexcept {
    std::vector<std::shared_ptr<QuicEndpoint>> all;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      all.swap(others_);
      if (listener_ != nullptr) all.push_back(std::move(listener_));
      listener_ = nullptr;
    }
    for (std::shared_ptr<QuicEndpoint>& one : all) {
      run_on_shard(one->shard(), [&one] {
        one->stop_listening();
        one.reset();
      });
    }
  }

 private:
  static bool reaches(QuicEndpoint& endpoint, const Shard& shard, const NetAddress& remote,
                      bool loopback) {
    if (&endpoint.shard() != &shard || endpoint.local().v6 != remote.v6) return false;
    const Endpoint local = to_endpoint(endpoint.local());
    return local.is_loopback() == loopback || (loopback && is_unspecified(local.host));
  }

  const std::shared_ptr<QuicContext> context_;
  std::mutex mutex_;
  std::shared_ptr<QuicEndpoint> listener_;
  std::vector<std::shared_ptr<QuicEndpoint>> others_;
  bool stopped_ = false;
};

/// A connecting attempt; touched on the dialling shard only, but by connect() itself.
struct Attempt {
  ConnectHandler done;
  ConnectionPtr connection;

  explicit Attempt(ConnectHandler handler) : done(std::move(handler)) {}
};

class QuicDial final : public Dial {
 public:
  explicit QuicDial(std::shared_ptr<Attempt> attempt) noexcept : attempt_(std::move(attempt)) {}
  QuicDial(const QuicDial&) = delete;
  QuicDial& operator=(const QuicDial&) = delete;
  ~QuicDial() override {
    attempt_->done = nullptr;
    if (const ConnectionPtr connection = std::move(attempt_->connection)) {
      static_cast<QuicConnection&>(*connection).abandon();
    }
  }

 private:
  std::shared_ptr<Attempt> attempt_;
};

static void complete(Attempt& attempt, Result<ConnectionPtr> result) {
  attempt.connection = ConnectionPtr();
  if (ConnectHandler done = std::exchange(attempt.done, nullptr)) done(std::move(result));
}

static void begin(const std::shared_ptr<Attempt>& attempt, Sockets& sockets, Shard& shard,
                  const NetAddress& remote) {
  if (!attempt->done) return;
  auto endpoint = sockets.from(shard, remote);
  if (!endpoint) return complete(*attempt, endpoint.error());
  QuicConnection& connection = (*endpoint)->dial(
      remote, [attempt](Result<ConnectionPtr> result) { complete(*attempt, std::move(result)); });
  attempt->connection = ConnectionPtr::share(connection);
}

class QuicTransport final : public Transport {
 public:
  QuicTransport(std::string protocol, QuicOptions options)
      : protocol_(std::move(protocol)), options_(std::move(options)) {}
  QuicTransport(const QuicTransport&) = delete;
  QuicTransport& operator=(const QuicTransport&) = delete;
  ~QuicTransport() override { VELO_CHECK(context_ == nullptr || stopped_); }

  std::string_view key() const noexcept override { return "quic"; }

  Result<void> start(const TransportContext& context) override {
    VELO_CHECK(context_ == nullptr);
    if (options_.credentials == nullptr) {
      return velo::make_error(velo::Errc::invalid_argument, "QUIC needs credentials");
    }
    auto made = std::make_shared<QuicContext>(context.world, options_, protocol_, context.budget);
    if (auto credentials = made->tls.current(); !credentials) return credentials.error();
    interfaces_ = context.world.network().interfaces();
    auto sockets = std::make_shared<Sockets>(made);
    if (options_.bind) {
      if (Result<void> listening = listen(made, *sockets, context); !listening) {
        sockets->stop();
        return listening.error();
      }
    }
    sockets_ = std::move(sockets);
    context_ = std::move(made);
    return {};
  }

  Bytes address_entry() const override { return entry_; }

  Result<void> check_entry(ByteSpan entry) const override {
    if (context_ == nullptr) return make_error(Errc::not_started);
    if (Result<NetAddress> address = choose(entry); !address) return address.error();
    return {};
  }

  Reach assess(ByteSpan entry) const override {
    const Result<Endpoint> best = choose_endpoint(entry, "quic", interfaces_, options_.numa_hint);
    if (context_ == nullptr || !best) return {};
    Reach reach = reach_of_ip(best->host, interfaces_);
    reach.is_private = true;
    return reach;
  }

  std::unique_ptr<Dial> connect(Shard& shard, ByteSpan entry, ConnectHandler done) override {
    if (context_ == nullptr) {
      return fail_dial(shard, std::move(done), make_error(Errc::not_started));
    }
    Result<NetAddress> remote = choose(entry);
    if (!remote) return fail_dial(shard, std::move(done), remote.error());
    auto attempt = std::make_shared<Attempt>(std::move(done));
    auto dial = std::make_unique<QuicDial>(attempt);
    post(shard, [attempt = std::move(attempt), sockets = sockets_, &shard, address = *remote] {
      begin(attempt, *sockets, shard, address);
    });
    return dial;
  }

  void stop() noexcept override {
    stopped_ = true;
    if (sockets_ != nullptr) sockets_->stop();
  }

  GateCounts gate_counts() const override {
    return context_ != nullptr ? context_->gate->counts() : GateCounts();
  }

  QuicCounts counts() const {
    QuicCounts counts;
    if (context_ == nullptr) return counts;
    const auto read = [](const std::atomic<std::uint64_t>& from) {
      return from.load(std::memory_order_relaxed);
    };
    counts.gate = gate_counts();
    counts.datagrams_received = read(context_->datagrams_received);
    counts.datagrams_ignored = read(context_->datagrams_ignored);
    counts.retries_sent = read(context_->retries_sent);
    counts.versions_sent = read(context_->versions_sent);
    counts.resets_sent = read(context_->resets_sent);
    counts.refusals_sent = read(context_->refusals_sent);
    counts.unvalidated_bytes_in = read(context_->unvalidated_bytes_in);
    counts.stateless_bytes_out = read(context_->stateless_bytes_out);
    return counts;
  }

 private:
  Result<void> listen(const std::shared_ptr<QuicContext>& made, Sockets& sockets,
                      const TransportContext& context) {
    const Endpoint& bind = *options_.bind;
    if (bind.kind != Endpoint::Kind::tcp) {
      return velo::make_error(velo::Errc::invalid_argument,
                              bind.to_string() + " is not an address");
    }
    Shard& shard = context.world.shard(0);
    Result<void> outcome;
    run_on_shard(shard, [&] {
      auto endpoint = QuicEndpoint::open(made, shard, bind);
      if (!endpoint) {
        outcome = endpoint.error();
        return;
      }
      Result<Bytes> entry =
          interface_entry((*endpoint)->local_endpoint(), options_.advertise, interfaces_);
      if (!entry) {
        outcome = entry.error();
        return;
      }
      entry_ = std::move(*entry);
      (*endpoint)->listen(context.accepts);
      sockets.listen(std::move(*endpoint));
    });
    return outcome;
  }

  Result<NetAddress> choose(ByteSpan entry) const {
    Result<Endpoint> best = choose_endpoint(entry, "quic", interfaces_, options_.numa_hint);
    if (!best) return best.error();
    return to_net_address(*best);
  }

  const std::string protocol_;
  const QuicOptions options_;
  std::vector<InterfaceAddress> interfaces_;  ///< of this host, as they were at start()
  std::shared_ptr<QuicContext> context_;
  std::shared_ptr<Sockets> sockets_;
  Bytes entry_;
  bool stopped_ = false;
};

}  // namespace quic_detail

std::unique_ptr<Transport> make_quic(QuicOptions options) {
  return make_quic_speaking(std::string(quic_protocol), std::move(options));
}

std::unique_ptr<Transport> make_quic_speaking(std::string protocol, QuicOptions options) {
  return std::make_unique<quic_detail::QuicTransport>(std::move(protocol), std::move(options));
}

std::optional<QuicCounts> quic_counts(const Transport& transport) {
  const auto* quic = dynamic_cast<const quic_detail::QuicTransport*>(&transport);
  if (quic == nullptr) return std::nullopt;
  return quic->counts();
}

std::optional<QuicConnectionCounts> quic_counts(const Connection& connection) {
  const auto* quic = dynamic_cast<const QuicConnection*>(&connection);
  if (quic == nullptr) return std::nullopt;
  return quic->counts();
}

}  // namespace velo::transport
