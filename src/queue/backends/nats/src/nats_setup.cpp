// SPDX-License-Identifier: Apache-2.0
// The stream and the consumer behind a queue: found, made, and looked at.

#include "nats_queue.hpp"

#include <velo/base/log.hpp>

#include <utility>

namespace velo::queue::nats {
namespace nats_setup_detail {

/// Until the queue is made again, after the server could not for want of space or the like.
constexpr Duration pause = std::chrono::seconds(1);

}  // namespace nats_setup_detail

void Queue::set_up() {
  // Until the server has answered; what is sent meanwhile waits as long as it has time.
  ask_api(names_.stream_api("INFO"), {}, TimePoint::never(), true,
          [self = shared_from_this()](Result<Message> message) {
            if (!message) return self->set_up_fails(message.error());
            auto info = read_stream(self->names_, message->payload.text());
            if (!info) return self->set_up_fails(info.error());
            if (!*info) {
              if (is_stream_missing(info->error())) return self->set_up_stream();
              return self->set_up_fails(error_of(info->error(), "the queue's stream"));
            }
            if (!(*info)->work_queue) {
              return self->set_up_fails(velo::make_error(
                  velo::Errc::invalid_argument,
                  "the stream " + self->names_.stream + " exists and is no work queue"));
            }
            {
              const std::lock_guard lock(self->mutex_);
              self->closed_ = (*info)->closed;
            }
            self->set_up_consumer();
          });
}

void Queue::set_up_stream() {
  ask_api(names_.stream_api("CREATE"), stream_config(names_, options_, nats_), TimePoint::never(),
          true, [self = shared_from_this()](Result<Message> message) {
            if (!message) return self->set_up_fails(message.error());
            auto info = read_stream(self->names_, message->payload.text());
            if (!info) return self->set_up_fails(info.error());
            if (!*info) {
              // Somebody else was faster, with other options.
              if (is_stream_different(info->error())) return self->set_up();
              return self->set_up_fails(error_of(info->error(), "making the queue's stream"));
            }
            self->set_up_consumer();
          });
}

void Queue::set_up_consumer() {
  const auto known = [self = shared_from_this()](Result<Message> message, bool made) {
    if (!message) return self->set_up_fails(message.error());
    auto info = read_consumer(message->payload.text());
    if (!info) return self->set_up_fails(info.error());
    if (!*info) {
      if (made || !is_consumer_missing(info->error())) {
        return self->set_up_fails(error_of(info->error(), "the queue's consumer"));
      }
      return self->ask_api(
          self->names_.consumer_api("DURABLE.CREATE"),
          consumer_config(self->names_, self->options_), TimePoint::never(), true,
          [self](Result<Message> answer) {
            if (!answer) return self->set_up_fails(answer.error());
            auto created = read_consumer(answer->payload.text());
            if (!created) return self->set_up_fails(created.error());
            if (!*created) {
              return self->set_up_fails(error_of(created->error(), "making the queue's consumer"));
            }
            self->set_up_ends();
          });
    }
    {
      const std::lock_guard lock(self->mutex_);
      self->leases_.set_server_wait((*info)->ack_wait);
    }
    self->set_up_ends();
  };
  ask_api(names_.consumer_api("INFO"), {}, TimePoint::never(), true,
          [known](Result<Message> message) { known(std::move(message), false); });
}

void Queue::set_up_fails(const Error& error) {
  // Refused for what we are, or the end: a later connection tries again. Refused for what we asked:
  // it would be again. For want of something: perhaps not for long.
  const bool later = error.is(velo::Errc::permission_denied) || error.is(Errc::closed);
  const bool soon = error.is(velo::Errc::overloaded) || error.is(velo::Errc::io);
  {
    const std::lock_guard lock(mutex_);
    setting_up_ = soon;
    if (soon) set_up_again_ = now() + nats_setup_detail::pause;
    if (!later && !soon) broken_ = error;
  }
  if (later) return;
  VELO_LOG_WARN(queue, "a queue in NATS cannot be used", {"queue", name_},
                {"error", error.to_string()});
  fail_all(error);
  if (soon) wake_at(now() + nats_setup_detail::pause);
}

void Queue::set_up_ends() {
  After after;
  {
    const std::lock_guard lock(mutex_);
    setting_up_ = false;
    ready_ = true;
    requests_.set_open(true);
    after.messages = requests_.send_all(now());
    for (auto& [number, receiver] : receivers_) pull(number, *receiver, Phase::now, after);
  }
  carry_out(std::move(after));
  wake_at(now());
}

void Queue::inspect() {
  {
    const std::lock_guard lock(mutex_);
    if (inspecting_ || ended_) return;
    inspecting_ = true;
  }
  ask_api(names_.stream_api("INFO"), {}, now() + nats_.operation_timeout, true,
          [self = shared_from_this()](Result<Message> message) {
            {
              const std::lock_guard lock(self->mutex_);
              self->inspecting_ = false;
            }
            if (!message) return;
            const auto info = read_stream(self->names_, message->payload.text());
            if (!info) return;
            if (*info) return self->on_inspected(**info);
            if (is_stream_missing(info->error())) {
              self->fail_all(make_error(Errc::unknown, "the queue was deleted"));
            }
          });
}

void Queue::on_inspected(const StreamInfo& info) {
  if (!info.closed) return;
  std::vector<Requests::Done> items;
  std::list<SendingPtr> line;
  std::map<std::uint64_t, ReceiverPtr> receivers;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    items = requests_.take_items();
    line.swap(line_);
    if (info.items == 0) receivers.swap(receivers_);
  }
  for (auto& done : items) done(make_error(Errc::closed));
  for (const SendingPtr& sending : line) sending->promise.set(make_error(Errc::closed));
  for (auto& [number, receiver] : receivers) receiver->promise.set(make_error(Errc::closed));
}

}  // namespace velo::queue::nats
