// SPDX-License-Identifier: Apache-2.0
// Listing, watching, and how a watch is taken up again.

#include "etcd_watch.hpp"

#include <velo/base/log.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <algorithm>
#include <utility>

namespace velo::discovery::etcd {

Watch::Watch(Channel& channel, std::string prefix, WatchSink& sink)
    : channel_(channel),
      prefix_(std::move(prefix)),
      sink_(sink),
      backoff_(channel.options().backoff_min, channel.options().backoff_max),
      timer_(channel.shard()),
      check_timer_(channel.shard()) {}

void Watch::start() {
  if (std::exchange(running_, true)) return;
  known_ = false;
  behind_ = false;
  backoff_.reset();
  check_timer_.start(channel_.options().check_interval, [this] { check(); });
  relist();
}

void Watch::stop() {
  running_ = false;
  drop_exchange();
  timer_.cancel();
  check_timer_.cancel();
  keys_.clear();
}

void Watch::drop_exchange() {
  ++attempt_;
  live_ = false;
  if (exchange_) std::exchange(exchange_, nullptr)->close();
}

// ---- the listing ----

void Watch::relist() {
  known_ = false;
  const std::uint64_t attempt = ++attempt_;
  list_keys(
      channel_, prefix_, [this, attempt] { return attempt == attempt_; },
      [this, attempt](bool first, std::vector<KeyValue> entries) {
        if (attempt != attempt_) return;
        if (first) keys_.clear();
        for (const KeyValue& entry : entries) keys_.insert(entry.key.to_string());
        sink_.on_page(first, std::move(entries));
      },
      [this, attempt](const Result<Listed>& result) {
        if (attempt == attempt_) listed(result);
      });
}

void Watch::listed(const Result<Listed>& result) {
  if (!result) return break_off(result.error(), true);
  cluster_ = result->cluster;
  revision_ = result->revision;
  known_ = true;
  behind_ = false;
  sink_.on_listed();
  open();
}

// ---- the watch ----

void Watch::open() {
  const EtcdOptions& options = channel_.options();
  const Endpoint& endpoint = options.endpoints[endpoint_ % options.endpoints.size()];
  lines_ = LineSplitter();
  exchange_ = HttpExchange::open(channel_.shard(), options.connect, endpoint,
                                 options.request_timeout, *this);
  exchange_->send(
      http_post(endpoint, path::watch, watch_request(prefix_, prefix_end(prefix_), revision_ + 1),
                channel_.token()),
      limits::etcd_message_bytes_max);
  timer_.start(options.request_timeout, [this] {
    break_off(velo::make_error(velo::Errc::deadline_exceeded, "the watch does not begin"), false);
  });
}

void Watch::on_exchange(HttpExchange& exchange) {
  if (&exchange != exchange_.get()) return;
  if (exchange.failed()) return break_off(Error(exchange.error()), false);
  codec::HttpResponse& response = exchange.response();
  if (!response.has_head()) return;
  const std::string body = response.take_body();
  if (response.status() != 200) {
    if (!response.complete()) return;
    // With a user it may be the token: a listing finds that out, and gets another one.
    return break_off(to_error(read_refusal(response.status(), body)), channel_.has_user());
  }
  if (!lines_.feed(body)) {
    return break_off(velo::make_error(velo::Errc::overloaded, "a message is too long"), true);
  }
  while (const auto line = lines_.next()) {
    const Result<WatchMessage> message = read_watch(*line);
    if (!message) return break_off(message.error(), true);
    if (!take(*message)) return;
  }
  if (response.complete()) {
    break_off(velo::make_error(velo::Errc::io, "the server ended the watch"), false);
  }
}

bool Watch::take(const WatchMessage& message) {
  if (message.cancelled) {
    const bool compacted = message.compact_revision > 0;
    const std::string why = compacted ? "what was missed is compacted" : message.reason;
    break_off(velo::make_error(velo::Errc::io, "etcd ended the watch: " + why),
              compacted || channel_.has_user());
    return false;
  }
  // Another cluster, or one that has gone back to a backup, or was emptied.
  if (message.cluster != cluster_ || (message.created && message.revision < revision_)) {
    break_off(velo::make_error(velo::Errc::io, "the server has other data than before"), true);
    return false;
  }
  if (message.created) {
    timer_.cancel();
    live_ = true;
    backoff_.reset();
  } else if (live_) {
    take_events(message);
  }
  return true;
}

void Watch::take_events(const WatchMessage& message) {
  for (const WatchEvent& event : message.events) {
    const std::string_view key = event.entry.key.text();
    if (!key.starts_with(prefix_)) continue;
    if (event.removed) {
      if (const auto found = keys_.find(key); found != keys_.end()) keys_.erase(found);
    } else if (keys_.size() < limits::peers_max || keys_.contains(key)) {
      keys_.emplace(key);
    }
    sink_.on_event(event);
  }
  told_ = told_ || !message.events.empty();
  if (message.fragment) return;
  // The revision of a message with events may be later than what the watch has caught up with.
  const std::int64_t reached =
      message.events.empty() ? message.revision : message.events.back().entry.mod_revision;
  revision_ = std::max(revision_, reached);
}

void Watch::break_off(const Error& error, bool anew) {
  VELO_LOG_INFO(discovery, "the watch of etcd is taken up again", {"error", error},
                {"anew", anew || !known_});
  if (!live_) ++endpoint_;
  drop_exchange();
  if (anew) known_ = false;
  timer_.start(backoff_.next(channel_.world().random()), [this] {
    if (known_) {
      open();
    } else {
      relist();
    }
  });
}

// ---- the check ----

void Watch::check() {
  check_timer_.start(channel_.options().check_interval, [this] { check(); });
  if (!live_) return;
  const std::uint64_t attempt = attempt_;
  Channel::Call call;
  call.path = path::range;
  call.body = newest_request(prefix_, prefix_end(prefix_));
  call.deadline = channel_.usual_deadline();
  call.wanted = [this, attempt] { return attempt == attempt_; };
  call.done = [this, attempt](Result<Answer> answer) {
    if (attempt == attempt_) checked(std::move(answer));
  };
  static_cast<void>(channel_.submit(std::move(call)));
}

void Watch::checked(Result<Answer> answer) {
  // Without an answer the stream is not to be trusted either: its server may be frozen.
  if (!answer) return break_off(answer.error(), false);
  if (!answer->ok()) return;
  const Result<RangeReply> reply = read_range(answer->body);
  if (!reply) return;
  const bool newer = !reply->entries.empty() && reply->entries.back().mod_revision > revision_;
  const bool other_count = reply->count != keys_.size() && keys_.size() < limits::peers_max;
  const bool behind = newer || other_count;
  const bool still = std::exchange(behind_, behind) && !std::exchange(told_, false);
  if (behind && still) {
    break_off(velo::make_error(velo::Errc::io, "the watch has missed something"), true);
  }
}

}  // namespace velo::discovery::etcd
