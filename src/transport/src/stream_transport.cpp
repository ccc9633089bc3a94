// SPDX-License-Identifier: Apache-2.0
// Listening and connecting for stream transports.

#include <velo/transport/stream_transport.hpp>

#include "stream_arrivals.hpp"
#include "stream_connection.hpp"
#include "stream_environment.hpp"

#include <velo/base/check.hpp>
#include <velo/transport/failed_dial.hpp>
#include <velo/transport/on_shard.hpp>

#include <chrono>
#include <utility>

namespace velo::transport {
namespace stream_transport_detail {

/// What an attempt has reached. Touched on its shard.
struct DialState {
  std::unique_ptr<Connecting> attempt;
  std::unique_ptr<Securing> securing;
  ConnectHandler done;

  /// Who is answered may destroy the attempt.
  void answer(Result<ConnectionPtr> result) { std::exchange(done, nullptr)(std::move(result)); }
};

class StreamDial final : public Dial {
 public:
  explicit StreamDial(std::shared_ptr<DialState> state) noexcept : state_(std::move(state)) {}
  StreamDial(const StreamDial&) = delete;
  StreamDial& operator=(const StreamDial&) = delete;
  ~StreamDial() override {
    state_->attempt.reset();
    state_->securing.reset();
    state_->done = nullptr;
  }

 private:
  const std::shared_ptr<DialState> state_;
};

static Error connect_error(const Error& error, const std::string& remote) {
  if (error.is(Errc::no_room)) return error;
  return make_error(Errc::connect_failed, remote + ": " + error.to_string());
}

/// The stream is there: it answers the attempt, at once or when it is secure.
static void connected(const std::shared_ptr<DialState>& state,
                      std::shared_ptr<StreamEnvironment> environment, const StreamGuard& guard,
                      std::unique_ptr<ByteStream> stream, TimePoint deadline) {
  if (!guard.secures()) {
    Result<SecurityPtr> security = guard.inspect(*stream);
    if (!security) return state->answer(security.error());
    return state->answer(StreamConnection::create(std::move(environment), std::move(stream),
                                                  std::move(*security), GatePass()));
  }
  state->securing = guard.secure(
      std::move(stream), StreamRole::dialled, deadline,
      [weak = std::weak_ptr(state), environment = std::move(environment)](
          std::expected<SecuredStream, StreamRefusal> outcome) mutable {
        const auto secured = weak.lock();
        if (!outcome) return secured->answer(std::move(outcome.error().error));
        secured->answer(StreamConnection::create(std::move(environment), std::move(outcome->stream),
                                                 std::move(outcome->security), GatePass()));
      });
}

}  // namespace stream_transport_detail

ConnectionPtr make_stream_connection(std::unique_ptr<ByteStream> stream, std::string transport_key,
                                     std::shared_ptr<MemoryBudget> budget) {
  auto environment = std::make_shared<StreamEnvironment>(std::move(transport_key));
  environment->budget = std::move(budget);
  return StreamConnection::create(std::move(environment), std::move(stream),
                                  std::make_shared<ConnectionSecurity>(), GatePass());
}

StreamTransport::StreamTransport(std::string key, const GateOptions& gate)
    : environment_(std::make_shared<StreamEnvironment>(std::move(key))),
      keeper_(std::make_shared<Gatekeeper>(gate)) {}

StreamTransport::~StreamTransport() { VELO_CHECK(listener_ == nullptr); }

std::string_view StreamTransport::key() const noexcept { return environment_->key; }

std::size_t StreamTransport::connection_count() const noexcept {
  return environment_->connections.load(std::memory_order_relaxed);
}

Result<void> StreamTransport::start(const TransportContext& context) {
  VELO_CHECK(world_ == nullptr);
  World& world = context.world;
  Result<std::optional<Listening>> where = listening(world, context.self);
  if (!where) return where.error();
  Result<std::shared_ptr<const StreamGuard>> guarded = guard(context);
  if (!guarded) return guarded.error();
  guard_ = std::move(*guarded);
  world_ = &world;
  environment_->budget = context.budget;
  if (!where->has_value()) return {};
  const Listening& listening = **where;
  arrivals_ = std::make_shared<StreamArrivals>(environment_, keeper_, guard_, context.accepts);
  auto on_accept = [arrivals = arrivals_](Result<std::unique_ptr<ByteStream>> stream) {
    if (stream) return arrivals->arrive(std::move(*stream));
    // Other accepts that failed (out of descriptors) are the listener's to report and retry.
    if (stream.error().is(Errc::no_room)) arrivals->refuse({GateRefusal::memory, stream.error()});
  };
  Shard& shard = world.shard(0);
  Result<std::unique_ptr<Listener>> listener =
      open_listener(world, shard, listening, std::move(on_accept));
  if (!listener) return listener.error();
  Result<Bytes> entry = advertise(world, (*listener)->local());
  if (!entry) {
    run_on_shard(shard, [&] { listener->reset(); });
    return entry.error();
  }
  entry_ = std::move(*entry);
  listener_ = std::move(*listener);
  return {};
}

Result<void> StreamTransport::check_entry(ByteSpan entry) const {
  if (world_ == nullptr) return make_error(Errc::not_started);
  if (Result<Endpoint> endpoint = choose(*world_, entry); !endpoint) return endpoint.error();
  return {};
}

Reach StreamTransport::assess(ByteSpan entry) const {
  if (world_ == nullptr) return {};
  const Result<Endpoint> endpoint = choose(*world_, entry);
  if (!endpoint) return {};
  if (endpoint->kind == Endpoint::Kind::unix_socket) {
    return {Locality::same_host, true, std::chrono::microseconds(20)};
  }
  return reach_of_ip(endpoint->host, {});
}

std::unique_ptr<Dial> StreamTransport::connect(Shard& shard, ByteSpan entry, ConnectHandler done) {
  if (world_ == nullptr) return fail_dial(shard, std::move(done), make_error(Errc::not_started));
  Result<Endpoint> endpoint = choose(*world_, entry);
  if (!endpoint) return fail_dial(shard, std::move(done), endpoint.error());
  const TimePoint deadline = shard.now() + connect_options().timeout;
  auto state = std::make_shared<stream_transport_detail::DialState>();
  state->done = std::move(done);
  const std::weak_ptr weak(state);
  auto dial = std::make_unique<stream_transport_detail::StreamDial>(state);
  state->attempt = open_stream(
      *world_, shard, *endpoint,
      [weak, environment = environment_, guard = guard_, deadline,
       remote = endpoint->to_string()](Result<std::unique_ptr<ByteStream>> stream) mutable {
        const auto dialling = weak.lock();
        if (!stream) {
          return dialling->answer(stream_transport_detail::connect_error(stream.error(), remote));
        }
        stream_transport_detail::connected(dialling, std::move(environment), *guard,
                                           std::move(*stream), deadline);
      });
  return dial;
}

Result<std::unique_ptr<Listener>> StreamTransport::open_listener(World& world, Shard& shard,
                                                                 const Listening& listening,
                                                                 StreamHandler on_accept) {
  return world.network().listen(shard, listening.endpoint, listening.options, std::move(on_accept));
}

std::unique_ptr<Connecting> StreamTransport::open_stream(World& world, Shard& shard,
                                                         const Endpoint& remote,
                                                         StreamHandler done) const {
  return world.network().connect(shard, remote, connect_options(), std::move(done));
}

void StreamTransport::stop() noexcept {
  if (listener_ == nullptr) return;
  run_on_shard(world_->shard(0), [this] {
    listener_.reset();
    arrivals_->close();
  });
}

}  // namespace velo::transport
