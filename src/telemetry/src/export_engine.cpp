// SPDX-License-Identifier: Apache-2.0
// Batches on their way to the collector, one after the other.

#include "export_engine.hpp"

#include "retry_after.hpp"

#include <velo/base/log.hpp>
#include <velo/base/observed_series.hpp>
#include <velo/telemetry/limits.hpp>

#include <fmt/format.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace velo::telemetry {
namespace export_engine_detail {

/// What OTLP says may be asked again.
static bool is_temporary(unsigned status) noexcept {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

static codec::HttpResponse new_response() {
  return codec::HttpResponse({limits::response_bytes_max, limits::response_bytes_max});
}

}  // namespace export_engine_detail

ExportEngine::ExportEngine(World& world, CollectorUrl url, ExportOptions options)
    : world_(world),
      url_(std::move(url)),
      queue_(options.linger),
      due_(world.shard(0)),
      patience_(world.shard(0)),
      last_patience_(world.shard(0)),
      response_(export_engine_detail::new_response()) {
  source_.service_name = std::move(options.service_name);
}

void ExportEngine::add(trace::Span span) noexcept {
  const TimePoint now = world_.clock().now();
  const std::lock_guard lock(mutex_);
  if (closed_) return queue_.add_to_closed();
  if (!queue_.add(std::move(span), now)) return;
  const std::size_t waiting = queue_.waiting();
  if (waiting == 1 || waiting == limits::spans_per_batch_max) wake();
}

void ExportEngine::wake() {
  if (std::exchange(woken_, true)) return;
  post(shard(), [self = shared_from_this()] { self->step(); });
}

void ExportEngine::set_instance(std::string id) {
  const std::lock_guard lock(mutex_);
  source_.instance = std::move(id);
}

ExportCounts ExportEngine::counts() const {
  const std::lock_guard lock(mutex_);
  return queue_.counts();
}

Op<void> ExportEngine::flush() {
  const std::lock_guard lock(mutex_);
  if (queue_.over() == queue_.kept()) return Op<void>::ready(world_.pool(), {});
  if (closed_) return Op<void>::ready(world_.pool(), make_error(Errc::shutting_down));
  if (flushes_.size() >= limits::export_flushes_max) {
    return Op<void>::ready(world_.pool(), make_error(Errc::overloaded, "flushes of one exporter"));
  }
  auto promise = std::make_shared<Promise<void>>(world_.pool());
  Op<void> op = promise->op();
  flushes_.push_back({queue_.kept(), std::move(promise)});
  queue_.hurry(true);
  wake();
  return op;
}

void ExportEngine::close() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
  }
  if (Executor::current() == nullptr && world_.pool().others_may_block()) {
    post(shard(), [self = shared_from_this()] {
      self->last_patience_.start(limits::export_flush_patience, [self] {
        self->end_flushes(make_error(Errc::deadline_exceeded, "the collector is slow"));
      });
    });
    static_cast<void>(flush().get());
  }
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    queue_.drop_all();
  }
  {
    const std::lock_guard lock(observations_mutex_);
    observations_.clear();
  }
  post(shard(), [self = shared_from_this()] {
    self->due_.cancel();
    self->last_patience_.cancel();
    self->drop_connection();
    self->end_flushes(make_error(Errc::shutting_down));
  });
}

Result<void> ExportEngine::publish(metrics::Registry& registry) {
  using Pick = std::uint64_t ExportCounts::*;
  struct Series {
    metrics::Kind kind;
    const char* name;
    const char* help;
    metrics::Labels labels;
    Pick pick;
  };
  const char* const dropped = "velo_trace_spans_dropped_total";
  const char* const why = "Finished spans that no collector will see, by why.";
  const Series all[] = {
      {metrics::Kind::counter,
       "velo_trace_spans_exported_total",
       "Spans that the collector took.",
       {},
       &ExportCounts::exported},
      {metrics::Kind::counter, dropped, why, {{"reason", "full"}}, &ExportCounts::dropped_full},
      {metrics::Kind::counter,
       dropped,
       why,
       {{"reason", "refused"}},
       &ExportCounts::dropped_refused},
      {metrics::Kind::counter, dropped, why, {{"reason", "closed"}}, &ExportCounts::dropped_closed},
      {metrics::Kind::gauge,
       "velo_trace_spans_queued",
       "Finished spans that wait for a collector.",
       {},
       &ExportCounts::queued},
      {metrics::Kind::counter,
       "velo_trace_exports_failed_total",
       "Requests to the collector that have to be repeated.",
       {},
       &ExportCounts::failed_exports},
  };
  metrics::ObservedSeries series(registry);
  for (const Series& each : all) {
    series.add(each.kind, each.name, each.help, each.labels,
               [this, pick = each.pick] { return static_cast<std::int64_t>(counts().*pick); });
  }
  auto made = series.take();
  if (!made) return made.error();
  const std::lock_guard lock(observations_mutex_);
  std::ranges::move(*made, std::back_inserter(observations_));
  return {};
}

void ExportEngine::step() {
  const TimePoint now = world_.clock().now();
  std::string request = next_request(now);
  if (!request.empty()) return send(std::move(request));
  const std::lock_guard lock(mutex_);
  const TimePoint due = queue_.due();
  if (due == TimePoint::never() || closed_) return due_.cancel();
  due_.start_at(due, [self = shared_from_this()] { self->step(); });
}

std::string ExportEngine::next_request(TimePoint now) {
  ExportQueue::Batch batch;
  SpanSource source;
  {
    const std::lock_guard lock(mutex_);
    woken_ = false;
    if (closed_) return {};
    batch = queue_.begin(now);
    if (batch == nullptr) return {};
    source = source_;
  }
  const std::string body = to_otlp_json(source, *batch);
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: velo\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      url_.path, url_.host, body.size(), body);
}

