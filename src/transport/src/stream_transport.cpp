// SPDX-License-Identifier: Apache-2.0
// Listening and connecting for stream transports.

#include <velo/transport/stream_transport.hpp>

#include "stream_connection.hpp"
#include "stream_environment.hpp"

#include <velo/base/check.hpp>
#include <velo/transport/failed_dial.hpp>
#include <velo/transport/on_shard.hpp>

#include <chrono>
#include <utility>

namespace velo::transport {
namespace stream_transport_detail {

class StreamDial final : public Dial {
 public:
  explicit StreamDial(std::unique_ptr<Connecting> attempt) noexcept
      : attempt_(std::move(attempt)) {}

 private:
  std::unique_ptr<Connecting> attempt_;
};

static Error connect_error(const Error& error, const std::string& remote) {
  return make_error(Errc::connect_failed, remote + ": " + error.to_string());
}

}  // namespace stream_transport_detail

ConnectionPtr make_stream_connection(std::unique_ptr<ByteStream> stream, std::string transport_key,
                                     std::shared_ptr<MemoryBudget> budget) {
  auto environment = std::make_shared<StreamEnvironment>(std::move(transport_key));
  environment->budget = std::move(budget);
  return StreamConnection::create(std::move(environment), std::move(stream));
}

StreamTransport::StreamTransport(std::string key)
    : environment_(std::make_shared<StreamEnvironment>(std::move(key))) {}

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
  world_ = &world;
  environment_->budget = context.budget;
  if (!where->has_value()) return {};
  const Listening& listening = **where;
  auto on_accept = [environment = environment_,
                    &accepts = context.accepts](Result<std::unique_ptr<ByteStream>> stream) {
    // An accept that failed (out of descriptors) is the listener's to report and retry.
    if (!stream) return;
    accepts.on_accepted(StreamConnection::create(environment, std::move(*stream)));
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
  auto on_connected =
      [environment = environment_, done = std::move(done),
       remote = endpoint->to_string()](Result<std::unique_ptr<ByteStream>> stream) mutable {
        if (!stream) return done(stream_transport_detail::connect_error(stream.error(), remote));
        done(StreamConnection::create(std::move(environment), std::move(*stream)));
      };
  return std::make_unique<stream_transport_detail::StreamDial>(
      open_stream(*world_, shard, *endpoint, std::move(on_connected)));
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
  run_on_shard(world_->shard(0), [this] { listener_.reset(); });
}

}  // namespace velo::transport
