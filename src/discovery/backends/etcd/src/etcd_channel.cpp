// SPDX-License-Identifier: Apache-2.0
// The queue of requests, attempts at the members in turn, and the time each has.

#include "etcd_channel.hpp"

#include <velo/base/log.hpp>
#include <velo/discovery/limits.hpp>

#include <algorithm>
#include <utility>

namespace velo::discovery::etcd {

Duration Backoff::next(Random& random) noexcept {
  const Duration longest = std::exchange(next_, std::min(next_ * 2, max_));
  const auto half = static_cast<std::uint64_t>(longest.count() / 2);
  return Duration(static_cast<Duration::rep>(half + random.below(half + 1)));
}

Channel::Channel(World& world, Shard& shard, const EtcdOptions& options)
    : world_(world),
      shard_(shard),
      options_(options),
      backoff_(options.backoff_min, options.backoff_max),
      timer_(shard) {}

Channel::~Channel() { drop_exchange(); }

Result<void> Channel::submit(const char* path, std::string body, Done done) {
  Call call;
  call.path = path;
  call.body = std::move(body);
  call.deadline = usual_deadline();
  call.done = std::move(done);
  return submit(std::move(call));
}

Result<void> Channel::submit(Call call) {
  if (!call.urgent && pending() >= limits::etcd_requests_pending_max) {
    return velo::make_error(velo::Errc::overloaded, "too many requests to etcd wait");
  }
  (call.urgent ? urgent_ : waiting_).push_back(std::move(call));
  pump();
  return {};
}

void Channel::fail_soon(Done done, Error error) {
  failing_.emplace_back(std::move(done), std::move(error));
  arm();
}

std::deque<Channel::Call>* Channel::next_queue() {
  for (std::deque<Call>* queue : {&urgent_, &waiting_}) {
    while (!queue->empty() && queue->front().wanted && !queue->front().wanted()) {
      queue->pop_front();
    }
    if (!queue->empty()) return queue;
  }
  return nullptr;
}

void Channel::pump() {
  if (!active_ && !pausing_) {
    if (std::deque<Call>* queue = next_queue()) {
      active_.emplace(std::move(queue->front()));
      queue->pop_front();
      send_active();
    }
  }
  arm();
}

void Channel::send_active() {
  const Endpoint& endpoint = options_.endpoints[endpoint_];
  attempt_ends_ = std::min(active_->deadline, shard_.now() + options_.request_timeout);
  if (!exchange_) {
    exchange_ =
        HttpExchange::open(shard_, options_.connect, endpoint, options_.request_timeout, *this);
  }
  asks_token_ = has_user() && !has_token_;
  std::string request = asks_token_
                            ? http_post(endpoint, path::authenticate,
                                        authenticate_request(options_.user, options_.password), {})
                            : http_post(endpoint, active_->path, active_->body, token_);
  exchange_->send(std::move(request), limits::etcd_message_bytes_max);
}

void Channel::on_exchange(HttpExchange& exchange) {
  if (&exchange != exchange_.get()) return;
  if (exchange.failed()) {
    const Error error = exchange.error();
    const bool grown_stale = exchange.answered() > 0 && !exchange.response().started();
    drop_exchange();
    if (!active_) return;
    // The server closed an idle connection just as it was used: says nothing of the server.
    if (grown_stale) return send_active();
    // Another member's answer would be as long.
    if (error.is(velo::Errc::overloaded)) return finish_active(error);
    return attempt_failed(error);
  }
  if (active_ && exchange.response().complete()) answered();
}

void Channel::answered() {
  codec::HttpResponse& response = exchange_->response();
  const unsigned status = response.status();
  Answer answer{Refusal{}, response.take_body()};
  if (!response.keep_alive()) drop_exchange();
  if (status != 200) {
    answer.refusal = read_refusal(status, answer.body);
    // No leader, a time-out within the cluster, a proxy without servers: another may do it.
    if (status >= 500 && status != 501) return attempt_failed(to_error(answer.refusal));
  }
  failures_ = 0;
  backoff_.reset();
  if (asks_token_) return token_answered(answer);
  if (has_user() && wants_new_token(answer.refusal) && !std::exchange(active_->retried, true)) {
    has_token_ = false;
    token_.clear();
    return send_active();
  }
  finish_active(std::move(answer));
}

void Channel::token_answered(const Answer& answer) {
  if (answer.refusal.code == grpc_code::failed_precondition) {
    VELO_LOG_WARN(discovery, "etcd does not ask who it is; its user's name is not used",
                  {"user", options_.user});
  } else if (!answer.ok()) {
    return finish_active(velo::make_error(
        velo::Errc::permission_denied,
        "etcd does not accept the user \"" + options_.user + "\": " + answer.refusal.message));
  } else {
    Result<std::string> token = read_token(answer.body);
    if (!token) return finish_active(token.error());
    token_ = std::move(*token);
  }
  has_token_ = true;
  send_active();
}

void Channel::attempt_failed(const Error& error) {
  if (failures_ == 0) {
    VELO_LOG_INFO(discovery, "an etcd server did not answer",
                  {"endpoint", options_.endpoints[endpoint_].to_string()}, {"error", error});
  }
  ++failures_;
  drop_exchange();
  endpoint_ = (endpoint_ + 1) % options_.endpoints.size();
  if (error.is(velo::Errc::shutting_down)) return finish_active(error);
  if (shard_.now() >= active_->deadline) {
    return finish_active(velo::make_error(velo::Errc::deadline_exceeded,
                                          "no etcd server answered: " + error.to_string()));
  }
  (active_->urgent ? urgent_ : waiting_).push_front(std::move(*active_));
  active_.reset();
  if (failures_ % options_.endpoints.size() == 0) {
    pausing_ = true;
    pause_ends_ = shard_.now() + backoff_.next(world_.random());
  }
  pump();
}

void Channel::finish_active(Result<Answer> answer) {
  Call call = std::move(*active_);
  active_.reset();
  call.done(std::move(answer));
  pump();
}

void Channel::expire() {
  for (auto& [done, error] : std::exchange(failing_, {})) done(std::move(error));
  const TimePoint now = shard_.now();
  for (std::deque<Call>* queue : {&urgent_, &waiting_}) {
    while (!queue->empty() && queue->front().deadline <= now) {
      Call call = std::move(queue->front());
      queue->pop_front();
      call.done(velo::make_error(velo::Errc::deadline_exceeded, "no etcd server answered"));
    }
  }
}

void Channel::arm() {
  TimePoint wake = TimePoint::never();
  if (!failing_.empty()) wake = shard_.now();
  if (active_) wake = std::min(wake, attempt_ends_);
  if (pausing_) wake = std::min(wake, pause_ends_);
  if (!urgent_.empty()) wake = std::min(wake, urgent_.front().deadline);
  if (!waiting_.empty()) wake = std::min(wake, waiting_.front().deadline);
  if (wake == TimePoint::never()) return timer_.cancel();
  timer_.start_at(wake, [this] { on_timer(); });
}

void Channel::on_timer() {
  const TimePoint now = shard_.now();
  if (pausing_ && pause_ends_ <= now) pausing_ = false;
  expire();
  if (active_ && attempt_ends_ <= now) {
    return attempt_failed(velo::make_error(velo::Errc::deadline_exceeded, "no answer in time"));
  }
  pump();
}

void Channel::drop_exchange() {
  if (exchange_) std::exchange(exchange_, nullptr)->close();
}

}  // namespace velo::discovery::etcd