void ExportEngine::send(std::string request) {
  due_.cancel();
  request_ = std::move(request);
  written_ = 0;
  response_ = export_engine_detail::new_response();
  more_came_ = false;
  heard_ = false;
  asking_ = true;
  patience_.start(limits::export_patience,
                  [self = shared_from_this()] { self->lost("no answer in time"); });
  reused_ = stream_ != nullptr;
  if (reused_) return write();
  connect();
}

void ExportEngine::connect() {
  connecting_ = world_.network().connect(
      shard(), url_.endpoint, ConnectOptions(),
      [self = shared_from_this()](Result<std::unique_ptr<ByteStream>> stream) {
        if (!self->asking_) return;
        if (!stream) return self->lost(stream.error().to_string());
        self->stream_ = std::move(*stream);
        self->stream_->attach(*self);
        self->write();
      });
}

void ExportEngine::write() {
  while (written_ < request_.size()) {
    const iovec rest{request_.data() + written_, request_.size() - written_};
    const IoResult result = stream_->try_write(std::span(&rest, 1));
    if (result.status == IoResult::Status::would_block) return stream_->want_write();
    // An answer that came before all was sent can still be read.
    if (result.status != IoResult::Status::ok) return;
    written_ += result.bytes;
  }
}

void ExportEngine::on_writable() {
  if (stream_ != nullptr && asking_) write();
}

void ExportEngine::on_readable() {
  const auto alive = shared_from_this();
  while (stream_ != nullptr && read()) {
  }
}

/// False: there is nothing to read now, or the connection is gone.
bool ExportEngine::read() {
  std::array<std::byte, 4096> piece;
  const IoResult result = stream_->try_read(piece);
  if (result.status == IoResult::Status::would_block) return false;
  if (result.status == IoResult::Status::ok) {
    // Nobody asked.
    if (!asking_) return drop_connection(), false;
    heard_ = true;
    more_came_ = !response_.feed(as_text(ByteSpan(piece).first(result.bytes)));
    if (more_came_ && !response_.complete()) return lost("no HTTP response"), false;
  } else if (!asking_) {
    return drop_connection(), false;
  } else if (result.status != IoResult::Status::end || !response_.finish()) {
    return lost("the connection ended"), false;
  }
  if (!response_.complete()) return true;
  answered();
  return false;
}

void ExportEngine::answered() {
  const unsigned status = response_.status();
  std::optional<Duration> after;
  if (const auto value = response_.field("Retry-After")) after = parse_retry_after(*value);
  const bool whole = written_ == request_.size();
  if (!whole || more_came_ || !response_.keep_alive()) drop_connection();
  asking_ = false;
  patience_.cancel();
  request_ = std::string();
  const bool good = status >= 200 && status < 300;
  if (!good && export_engine_detail::is_temporary(status)) {
    const std::string why = "it answered " + std::to_string(status);
    {
      const std::lock_guard lock(mutex_);
      queue_.again(world_.clock().now(), after, world_.random().next());
    }
    if (!std::exchange(failing_, true)) {
      VELO_LOG_WARN(runtime, "the collector of traces takes none", {"url", url_.host},
                    {"why", why});
    }
    end_flushes(make_error(Errc::io, why));
    return step();
  }
  {
    const std::lock_guard lock(mutex_);
    if (!closed_ && good) queue_.exported();
    if (!closed_ && !good) queue_.refused();
  }
  if (good && std::exchange(failing_, false)) {
    VELO_LOG_INFO(runtime, "the collector of traces is back", {"url", url_.host});
  }
  if (!good) {
    VELO_LOG_WARN(runtime, "the collector of traces refused spans", {"url", url_.host},
                  {"status", std::to_string(status)});
  }
  end_flushes_that_are_over();
  step();
}

void ExportEngine::lost(std::string_view why) {
  drop_connection();
  asking_ = false;
  patience_.cancel();
  request_ = std::string();
  // A connection that was idle may have been closed from the other side as we wrote.
  const bool stale = reused_ && !heard_;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    if (stale) {
      queue_.at_once();
    } else {
      queue_.again(world_.clock().now(), std::nullopt, world_.random().next());
    }
  }
  if (!stale) {
    if (!std::exchange(failing_, true)) {
      VELO_LOG_WARN(runtime, "the collector of traces cannot be reached", {"url", url_.host},
                    {"why", std::string(why)});
    }
    end_flushes(make_error(Errc::io, std::string(why)));
  }
  step();
}

void ExportEngine::drop_connection() {
  if (stream_ != nullptr) {
    stream_->close();
    // It may be in the middle of a call to us.
    post(shard(), [gone = std::move(stream_)] {});
  }
  if (connecting_ != nullptr) post(shard(), [gone = std::move(connecting_)] {});
}

void ExportEngine::end_flushes(const Result<void>& result) {
  std::vector<Flush> ended;
  {
    const std::lock_guard lock(mutex_);
    ended = std::exchange(flushes_, {});
    queue_.hurry(false);
  }
  for (const Flush& each : ended) each.promise->set(result);
}

void ExportEngine::end_flushes_that_are_over() {
  std::vector<Flush> ended;
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t over = queue_.over();
    std::erase_if(flushes_, [&](Flush& each) {
      if (each.until > over) return false;
      ended.push_back(std::move(each));
      return true;
    });
    if (flushes_.empty()) queue_.hurry(false);
  }
  for (const Flush& each : ended) each.promise->set({});
}

}  // namespace velo::telemetry
