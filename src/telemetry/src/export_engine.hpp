// SPDX-License-Identifier: Apache-2.0
// What a TraceExporter works with: its queue, and one connection to the collector with at most one
// request on it.
// Threading: add(), flush(), close() and what reads counts from any thread; the rest on shard 0.
#pragma once

#include "collector_url.hpp"
#include "export_queue.hpp"
#include "otlp_json.hpp"

#include <velo/base/network.hpp>
#include <velo/base/shard_timer.hpp>
#include <velo/codec/http_response.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace velo::telemetry {

class ExportEngine final : public StreamEvents,
                           // why: its timers, tasks and attempts may outlive the exporter.
                           public std::enable_shared_from_this<ExportEngine> {
 public:
  ExportEngine(World& world, CollectorUrl url, ExportOptions options);

  void add(trace::Span span) noexcept;
  void set_instance(std::string id);
  Op<void> flush();
  void close() noexcept;
  ExportCounts counts() const;
  Result<void> publish(metrics::Registry& registry);

  void on_readable() override;
  void on_writable() override;

 private:
  struct Flush {
    std::uint64_t until;  ///< as ExportQueue::over() counts
    std::shared_ptr<Promise<void>> promise;
  };

  Shard& shard() noexcept { return world_.shard(0); }
  void wake();
  void step();
  /// The next request as text, if one is due.
  std::string next_request(TimePoint now);
  void send(std::string request);
  void connect();
  void write();
  bool read();
  void answered();
  void lost(std::string_view why);
  void drop_connection();
  void end_flushes(const Result<void>& result);
  void end_flushes_that_are_over();

  World& world_;
  const CollectorUrl url_;
  mutable std::mutex mutex_;
  ExportQueue queue_;  ///< under mutex_, as are the next four
  SpanSource source_;
  std::vector<Flush> flushes_;
  bool closed_ = false;
  bool woken_ = false;  ///< a step is posted
  std::mutex observations_mutex_;
  std::vector<metrics::Observation> observations_;

  ShardTimer due_;
  ShardTimer patience_;
  ShardTimer last_patience_;
  std::unique_ptr<Connecting> connecting_;
  std::unique_ptr<ByteStream> stream_;
  std::string request_;
  std::size_t written_ = 0;
  codec::HttpResponse response_;
  bool more_came_ = false;  ///< after the response
  bool heard_ = false;      ///< something of the response
  bool reused_ = false;     ///< the connection has served a request before
  bool asking_ = false;
  bool failing_ = false;  ///< and that was logged
};

}  // namespace velo::telemetry
