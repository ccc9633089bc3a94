// SPDX-License-Identifier: Apache-2.0
// Gathers the ends of the sends of a broadcast.

#include <velo/messenger/broadcast.hpp>

#include "impl.hpp"

#include <algorithm>
#include <mutex>
#include <optional>

namespace velo::messenger {
namespace broadcast_detail {

using Answers = std::vector<RawAnswer>;

static Reply ended_unsent(Fate fate, Error error) {
  Reply reply;
  reply.fate = fate;
  error.mark_without_effect();
  reply.error = std::move(error);
  return reply;
}

/// One broadcast under way. Lives until its last send has ended.
// why: the continuations of its sends keep it.
class Gathering final : public std::enable_shared_from_this<Gathering> {
 public:
  explicit Gathering(BroadcastSpec from)
      : spec_(std::move(from)),
        impl_(spec_.call.impl->shared_from_this()),
        deadline_(impl_->world().clock().now() + std::clamp(spec_.call.timeout, Duration::zero(),
                                                            velo::limits::call_deadline_max)),
        promise_(impl_->world().pool()) {
    spec_.call.handler = spec_.handler;
    spec_.call.stop = stop_.get_token();
    spec_.concurrent_max = std::max<std::size_t>(spec_.concurrent_max, 1);
    spec_.enough = std::max<std::size_t>(spec_.enough, 1);
    answers_.resize(spec_.targets.size());
    for (std::size_t i = 0; i < answers_.size(); ++i) answers_[i].target = spec_.targets[i];
    leave_out_.resize(answers_.size());
  }

  Op<Answers> op() {
    promise_.on_cancel([weak = weak_from_this()]() noexcept {
      if (const auto self = weak.lock()) self->cancel();
    });
    return promise_.op();
  }

  void start() {
    if (spec_.stop.stop_possible()) caller_stop_.emplace(spec_.stop, Cancel{this});
    pump();
  }

 private:
  struct Cancel {
    Gathering* gathering;
    void operator()() const noexcept { gathering->cancel(); }
  };

  /// No further send begins; those in flight end as cancelled, on this thread.
  void cancel() noexcept {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopping_, true)) return;
    }
    stop_.request_stop();
    pump();
  }

  /// Begins as many sends as may be in flight. On the caller's thread at first, so that the first
  /// ones keep their place among the caller's other sends.
  void pump() {
    for (;;) {
      std::size_t index = 0;
      bool send = false;
      {
        const std::lock_guard lock(mutex_);
        if (next_ == answers_.size() || in_flight_ >= spec_.concurrent_max) break;
        index = next_++;
        send = !stopping_;
        if (send) ++in_flight_;
        if (!send) end_unbegun(index);
      }
      if (send) begin(index);
    }
    finish_if_over();
  }

  void end_unbegun(std::size_t index) {
    answers_[index].reply = ended_unsent(Fate::cancelled, make_error(Errc::cancelled, "not begun"));
    ++ended_;
  }

  void begin(std::size_t index) {
    if (!spec_.only_with_handler) return send_to(index);
    const Duration left = deadline_ - impl_->world().clock().now();
    impl_->query_handlers(answers_[index].target, true, std::min(left, limits::hello_timeout))
        .then(impl_->shard(0), [self = shared_from_this(),
                                index](Result<std::vector<std::string>> names) {
          if (names && std::binary_search(names->begin(), names->end(), self->spec_.handler)) {
            return self->send_to(index);
          }
          self->leave_out_[index] = true;
          self->ended(index, ended_unsent(Fate::rejected, make_error(Errc::unknown_handler)));
        });
  }

  void send_to(std::size_t index) {
    CallSpec call = spec_.call;
    call.has_instance = true;
    call.instance = answers_[index].target;
    call.timeout = deadline_ - impl_->world().clock().now();
    Op<Reply>(impl_->start(call), [](OpState& state) -> Result<Reply> {
      return take_reply(state);
    }).then(impl_->shard(0), [self = shared_from_this(), index](Result<Reply> reply) {
      self->ended(index, std::move(*reply));
    });
  }

  void ended(std::size_t index, Reply reply) {
    bool enough = false;
    {
      const std::lock_guard lock(mutex_);
      if (!reply.error) enough = ++successes_ == spec_.enough;
      answers_[index].reply = std::move(reply);
      ++ended_;
      --in_flight_;
    }
    if (enough) return cancel();
    pump();
  }

  void finish_if_over() {
    {
      const std::lock_guard lock(mutex_);
      if (ended_ != answers_.size() || std::exchange(finished_, true)) return;
    }
    // Nobody else touches the answers any more.
    Answers answers;
    answers.reserve(answers_.size());
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      if (leave_out_[i] == 0) answers.push_back(std::move(answers_[i]));
    }
    promise_.set(std::move(answers));
  }

  BroadcastSpec spec_;
  const std::shared_ptr<Impl> impl_;
  const TimePoint deadline_;
  Promise<Answers> promise_;
  std::stop_source stop_;

  std::mutex mutex_;
  Answers answers_;
  std::vector<char> leave_out_;  ///< written before its send's end is counted
  std::size_t next_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t ended_ = 0;
  std::size_t successes_ = 0;
  bool stopping_ = false;
  bool finished_ = false;
  /// Last, so that it goes first: waits for a cancel() that runs.
  std::optional<std::stop_callback<Cancel>> caller_stop_;
};

}  // namespace broadcast_detail

OpState& start_broadcast(BroadcastSpec spec) {
  using broadcast_detail::Answers;
  Impl& impl = *spec.call.impl;
  if (spec.all_peers) {
    spec.targets.clear();
    for (const PeerInfo& peer : impl.peers()) spec.targets.push_back(peer.instance_id);
  }
  if (spec.targets.size() > limits::broadcast_targets_max) {
    auto refused = Op<Answers>::ready(
        impl.world().pool(),
        velo::make_error(velo::Errc::overloaded, "broadcast_targets_max is reached"));
    return *refused.release().first;
  }
  const auto gathering = std::make_shared<broadcast_detail::Gathering>(std::move(spec));
  Op<Answers> op = gathering->op();
  gathering->start();
  return *op.release().first;
}

Result<std::vector<RawAnswer>> take_answers(OpState& state) {
  using State = base_detail::PromiseState<std::vector<RawAnswer>>;
  return std::move(*static_cast<State&>(state).result);
}

}  // namespace velo::messenger
