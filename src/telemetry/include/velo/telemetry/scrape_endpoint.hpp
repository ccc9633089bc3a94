// SPDX-License-Identifier: Apache-2.0
// ScrapeEndpoint: a registry's metrics over HTTP/1.1, in Prometheus' text format 0.0.4: GET and
// HEAD of one path. Not a web server: it has one page, no TLS, and no authentication, so it listens
// on loopback unless an option says otherwise.
// Threading: open(), local() and the destructor from any thread; it works on shard 0 of its World.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/metrics.hpp>
#include <velo/base/network.hpp>
#include <velo/base/world.hpp>

#include <memory>
#include <string>

namespace velo::telemetry {

class ScrapeServer;

struct ScrapeOptions {
  Endpoint bind = Endpoint::tcp("127.0.0.1", 0);
  std::string path = "/metrics";
  /// Whoever reaches the port reads the metrics, and so does the way between: beyond loopback only
  /// with this, and it is logged.
  bool allow_plaintext_beyond_loopback = false;

  ScrapeOptions() = default;
};

class ScrapeEndpoint {
 public:
  /// Listens. `world` and `registry` outlive it. Errors: velo::Errc::permission_denied for an
  /// address beyond loopback without the option, invalid_argument for a path without a leading
  /// slash, and those of Network::listen().
  static Result<std::unique_ptr<ScrapeEndpoint>> open(World& world, metrics::Registry& registry,
                                                      ScrapeOptions options = ScrapeOptions());

  /// For open().
  explicit ScrapeEndpoint(std::shared_ptr<ScrapeServer> server) noexcept;
  ScrapeEndpoint(const ScrapeEndpoint&) = delete;
  ScrapeEndpoint& operator=(const ScrapeEndpoint&) = delete;
  /// The registry is not read any longer when it returns; connections are closed soon after.
  ~ScrapeEndpoint();

  /// With the port that was chosen.
  Endpoint local() const;

 private:
  std::shared_ptr<ScrapeServer> server_;
};

}  // namespace velo::telemetry
