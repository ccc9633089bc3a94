// SPDX-License-Identifier: Apache-2.0
// How a queue in NATS is made, kept going, and ends.

#include "nats_queue.hpp"

#include <velo/base/log.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace velo::queue::nats {
namespace nats_queue_detail {

/// Until a server that says that nobody is there is asked again: it has only begun, perhaps.
constexpr Duration nobody_pause = std::chrono::milliseconds(250);

static std::string random_inbox(Random& random) {
  const std::uint64_t high = random.next();
  const std::uint64_t low = random.next();
  return fmt::format("_INBOX.velo{:016x}{:016x}", high, low);
}

}  // namespace nats_queue_detail

using namespace nats_queue_detail;  // NOLINT(google-build-using-namespace)

Queue::Queue(World& world, std::string name, const QueueOptions& options, const NatsOptions& nats)
    : world_(world),
      name_(std::move(name)),
      options_(options),
      nats_(nats),
      names_(name_),
      link_(std::make_shared<Link>(world, nats, random_inbox(world.secret_random()))),
      requests_(link_->inbox()),
      leases_(ack_wait_for(options.visibility)),
      timer_(world.shard(0)) {}

void Queue::start() {
  Link::Events events;
  events.arrived = [weak = weak_from_this()](Message message) {
    if (const auto self = weak.lock()) self->on_arrived(std::move(message));
  };
  events.connected = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_connected();
  };
  events.refused = [weak = weak_from_this()](const Error& error) {
    if (const auto self = weak.lock()) self->on_refused(error);
  };
  events.not_sent = [weak = weak_from_this()](const std::string& reply, Error error) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    std::optional<Requests::Done> done;
    {
      const std::lock_guard lock(self->mutex_);
      done = self->requests_.answered(reply);
    }
    if (done) (*done)(std::move(error));
  };
  link_->start(std::move(events));
}

void Queue::end() {
  After after;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    for (std::string& ack : leases_.take_all()) {
      after.messages.push_back(word(std::move(ack), nak(Duration(0))));
    }
  }
  carry_out(std::move(after));
  fail_all(make_error(Errc::closed));
  link_->stop();
  // The timer ends where it runs.
  post(world_.shard(0), [self = shared_from_this()] { self->timer_.cancel(); });
}

void Queue::carry_out(After after) {
  for (Message& message : after.messages) link_->publish(std::move(message));
  for (auto& call : after.calls) call();
}

void Queue::wake_at(TimePoint at) {
  {
    const std::lock_guard lock(mutex_);
    if (at >= armed_ || ended_) return;
    armed_ = at;
  }
  post(world_.shard(0), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    TimePoint next;
    {
      const std::lock_guard lock(self->mutex_);
      if (self->ended_) return;
      next = self->armed_;
    }
    if (next == TimePoint::never()) return;
    self->timer_.start_at(next, [weak] {
      if (const auto due = weak.lock()) due->tick();
    });
  });
}

void Queue::tick() {
  After after;
  TimePoint next = TimePoint::never();
  bool room = false;
  bool set_up_now = false;
  {
    const std::lock_guard lock(mutex_);
    armed_ = TimePoint::never();
    const TimePoint at = now();
    after.messages = requests_.due(at);
    for (auto& done : requests_.expired(at)) {
      after.calls.emplace_back(
          [done = std::move(done), error = gone_error()]() mutable { done(std::move(error)); });
    }
    auto due = leases_.due(at);
    for (std::string& ack : due.renew) {
      after.messages.push_back(word(std::move(ack), "+WPI"));
    }
    for (std::string& ack : due.give_back) {
      after.messages.push_back(word(std::move(ack), nak(Duration(0))));
    }
    for (const std::uint64_t item : due.bury) {
      after.calls.emplace_back([self = shared_from_this(), item] { self->bury(item); });
    }
    tick_receivers(at, after);
    expire_line(at, after);
    room = ask_for_room_ <= at;
    if (room) ask_for_room_ = TimePoint::never();
    set_up_now = set_up_again_ <= at;
    if (set_up_now) set_up_again_ = TimePoint::never();
    next = std::min({requests_.next_change(), leases_.next_change(), ask_for_room_, set_up_again_});
    for (const auto& [number, each] : receivers_) {
      // Who has heard nothing is patient beyond its own time.
      const TimePoint over = each->heard ? each->until : each->until + nats_.operation_timeout;
      next = std::min({next, over, each->guard});
    }
    for (const SendingPtr& each : line_) {
      if (each->until > at) next = std::min(next, each->until);
    }
  }
  carry_out(std::move(after));
  if (room) next_in_line();
  if (set_up_now) set_up();
  wake_at(next);
}

