// SPDX-License-Identifier: Apache-2.0
// Sending items, and the line of those for which there is no room.

#include "nats_queue.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace velo::queue::nats {
namespace nats_send_detail {

static std::string random_id(Random& random) {
  const std::uint64_t high = random.next();
  const std::uint64_t low = random.next();
  return fmt::format("{:016x}{:016x}", high, low);
}

static Error stayed_full() {
  return velo::make_error(velo::Errc::deadline_exceeded, "the queue stayed full");
}

}  // namespace nats_send_detail

using namespace nats_send_detail;  // NOLINT(google-build-using-namespace)

Op<Receipt> Queue::send(Bytes payload, SendOptions options) {
  if (auto right = check_item(payload, options); !right) return ended<Receipt>(right.error());
  // It would wait for ever.
  if (payload.size() > options_.bytes_max) {
    return ended<Receipt>(make_error(Errc::too_large, "larger than the queue"));
  }
  auto sending = std::make_shared<Sending>(world_.pool());
  sending->own_id = options.id.empty();
  sending->id = sending->own_id ? random_id(world_.random()) : options.id;
  sending->payload = std::move(payload);
  const Duration timeout = std::clamp(options.timeout, Duration(0), Duration(limits::wait_max));
  sending->until = now() + timeout;
  sending->given_up = sending->until + nats_.operation_timeout;
  const std::stop_token stop = options.stop;
  sending->options = std::move(options);
  sending->promise.on_cancel([weak = weak_from_this(), at = std::weak_ptr(sending)]() noexcept {
    const auto self = weak.lock();
    const auto cancelled = at.lock();
    if (self != nullptr && cancelled != nullptr) self->cancel_send(cancelled);
  });
  Op<Receipt> op = sending->promise.op();
  After after;
  bool wait = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || ended_) {
      sending->promise.set(make_error(Errc::closed));
      return op;
    }
    // Whoever waits for room was here before.
    wait = !line_.empty();
    if (wait) stand_in_line(sending, after);
  }
  if (stop.stop_possible()) {
    sending->stop =
        std::make_unique<StopHook>(stop, [weak = weak_from_this(), at = std::weak_ptr(sending)] {
          const auto self = weak.lock();
          const auto cancelled = at.lock();
          if (self != nullptr && cancelled != nullptr) self->cancel_send(cancelled);
        });
  }
  carry_out(std::move(after));
  if (wait) {
    wake_at(sending->until);
  } else if (!sending->promise.ended()) {
    attempt(std::move(sending), false);
  }
  return op;
}

void Queue::cancel_send(const SendingPtr& sending) {
  drop_from_line(sending);
  sending->promise.set(velo::make_error(velo::Errc::cancelled));
}

void Queue::attempt(SendingPtr sending, bool from_line) {
  Requests::Request request;
  request.message = item_message(names_, sending->id, sending->payload, sending->options);
  request.until = sending->given_up;
  request.item = true;
  request.done = [self = shared_from_this(), sending, from_line](Result<Message> answer) {
    self->on_sent(sending, from_line, std::move(answer));
  };
  ask(std::move(request));
}

void Queue::on_sent(const SendingPtr& sending, bool from_line, Result<Message> answer) {
  Result<Receipt> result = velo::make_error(velo::Errc::internal);
  bool full = false;
  if (!answer) {
    result = answer.error();
  } else if (const auto stored = read_stored(answer->payload.text()); !stored) {
    result = stored.error();
  } else if (*stored) {
    // Its repetition met the first one.
    result = Receipt{sending->id, (*stored)->duplicate && !sending->own_id};
  } else {
    full = is_full(stored->error());
    result = error_of(stored->error(), "sending");
  }
  After after;
  bool waits = false;
  {
    const std::lock_guard lock(mutex_);
    if (from_line) asking_for_room_ = false;
    if (result && result->duplicate) ++counts_.duplicates;
    if (full && options_.overflow == Overflow::block && !sending->promise.ended() && !ended_) {
      waits = sending->until > now();
      if (!waits) result = stayed_full();
    }
    if (full && !waits) ++counts_.rejected;
    if (waits && !from_line) stand_in_line(sending, after);
    if (!waits && from_line) line_.remove(sending);
    if (full && !line_.empty()) ask_for_room_ = now() + limits::nats_room_pause;
  }
  carry_out(std::move(after));
  if (full) wake_at(std::min(sending->until, now() + limits::nats_room_pause));
  if (waits) return;
  sending->promise.set(std::move(result));
  if (from_line && !full) next_in_line();
}

void Queue::stand_in_line(const SendingPtr& sending, After& after) {
  if (line_.size() < limits::waiting_max) {
    line_.push_back(sending);
    return;
  }
  ++counts_.rejected;
  after.calls.emplace_back([sending] {
    sending->promise.set(velo::make_error(velo::Errc::overloaded, "too many wait for room"));
  });
}

void Queue::next_in_line() {
  SendingPtr first;
  {
    const std::lock_guard lock(mutex_);
    if (asking_for_room_ || line_.empty()) return;
    asking_for_room_ = true;
    first = line_.front();
  }
  attempt(std::move(first), true);
}

void Queue::drop_from_line(const SendingPtr& sending) {
  const std::lock_guard lock(mutex_);
  line_.remove(sending);
}

void Queue::expire_line(TimePoint at, After& after) {
  for (auto each = line_.begin(); each != line_.end();) {
    // The first one's answer is on its way, and decides.
    const bool asked = asking_for_room_ && each == line_.begin();
    if ((*each)->until > at || asked) {
      ++each;
      continue;
    }
    ++counts_.rejected;
    after.calls.emplace_back([sending = *each] { sending->promise.set(stayed_full()); });
    each = line_.erase(each);
  }
}

}  // namespace velo::queue::nats
