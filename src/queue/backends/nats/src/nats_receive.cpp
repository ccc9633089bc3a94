// SPDX-License-Identifier: Apache-2.0
// Receivers: first they ask for what is there, then for one item to come, in rounds.

#include "nats_queue.hpp"

#include <algorithm>
#include <charconv>

namespace velo::queue::nats {
namespace nats_receive_detail {

/// What a round may take beyond what it waits for, before it is asked for again.
constexpr Duration round_grace = std::chrono::seconds(2);
/// Items came, and the server has not said that these were all.
constexpr Duration last_item_grace = std::chrono::milliseconds(250);
/// After an answer that will be the same when asked at once.
constexpr Duration refused_pause = std::chrono::milliseconds(250);

constexpr int no_items = 404;
constexpr int time_over = 408;

/// "NUMBER-ROUND" after the inbox and ".p".
static std::optional<std::pair<std::uint64_t, std::uint64_t>> asked_by(std::string_view text) {
  std::uint64_t number = 0;
  std::uint64_t round = 0;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto first = std::from_chars(begin, end, number);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return {};
  const auto second = std::from_chars(first.ptr + 1, end, round);
  if (second.ec != std::errc() || second.ptr != end) return {};
  return std::pair(number, round);
}

}  // namespace nats_receive_detail

using namespace nats_receive_detail;  // NOLINT(google-build-using-namespace)

Op<Batch> Queue::receive(const ReceiveOptions& options) {
  const Duration wait = std::clamp(options.wait, Duration(0), Duration(limits::wait_max));
  auto receiver = std::make_shared<Receiver>(options, now() + wait, world_.pool());
  receiver->options.batch = std::clamp<std::size_t>(options.batch, 1, limits::batch_max);
  std::uint64_t number = 0;
  After after;
  std::optional<Error> refused;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) {
      refused = make_error(Errc::closed);
    } else if (broken_) {
      refused = broken_;
    } else if (receivers_.size() >= limits::waiting_max) {
      refused = velo::make_error(velo::Errc::overloaded, "too many wait for items");
    } else {
      number = next_receiver_++;
    }
  }
  if (refused) return ended<Batch>(std::move(*refused));
  receiver->promise.on_cancel([weak = weak_from_this(), number]() noexcept {
    if (const auto self = weak.lock()) self->cancel_receive(number);
  });
  Op<Batch> op = receiver->promise.op();
  {
    const std::lock_guard lock(mutex_);
    receivers_.emplace(number, receiver);
    if (ready_) pull(number, *receiver, Phase::now, after);
  }
  carry_out(std::move(after));
  if (options.stop.stop_possible()) {
    auto hook = std::make_unique<StopHook>(options.stop, [weak = weak_from_this(), number] {
      if (const auto self = weak.lock()) self->cancel_receive(number);
    });
    const std::lock_guard lock(mutex_);
    // Whoever ends it takes it out first, so it is there or of no use.
    if (receivers_.contains(number)) receiver->stop = std::move(hook);
  }
  wake_at(std::min(receiver->until, now() + round_grace));
  return op;
}

void Queue::cancel_receive(std::uint64_t number) {
  After after;
  {
    const std::lock_guard lock(mutex_);
    complete(number, velo::make_error(velo::Errc::cancelled), after);
  }
  carry_out(std::move(after));
}

void Queue::pull(std::uint64_t number, Receiver& receiver, Phase phase, After& after) {
  const TimePoint at = now();
  constexpr Duration least = std::chrono::milliseconds(1);
  Duration wait{0};
  if (phase == Phase::waiting) {
    wait = std::clamp<Duration>(receiver.until - at, least, limits::nats_pull_max);
  }
  receiver.phase = phase;
  receiver.guard = at + wait + round_grace;
  ++receiver.round;
  Message message;
  message.subject = names_.next();
  message.reply =
      link_->inbox() + ".p" + std::to_string(number) + "-" + std::to_string(receiver.round);
  // One to come; what came with it is there the next time.
  const std::size_t batch =
      phase == Phase::waiting ? 1 : receiver.options.batch - receiver.collected.size();
  message.payload = Bytes::own(pull_request(batch, wait));
  after.messages.push_back(std::move(message));
}

void Queue::pull_answered(const Message& message, After& after, bool& look) {
  const auto asked = asked_by(std::string_view(message.subject).substr(link_->inbox().size() + 2));
  if (!asked) return;
  const auto [number, round] = *asked;
  const auto found = receivers_.find(number);
  if (found == receivers_.end() || found->second->round != round) return;
  const ReceiverPtr receiver = found->second;
  round_ends(number, receiver, message.status, after, look);
}

void Queue::round_ends(std::uint64_t number, const ReceiverPtr& receiver, int status, After& after,
                       bool& look) {
  if (!receiver->collected.empty()) {
    return complete(number, std::exchange(receiver->collected, {}), after);
  }
  const TimePoint at = now();
  const bool regular = status == no_items || status == time_over;
  if (regular || receiver->phase == Phase::now) receiver->heard = true;
  if (!regular && receiver->phase == Phase::waiting) {
    // It was deleted, is shutting down, or nobody is there.
    look = true;
    receiver->guard = at + refused_pause;
    return;
  }
  constexpr int nobody = 503;
  if (status == nobody) {
    receiver->heard = false;
    look = true;
    receiver->guard = at + refused_pause;
    return;
  }
  // In a closed queue there is none to come, perhaps.
  look = look || closed_ || receiver->phase == Phase::waiting;
  if (receiver->until <= at) return complete(number, Batch(), after);
  pull(number, *receiver, Phase::waiting, after);
}