Error Queue::gone_error() const {
  if (nobody_answers_) {
    return velo::make_error(velo::Errc::unsupported, "the NATS server answers, but no JetStream");
  }
  return velo::make_error(velo::Errc::deadline_exceeded, "no NATS server answered in time");
}

void Queue::on_arrived(Message message) {
  const std::string_view subject = message.subject;
  // Items come under the subject that they were sent to.
  const bool answer = subject.starts_with(link_->inbox());
  if (!answer || subject.substr(link_->inbox().size()).starts_with(".p")) {
    After after;
    bool look = false;
    {
      const std::lock_guard lock(mutex_);
      if (answer) {
        pull_answered(message, after, look);
      } else {
        item_arrived(std::move(message), after);
      }
    }
    carry_out(std::move(after));
    if (look) inspect();
    return wake_at(now());
  }
  std::optional<Requests::Done> done;
  bool look = false;
  {
    const std::lock_guard lock(mutex_);
    const Requests::Request* asked = requests_.asked(subject);
    if (asked == nullptr) return;
    constexpr int nobody = 503;
    const bool item = asked->item;
    if (message.status == nobody && requests_.ask_again(subject, now() + nobody_pause)) {
      if (!item) nobody_answers_ = true;
      look = item;
    } else {
      nobody_answers_ = false;
      done = requests_.answered(subject);
    }
  }
  if (!done) {
    if (look) inspect();
    return wake_at(now() + nobody_pause);
  }
  (*done)(std::move(message));
}

void Queue::on_connected() {
  After after;
  bool set_up_now = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    const TimePoint at = now();
    after.messages = requests_.send_all(at);
    set_up_now = !ready_ && !setting_up_ && !broken_;
    if (set_up_now) setting_up_ = true;
    if (ready_) {
      for (auto& [number, receiver] : receivers_) pull(number, *receiver, Phase::now, after);
    }
  }
  carry_out(std::move(after));
  if (set_up_now) set_up();
  wake_at(now());
}

void Queue::on_refused(const Error& error) { fail_all(error); }

void Queue::fail_all(const Error& error) {
  std::vector<Requests::Done> requests;
  std::map<std::uint64_t, ReceiverPtr> receivers;
  std::list<SendingPtr> line;
  {
    const std::lock_guard lock(mutex_);
    requests = requests_.take_all();
    receivers.swap(receivers_);
    line.swap(line_);
  }
  for (auto& done : requests) done(error);
  for (auto& [number, receiver] : receivers) receiver->promise.set(error);
  for (const SendingPtr& sending : line) sending->promise.set(error);
}

void Queue::ask(Requests::Request request) {
  std::optional<Message> message;
  std::optional<Error> refused;
  const TimePoint at = now();
  const TimePoint until = request.until;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) {
      refused = make_error(Errc::closed);
    } else if (broken_ && !request.first) {
      refused = broken_;
    } else if (const auto number = requests_.add(request)) {
      message = requests_.send(*number, at);
    } else {
      refused = velo::make_error(velo::Errc::overloaded, "too much waits for the NATS server");
    }
  }
  if (refused) return request.done(std::move(*refused));
  if (message) link_->publish(std::move(*message));
  wake_at(std::min(until, at + limits::nats_repeat_every));
}

void Queue::ask_api(std::string subject, std::string body, TimePoint until, bool first,
                    Requests::Done done) {
  Requests::Request request;
  request.message.subject = std::move(subject);
  request.message.payload = Bytes::own(std::move(body));
  request.until = until;
  request.first = first;
  request.done = std::move(done);
  ask(std::move(request));
}

}  // namespace velo::queue::nats
