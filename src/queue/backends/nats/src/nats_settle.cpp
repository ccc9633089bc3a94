// SPDX-License-Identifier: Apache-2.0
// What becomes of items that were delivered; counts; the queue's face.

#include "nats_queue.hpp"

#include <velo/base/log.hpp>

#include <algorithm>
#include <utility>

namespace velo::queue::nats {

Message Queue::word(std::string subject, std::string text) const {
  Message message;
  message.subject = std::move(subject);
  message.payload = Bytes::own(std::move(text));
  return message;
}

void Queue::settle(std::string subject, std::string text, Requests::Repeat repeat,
                   std::move_only_function<void(Result<void>)> done) {
  Requests::Request request;
  request.message = word(std::move(subject), std::move(text));
  request.until = now() + nats_.operation_timeout;
  request.repeat = repeat;
  request.done = [done = std::move(done)](Result<Message> answer) mutable {
    if (!answer) return done(answer.error());
    done(Result<void>());
  };
  ask(std::move(request));
}

/// There may be room, or nothing left.
void Queue::item_is_gone() {
  bool look = false;
  {
    const std::lock_guard lock(mutex_);
    look = closed_ && !receivers_.empty();
  }
  next_in_line();
  if (look) inspect();
}

Op<void> Queue::ack(Lease lease) {
  std::optional<Leases::Held> held;
  {
    const std::lock_guard lock(mutex_);
    held = leases_.take(now(), lease);
  }
  if (!held) return ended<void>(make_error(Errc::lease_lost));
  auto promise = std::make_shared<Promise<void>>(world_.pool());
  Op<void> op = promise->op();
  settle(std::move(held->ack), "+ACK", Requests::Repeat::unanswered,
         [self = shared_from_this(), promise](const Result<void>& result) {
           promise->set(result);
           if (result) self->item_is_gone();
         });
  return op;
}

Op<void> Queue::nack(Lease lease, Duration delay) {
  std::optional<Leases::Held> held;
  bool dies = false;
  {
    const std::lock_guard lock(mutex_);
    const Leases::Held* found = leases_.find(now(), lease);
    if (found == nullptr) return ended<void>(make_error(Errc::lease_lost));
    dies = found->last;
    if (dies) {
      leases_.die(now(), lease.item, "its receivers gave it back");
    } else {
      held = leases_.take(now(), lease);
    }
  }
  if (dies) {
    wake_at(now());
    return ended<void>(Result<void>());
  }
  auto promise = std::make_shared<Promise<void>>(world_.pool());
  Op<void> op = promise->op();
  const Duration bounded = std::clamp(delay, Duration(0), Duration(limits::wait_max));
  // Twice, it would take the item from its next receiver.
  settle(std::move(held->ack), nak(bounded), Requests::Repeat::never,
         [promise](const Result<void>& result) { promise->set(result); });
  return op;
}

Op<void> Queue::extend(Lease lease, Duration visibility) {
  if (visibility.count() <= 0) visibility = options_.visibility;
  visibility = std::min<Duration>(visibility, limits::wait_max);
  std::string subject;
  {
    const std::lock_guard lock(mutex_);
    if (!leases_.extend(now(), lease, visibility)) {
      return ended<void>(make_error(Errc::lease_lost));
    }
    subject = leases_.find(now(), lease)->ack;
  }
  wake_at(now());
  auto promise = std::make_shared<Promise<void>>(world_.pool());
  Op<void> op = promise->op();
  settle(std::move(subject), "+WPI", Requests::Repeat::never,
         [promise](const Result<void>& result) { promise->set(result); });
  return op;
}

void Queue::bury(std::uint64_t item) {
  // A sink may take its time, and this is a shard.
  post(world_.pool(), [self = shared_from_this(), item] {
    DeadLetter letter;
    {
      const std::lock_guard lock(self->mutex_);
      const Leases::Held* held = self->leases_.dying(item);
      if (held == nullptr) return;
      letter = held->letter;
    }
    letter.at = self->world_.clock().wall_now();
    const Result<void> taken = self->options_.dead_letters->take(letter);
    std::optional<Leases::Held> buried;
    {
      const std::lock_guard lock(self->mutex_);
      if (taken) {
        buried = self->leases_.buried(item);
        ++self->counts_.dead;
      } else {
        self->leases_.spared(self->now(), item);
      }
    }
    if (!taken) {
      VELO_LOG_WARN(queue, "a dead letter was not taken; it is offered again",
                    {"from", letter.source}, {"id", letter.id},
                    {"error", taken.error().to_string()});
      return self->wake_at(self->now() + limits::dead_letter_pause);
    }
    if (!buried) return;
    self->settle(std::move(buried->ack), "+ACK", Requests::Repeat::unanswered,
                 [self](const Result<void>& result) {
                   if (result) self->item_is_gone();
                 });
  });
}

Op<QueueState> Queue::state() {
  auto promise = std::make_shared<Promise<QueueState>>(world_.pool());
  Op<QueueState> op = promise->op();
  const TimePoint until = now() + nats_.operation_timeout;
  const auto with_consumer = [self = shared_from_this(), promise, until](const StreamInfo& stream) {
    self->ask_api(self->names_.consumer_api("INFO"), {}, until, false,
                  [self, promise, stream](Result<Message> answer) {
                    if (!answer) return (void)promise->set(answer.error());
                    const auto info = read_consumer(answer->payload.text());
                    if (!info) return (void)promise->set(info.error());
                    if (!*info)
                      return (void)promise->set(error_of(info->error(), "the queue's consumer"));
                    QueueState state;
                    {
                      const std::lock_guard lock(self->mutex_);
                      state = self->counts_;
                      state.delayed = self->leases_.dying_count();
                    }
                    state.bytes = stream.bytes;
                    state.queued = stream.last_sequence;
                    const std::uint64_t over =
                        stream.last_sequence - std::min(stream.items, stream.last_sequence);
                    state.acked = over - std::min(state.dead, over);
                    state.leased = std::min((*info)->delivered, stream.items);
                    state.ready = stream.items - state.leased;
                    state.delayed = std::min(state.delayed, state.leased);
                    state.leased -= state.delayed;
                    if (stream.items > 0) {
                      const std::int64_t age = self->world_.clock().wall_now().unix_nanoseconds -
                                               stream.first.unix_nanoseconds;
                      state.oldest = Duration(std::max<std::int64_t>(age, 0));
                    }
                    promise->set(state);
                  });
  };
  ask_api(names_.stream_api("INFO"), {}, until, false,
          [self = shared_from_this(), promise, with_consumer](Result<Message> answer) {
            if (!answer) return (void)promise->set(answer.error());
            const auto info = read_stream(self->names_, answer->payload.text());
            if (!info) return (void)promise->set(info.error());
            if (!*info) return (void)promise->set(error_of(info->error(), "the queue's stream"));
            with_consumer(**info);
          });
  return op;
}

Op<void> Queue::close() {
  auto promise = std::make_shared<Promise<void>>(world_.pool());
  Op<void> op = promise->op();
  const TimePoint until = now() + nats_.operation_timeout;
  const auto closed = [self = shared_from_this(), promise](Result<Message> answer) {
    if (!answer) return (void)promise->set(answer.error());
    const auto info = read_stream(self->names_, answer->payload.text());
    if (!info) return (void)promise->set(info.error());
    if (!*info) return (void)promise->set(error_of(info->error(), "closing the queue"));
    self->on_inspected(**info);
    promise->set(Result<void>());
  };
  ask_api(names_.stream_api("INFO"), {}, until, false,
          [self = shared_from_this(), promise, until, closed](Result<Message> answer) {
            if (!answer) return (void)promise->set(answer.error());
            const auto info = read_stream(self->names_, answer->payload.text());
            if (!info) return (void)promise->set(info.error());
            if (!*info) return (void)promise->set(error_of(info->error(), "closing the queue"));
            auto config = closed_config(self->names_, (*info)->config);
            if (!config) return (void)promise->set(config.error());
            self->ask_api(self->names_.stream_api("UPDATE"), std::move(*config), until, false,
                          closed);
          });
  return op;
}

/// What its users hold; the queue itself lives until the last of its threads is done with it.
class Face final : public WorkQueue {
 public:
  explicit Face(std::shared_ptr<Queue> queue) : queue_(std::move(queue)) {}
  Face(const Face&) = delete;
  ~Face() override { queue_->end(); }

  Op<Receipt> send(Bytes payload, SendOptions options) override {
    return queue_->send(std::move(payload), std::move(options));
  }
  Op<Batch> receive(ReceiveOptions options) override { return queue_->receive(options); }
  Op<void> ack(Lease lease) override { return queue_->ack(lease); }
  Op<void> nack(Lease lease, Duration delay) override { return queue_->nack(lease, delay); }
  Op<void> extend(Lease lease, Duration visibility) override {
    return queue_->extend(lease, visibility);
  }
  Op<QueueState> state() override { return queue_->state(); }
  Op<void> close() override { return queue_->close(); }

 private:
  std::shared_ptr<Queue> queue_;
};

}  // namespace velo::queue::nats

namespace velo::queue {

Result<std::shared_ptr<WorkQueue>> make_nats_queue(World& world, std::string name,
                                                   const QueueOptions& options,
                                                   const NatsOptions& nats) {
  if (auto right = nats::check_name(name); !right) return right.error();
  if (auto right = nats::check_options(nats); !right) return right.error();
  auto queue = std::make_shared<nats::Queue>(world, std::move(name), options, nats);
  queue->start();
  return std::make_shared<nats::Face>(std::move(queue));
}

}  // namespace velo::queue
