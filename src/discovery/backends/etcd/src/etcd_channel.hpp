// SPDX-License-Identifier: Apache-2.0
// Requests to a cluster, one at a time and in order, so that what was asked first is done first.
// Asks the members in turn until one answers or the request's time is over. Where it has a user's
// name it asks for a token first, and for another one when that is not accepted any more. Not for
// watches, whose answer never ends.
// Threading: on its shard's thread only.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/shard_timer.hpp>
#include <velo/base/world.hpp>
#include <velo/discovery/backends/etcd.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "etcd_wire.hpp"
#include "http_exchange.hpp"

namespace velo::discovery::etcd {

/// What a server said: the body of its answer, or its refusal.
struct Answer {
  Refusal refusal;
  std::string body;

  bool ok() const noexcept { return refusal.code == grpc_code::ok; }
};

/// Random pauses that double; value semantics, the draw is passed in.
class Backoff {
 public:
  Backoff(Duration min, Duration max) noexcept : min_(min), max_(max), next_(min) {}
  Duration next(Random& random) noexcept;
  void reset() noexcept { next_ = min_; }

 private:
  Duration min_;
  Duration max_;
  Duration next_;
};

class Channel final : HttpExchange::Owner {
 public:
  using Done = std::move_only_function<void(Result<Answer>)>;
  struct Call {
    const char* path = nullptr;
    std::string body;
    TimePoint deadline;
    bool urgent = false;           ///< before everything that waits
    std::function<bool()> wanted;  ///< asked before it is sent; empty: yes
    bool retried = false;          ///< with another token: the channel's
    Done done;  ///< called once, not inside submit(); never after the channel was destroyed
  };

  /// `options` has been checked, and outlives the channel.
  Channel(World& world, Shard& shard, const EtcdOptions& options);
  Channel(const Channel&) = delete;
  ~Channel();

  /// Errc::overloaded when too many wait: then `done` is dropped uncalled.
  Result<void> submit(Call call);
  /// With the usual deadline.
  Result<void> submit(const char* path, std::string body, Done done);
  /// Calls `done` with the error, not inside this.
  void fail_soon(Done done, Error error);
  std::size_t pending() const noexcept {
    return waiting_.size() + urgent_.size() + (active_ ? 1U : 0U);
  }
  /// What goes with each request, once one was answered; empty: nothing.
  const std::string& token() const noexcept { return token_; }
  bool has_user() const noexcept { return !options_.user.empty(); }
  TimePoint usual_deadline() const { return shard_.now() + options_.operation_timeout; }

  World& world() noexcept { return world_; }
  Shard& shard() noexcept { return shard_; }
  const EtcdOptions& options() const noexcept { return options_; }

 private:
  void on_exchange(HttpExchange& exchange) override;
  void pump();
  void send_active();
  void answered();
  void token_answered(const Answer& answer);
  void attempt_failed(const Error& error);
  void finish_active(Result<Answer> answer);
  void expire();
  void arm();
  void on_timer();
  void drop_exchange();
  std::deque<Call>* next_queue();

  World& world_;
  Shard& shard_;
  const EtcdOptions& options_;
  std::deque<Call> urgent_;
  std::deque<Call> waiting_;
  std::vector<std::pair<Done, Error>> failing_;
  std::optional<Call> active_;
  TimePoint attempt_ends_;
  bool pausing_ = false;
  TimePoint pause_ends_;
  std::string token_;
  bool has_token_ = false;   ///< or knows that none is needed
  bool asks_token_ = false;  ///< that is what was sent last, before active_
  std::size_t endpoint_ = 0;
  std::size_t failures_ = 0;  ///< since an answer came
  Backoff backoff_;
  std::shared_ptr<HttpExchange> exchange_;
  ShardTimer timer_;
};

}  // namespace velo::discovery::etcd
