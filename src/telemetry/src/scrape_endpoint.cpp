// SPDX-License-Identifier: Apache-2.0
// Listening, and what outlives the endpoint until its shard has closed it.

#include <velo/telemetry/scrape_endpoint.hpp>

#include "scrape_server.hpp"

#include <velo/base/log.hpp>
#include <velo/telemetry/limits.hpp>

#include <utility>

namespace velo::telemetry {

ScrapeServer::ScrapeServer(World& world, metrics::Registry& registry, ScrapeOptions options)
    : world_(world), registry_(&registry), options_(std::move(options)) {}

Result<void> ScrapeServer::start() {
  if (!options_.path.starts_with('/')) {
    return make_error(Errc::invalid_argument, "the path of a page starts with a slash");
  }
  const bool beyond = options_.bind.kind == Endpoint::Kind::tcp && !options_.bind.is_loopback();
  if (beyond && !options_.allow_plaintext_beyond_loopback) {
    return make_error(Errc::permission_denied,
                      options_.bind.to_string() +
                          ": metrics beyond this host need allow_plaintext_beyond_loopback");
  }
  ListenOptions listening;
  listening.backlog = static_cast<int>(limits::scrape_connections_max);
  auto listener = world_.network().listen(
      shard(), options_.bind, listening,
      [weak = weak_from_this()](Result<std::unique_ptr<ByteStream>> stream) {
        if (const auto self = weak.lock()) self->accept(std::move(stream));
      });
  if (!listener) return listener.error();
  listener_ = std::move(*listener);
  local_ = listener_->local();
  if (beyond) {
    VELO_LOG_WARN(runtime, "metrics are served unencrypted beyond loopback",
                  {"endpoint", local_.to_string()});
  }
  return {};
}

Endpoint ScrapeServer::local() const { return local_; }

std::string ScrapeServer::page() {
  const std::lock_guard lock(mutex_);
  return registry_ == nullptr ? std::string() : metrics::to_prometheus(registry_->snapshot());
}

void ScrapeServer::forget_registry() {
  const std::lock_guard lock(mutex_);
  registry_ = nullptr;
}

void ScrapeServer::accept(Result<std::unique_ptr<ByteStream>> stream) {
  if (closed_ || !stream || connections_.size() >= limits::scrape_connections_max) return;
  const std::uint64_t number = next_++;
  auto connection = std::make_unique<ScrapeConnection>(*this, number, std::move(*stream));
  ScrapeConnection& started = *connection;
  connections_.emplace(number, std::move(connection));
  started.start();
}

void ScrapeServer::end(std::uint64_t number) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  found->second->shut();
  // It may be in the middle of a call to it.
  post(shard(), [gone = std::move(found->second), alive = shared_from_this()] {});
  connections_.erase(found);
}

void ScrapeServer::close() {
  closed_ = true;
  listener_ = nullptr;
  connections_.clear();
}

Result<std::unique_ptr<ScrapeEndpoint>> ScrapeEndpoint::open(World& world,
                                                             metrics::Registry& registry,
                                                             ScrapeOptions options) {
  auto server = std::make_shared<ScrapeServer>(world, registry, std::move(options));
  if (auto started = server->start(); !started) return started.error();
  return std::make_unique<ScrapeEndpoint>(std::move(server));
}

ScrapeEndpoint::ScrapeEndpoint(std::shared_ptr<ScrapeServer> server) noexcept
    : server_(std::move(server)) {}

ScrapeEndpoint::~ScrapeEndpoint() {
  server_->forget_registry();
  post(server_->shard(), [server = server_] { server->close(); });
}

Endpoint ScrapeEndpoint::local() const { return server_->local(); }

}  // namespace velo::telemetry
