// SPDX-License-Identifier: Apache-2.0
// The listener of a scrape endpoint, and its connections.
// Threading: on its shard's thread, but for start(), local(), page() and forget_registry().
#pragma once

#include "http_request.hpp"

#include <velo/base/shard_timer.hpp>
#include <velo/telemetry/scrape_endpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace velo::telemetry {

class ScrapeConnection final : public StreamEvents {
 public:
  ScrapeConnection(ScrapeServer& server, std::uint64_t number, std::unique_ptr<ByteStream> stream);
  ScrapeConnection(const ScrapeConnection&) = delete;

  void start();
  /// Nothing is called any longer.
  void shut() noexcept;
  void on_readable() override;
  void on_writable() override;

 private:
  enum class Step : std::uint8_t { goes_on, waits, over };

  Step read();
  Step take(std::string_view bytes);
  Step write();
  void answer();
  void refuse(unsigned status);
  void run();
  void wait_for_other_end();

  ScrapeServer& server_;
  const std::uint64_t number_;
  std::unique_ptr<ByteStream> stream_;
  ShardTimer patience_;
  HttpRequest request_;
  std::string out_;
  std::size_t written_ = 0;
  bool writing_ = false;
  bool last_ = false;
  bool refused_ = false;
  std::size_t discarded_ = 0;
};

class ScrapeServer final
    // why: connections that are accepted after the endpoint is gone still find it.
    : public std::enable_shared_from_this<ScrapeServer> {
 public:
  ScrapeServer(World& world, metrics::Registry& registry, ScrapeOptions options);

  Result<void> start();
  Endpoint local() const;
  Shard& shard() noexcept { return world_.shard(0); }
  const std::string& path() const noexcept { return options_.path; }
  /// The metrics as text; empty when the registry may not be read any longer.
  std::string page();
  void forget_registry();

  /// The connection is over; destroys it.
  void end(std::uint64_t number);
  void close();

 private:
  void accept(Result<std::unique_ptr<ByteStream>> stream);

  World& world_;
  std::mutex mutex_;
  metrics::Registry* registry_;
  const ScrapeOptions options_;
  std::unique_ptr<Listener> listener_;
  Endpoint local_;
  std::map<std::uint64_t, std::unique_ptr<ScrapeConnection>> connections_;
  std::uint64_t next_ = 0;
  bool closed_ = false;
};

}  // namespace velo::telemetry