bool Queue::keep_back(const Item& item, const Delivered& delivered, const Message& message,
                      After& after) {
  if (item.delay.count() <= 0) return false;
  const Duration age(world_.clock().wall_now().unix_nanoseconds -
                     delivered.stored.unix_nanoseconds);
  const Duration left = item.delay - std::max(age, Duration(0));
  if (left.count() <= 0) return false;
  after.messages.push_back(word(message.reply, nak(left)));
  return true;
}

void Queue::item_arrived(Message message, After& after) {
  const auto delivered = read_ack_subject(message.reply);
  if (!delivered || ended_) return;
  Item item = read_item(message, *delivered);
  // It does not say which round it is of: there is one for each receiver.
  const auto found = std::ranges::find_if(
      receivers_, [](const auto& each) { return each.second->phase != Phase::before; });
  const ReceiverPtr receiver = found != receivers_.end() ? found->second : nullptr;
  const std::uint64_t number = receiver != nullptr ? found->first : 0;
  if (keep_back(item, *delivered, message, after)) {
    // The round has had it, and says nothing more.
    if (receiver != nullptr) receiver->guard = now();
    return;
  }
  // Being kept back counted as a delivery, there.
  const std::uint64_t held_back = item.delay.count() > 0 && delivered->deliveries > 1 ? 1 : 0;
  const std::uint64_t deliveries = delivered->deliveries - held_back;
  const bool mortal = options_.dead_letters != nullptr;
  const bool dead = mortal && deliveries > options_.deliveries_max;
  if (receiver == nullptr && !dead) {
    after.messages.push_back(word(message.reply, nak(Duration(0))));
    return;
  }
  Leases::Held held;
  held.ack = message.reply;
  held.token = world_.secret_random().next();
  held.last = mortal && deliveries >= options_.deliveries_max;
  const auto shown = static_cast<std::uint32_t>(std::min<std::uint64_t>(deliveries, UINT32_MAX));
  if (held.last) {
    held.letter.source = "queue:" + name_;
    held.letter.id = item.id;
    held.letter.payload = message.payload;
    for (const auto& [name, value] : item.headers) held.letter.headers.emplace(name, value);
    held.letter.deliveries = std::min(shown, options_.deliveries_max);
  }
  Delivery delivery{Lease{delivered->sequence, held.token}, std::move(item.id),
                    std::move(message.payload), std::move(item.headers), shown};
  const TimePoint at = now();
  Duration visibility = options_.visibility;
  if (receiver != nullptr && receiver->options.visibility.count() > 0) {
    visibility = std::min<Duration>(receiver->options.visibility, limits::wait_max);
  }
  leases_.add(at, delivered->sequence, std::move(held), visibility);
  if (dead) return leases_.die(at, delivered->sequence, "its receivers vanished");
  if (deliveries > 1) ++counts_.redelivered;
  receiver->collected.push_back(std::move(delivery));
  const bool enough = receiver->collected.size() >= receiver->options.batch;
  if (enough || receiver->phase == Phase::waiting) {
    return complete(number, std::exchange(receiver->collected, {}), after);
  }
  receiver->guard = at + last_item_grace;
}

void Queue::complete(std::uint64_t number, Result<Batch> result, After& after) {
  const auto found = receivers_.find(number);
  if (found == receivers_.end()) return;
  ReceiverPtr receiver = std::move(found->second);
  receivers_.erase(found);
  return_leases(receiver->collected, after);
  after.calls.emplace_back([self = shared_from_this(), receiver = std::move(receiver),
                            result = std::move(result)]() mutable {
    const Batch batch = result ? *result : Batch();
    if (receiver->promise.set(std::move(result)) || batch.empty()) return;
    // It was cancelled meanwhile.
    After back;
    {
      const std::lock_guard lock(self->mutex_);
      self->return_leases(batch, back);
    }
    self->carry_out(std::move(back));
  });
}

void Queue::return_leases(const Batch& batch, After& after) {
  for (const Delivery& delivery : batch) {
    if (auto held = leases_.take(now(), delivery.lease)) {
      after.messages.push_back(word(std::move(held->ack), nak(Duration(0))));
    }
  }
}

void Queue::tick_receivers(TimePoint at, After& after) {
  std::vector<std::uint64_t> numbers;
  numbers.reserve(receivers_.size());
  for (const auto& [number, receiver] : receivers_) numbers.push_back(number);
  for (const std::uint64_t number : numbers) {
    const ReceiverPtr receiver = receivers_.find(number)->second;
    const bool guarded = receiver->guard <= at;
    if (!receiver->collected.empty()) {
      if (guarded) complete(number, std::exchange(receiver->collected, {}), after);
    } else if (receiver->heard && receiver->until <= at) {
      complete(number, Batch(), after);
    } else if (receiver->until + nats_.operation_timeout <= at) {
      complete(number, gone_error(), after);
    } else if (guarded && ready_) {
      pull(number, *receiver, receiver->heard ? Phase::waiting : Phase::now, after);
    }
  }
}

}  // namespace velo::queue::nats
