// SPDX-License-Identifier: Apache-2.0
// A transfer's way through requests, timers and its writer.

#include "pull.hpp"

#include "engine.hpp"

#include <velo/messenger/error.hpp>
#include <velo/messenger/subsystem.hpp>

#include <algorithm>
#include <utility>

namespace velo::rendezvous {

Pull::Pull(std::shared_ptr<Engine> engine, Shard& shard, const DataHandle& handle,
           std::unique_ptr<DataWriter> writer, PullOptions options, Done done)
    : engine_(std::move(engine)),
      shard_(shard),
      handle_(handle),
      writer_(std::move(writer)),
      writer_blocks_(writer_->blocks()),
      options_(std::move(options)),
      done_(std::move(done)),
      began_(engine_->world().clock().now()) {}

void Pull::Stop::operator()() const {
  if (const auto alive = pull.lock()) alive->abort(velo::make_error(velo::Errc::cancelled));
}

void Pull::start(std::optional<Error> refusal) {
  post(shard_, [self = shared_from_this(), refusal = std::move(refusal)]() mutable {
    if (refusal) return self->end(std::move(*refusal));
    if (!self->over_) self->begin();
  });
}

void Pull::abort(Error reason) {
  post(shard_, [self = shared_from_this(), reason = std::move(reason)]() mutable {
    self->end(std::move(reason));
  });
}

void Pull::begin() {
  deadline_ =
      began_ + std::clamp(options_.timeout, Duration::zero(), velo::limits::call_deadline_max);
  options_.window_chunks =
      std::clamp<std::uint32_t>(options_.window_chunks, 1, limits::window_chunks_max);
  if (options_.stop.stop_possible()) {
    stop_.emplace(std::move(options_.stop), Stop{weak_from_this()});
  }
  acquire();
}

Duration Pull::left() const {
  return std::min<Duration>(deadline_ - shard_.now(), limits::request_timeout);
}

void Pull::acquire() {
  acquire_again_ = TimePoint::never();
  const auto messenger = engine_->messenger();
  if (messenger == nullptr) return end(messenger::make_error(messenger::Errc::shutting_down));
  // Not stopped when this ends: a lease that comes too late is given back.
  aimed(messenger::system_unary(*messenger, "_rv_acquire"))
      .raw_payload(wire::encode_handle(handle_))
      .timeout(left())
      .send()
      .then(shard_, [self = shared_from_this()](Result<Bytes> reply) {
        self->on_acquired(std::move(reply));
      });
  if (!over_) rearm();
}

void Pull::on_acquired(Result<Bytes> reply) {
  Result<wire::Grant> grant =
      reply ? wire::decode_grant(*reply) : Result<wire::Grant>(reply.error());
  if (over_) {
    if (grant) give_up_lease(DataLease(grant->lease_id));
    return;
  }
  if (!grant) {
    if (reply || !worth_retrying(grant.error())) return end(grant.error());
    pause_ = std::clamp(pause_ * 2, limits::retry_pause_first, limits::retry_pause_longest);
    acquire_again_ = shard_.now() + pause_;
    return rearm();
  }
  grant_ = *grant;
  transfer_.emplace(grant_, shard_.now(), options_.window_chunks);
  write([total = grant_.total_len](DataWriter& writer) { return writer.begin(total); },
        [self = shared_from_this()](Result<void> begun) {
          if (!begun) return self->end(begun.error());
          self->ready_ = true;
          self->pump();
        });
}

void Pull::pump() {
  if (over_ || !ready_) return;
  while (const auto chunk = transfer_->next(shard_.now())) {
    ask(*chunk);
    if (over_) return;
  }
  if (transfer_->complete()) return finish();
  rearm();
}

void Pull::ask(std::uint32_t chunk) {
  const auto messenger = engine_->messenger();
  if (messenger == nullptr) return end(messenger::make_error(messenger::Errc::shutting_down));
  wire::PullRequest request;
  request.transfer_id = grant_.transfer_id;
  request.chunk_index = chunk;
  aimed(messenger::system_unary(*messenger, "_rv_pull"))
      .raw_payload(wire::encode_pull(request))
      .timeout(left())
      .stop(requests_.get_token())
      .send()
      .then(shard_, [self = shared_from_this(), chunk](Result<Bytes> reply) {
        self->on_chunk(chunk, std::move(reply));
      });
}

void Pull::on_chunk(std::uint32_t chunk, Result<Bytes> reply) {
  if (over_) return;
  if (!reply) {
    if (auto fatal = transfer_->failed(chunk, reply.error(), shard_.now())) {
      return end(std::move(*fatal));
    }
    return pump();
  }
  const auto offset = transfer_->arrived(chunk, reply->size(), shard_.now());
  if (!offset) return end(offset.error());
  if (!*offset) return;
  write([at = **offset,
         bytes = std::move(*reply)](DataWriter& writer) { return writer.write(at, bytes); },
        [self = shared_from_this(), chunk](Result<void> written) {
          if (self->over_) return;
          if (!written) return self->end(written.error());
          self->transfer_->stored(chunk);
          self->pump();
        });
}

void Pull::finish() {
  if (std::exchange(finishing_, true)) return;
  write([](DataWriter& writer) { return writer.finish(); },
        [self = shared_from_this()](Result<void> finished) { self->end(std::move(finished)); });
}

void Pull::write(Step step, Next next) {
  if (!writer_blocks_) {
    Result<void> result = step(*writer_);
    return next(std::move(result));
  }
  jobs_.push_back({std::move(step), std::move(next)});
  if (!writing_) run_job();
}

void Pull::run_job() {
  writing_ = true;
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  post(engine_->world().pool(), [self = shared_from_this(), job = std::move(job)]() mutable {
    Result<void> result = job.step(*self->writer_);
    // What was written need not wait for the shard.
    job.step = nullptr;
    post(self->shard_, [self, next = std::move(job.next), result = std::move(result)]() mutable {
      self->writing_ = false;
      if (self->over_) return;
      if (self->transfer_) self->transfer_->resumed(self->shard_.now());
      next(std::move(result));
      if (self->over_) return;
      if (!self->writing_ && !self->jobs_.empty()) self->run_job();
      self->rearm();
    });
  });
}

void Pull::end(Result<void> result) {
  if (std::exchange(over_, true)) return;
  requests_.request_stop();
  stop_.reset();
  jobs_.clear();
  if (timer_keepalive_ != nullptr && shard_.cancel_timer(timer_)) timer_keepalive_ = nullptr;
  const DataLease lease(grant_.lease_id);
  const bool held = transfer_.has_value();
  if (held && (!result || options_.release)) give_up_lease(lease);
  engine_->pull_over(*this, result.has_value(), held ? transfer_->stored_bytes() : 0,
                     shard_.now() - began_);
  auto done = std::exchange(done_, nullptr);
  if (!result) {
    if (!writing_) writer_.reset();
    return done(result.error());
  }
  done(Ended{lease, std::move(writer_)});
}

void Pull::give_up_lease(DataLease lease) {
  const auto messenger = engine_->messenger();
  if (messenger == nullptr) return;
  const std::string_view name = options_.release ? "_rv_release" : "_rv_detach";
  auto told = aimed(messenger::system_fire(*messenger, name))
                  .raw_payload(wire::encode_lease(handle_, lease))
                  .send();
  // Fire-and-forget goes out all the same.
  static_cast<void>(told);
}

void Pull::rearm() {
  TimePoint at = deadline_;
  const TimePoint since = transfer_ ? transfer_->last_progress() : began_;
  at = std::min(at, acquire_again_);
  // While the writer writes it is not the owner that is waited for.
  if (!writing_) at = std::min(at, since + options_.stall);
  if (transfer_ && ready_) at = std::min(at, transfer_->pause_over());
  if (timer_keepalive_ != nullptr) {
    if (timer_at_ <= at || !shard_.cancel_timer(timer_)) return;
  }
  timer_keepalive_ = shared_from_this();
  timer_at_ = at;
  timer_ = shard_.start_timer(
      at, Task0{[](void* argument) { static_cast<Pull*>(argument)->on_timer(); }, this});
}

void Pull::on_timer() {
  const std::shared_ptr<Pull> alive = std::exchange(timer_keepalive_, nullptr);
  if (over_) return;
  const TimePoint now = shard_.now();
  if (now >= deadline_) return end(velo::make_error(velo::Errc::deadline_exceeded));
  const TimePoint since = transfer_ ? transfer_->last_progress() : began_;
  if (now >= since + options_.stall && !writing_) {
    return end(make_error(Errc::stalled, transfer_ ? "no chunk arrived" : "no answer"));
  }
  if (acquire_again_ <= now) return acquire();
  if (transfer_) return pump();
  rearm();
}

}  // namespace velo::rendezvous
