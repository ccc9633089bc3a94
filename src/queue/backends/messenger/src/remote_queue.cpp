// SPDX-License-Identifier: Apache-2.0
// A queue of another node.

#include <velo/queue/backends/messenger.hpp>

#include "queue_messages.hpp"

#include <velo/base/world.hpp>

#include <fmt/format.h>

#include <optional>
#include <stop_token>
#include <utility>

namespace velo::queue {
namespace remote_queue_detail {

/// What a request may take beyond what it waits for at the host.
constexpr Duration travel = std::chrono::seconds(10);

static std::int64_t micros(Duration value) noexcept {
  return std::chrono::duration_cast<std::chrono::microseconds>(value).count();
}

static std::string random_id(Random& random) {
  const std::uint64_t high = random.next();
  const std::uint64_t low = random.next();
  return fmt::format("{:016x}{:016x}", high, low);
}

/// How often a send is repeated: each waits for its connection as long as it may itself.
constexpr int attempts_max = 8;

/// Ends what `to` stops when somebody else stops.
struct Forward {
  std::stop_source to;
  void operator()() { to.request_stop(); }
};

/// As the contract names it.
static Error told(const Error& error) {
  if (!error.is(messenger::Errc::cancelled)) return error;
  return velo::make_error(velo::Errc::cancelled, error.context());
}

/// It may have been done, or not: whoever has no answer may ask again under the same id.
static bool lost_on_the_way(const Error& error) noexcept {
  return error.is(messenger::Errc::connection_lost) || error.is(messenger::Errc::not_sent);
}

static std::vector<Delivery> batch_of(wire::Answer answer) {
  std::vector<Delivery> batch;
  batch.reserve(answer.items.size());
  for (wire::Item& each : answer.items) {
    batch.push_back({Lease{each.item, each.token}, std::move(each.id), std::move(each.payload),
                     std::move(each.headers), each.deliveries});
  }
  return batch;
}

static QueueState state_of(const wire::Answer& answer) {
  const wire::Counts& counts = answer.counts;
  QueueState state;
  state.ready = counts.ready;
  state.leased = counts.leased;
  state.delayed = counts.delayed;
  state.bytes = counts.bytes;
  state.queued = counts.queued;
  state.acked = counts.acked;
  state.dead = counts.dead;
  state.duplicates = counts.duplicates;
  state.redelivered = counts.redelivered;
  state.rejected = counts.rejected;
  state.oldest = std::chrono::microseconds(counts.oldest_us);
  return state;
}

/// One send, repeated while its connections break.
struct Sending {
  Sending(Messenger& m, const InstanceId& h, Executor& executor)
      : messenger(m), host(h), promise(executor) {}
  Messenger& messenger;
  InstanceId host;
  wire::Request request;
  std::stop_source dropped;
  std::optional<std::stop_callback<Forward>> forwarded;
  TimePoint until;
  int attempts = 0;
  Promise<Receipt> promise;
};

static void attempt(std::shared_ptr<Sending> sending) {
  ++sending->attempts;
  const Duration left = sending->until - sending->messenger.world().clock().now();
  Messenger& messenger = sending->messenger;
  messenger.typed_unary<wire::Answer>(wire::handler)
      .payload(sending->request)
      .instance(sending->host)
      .timeout(left)
      .stop(sending->dropped.get_token())
      .send()
      .then(messenger.world().pool(), [sending](Result<wire::Answer> answer) mutable {
        if (answer) {
          sending->promise.set(Receipt{std::move(answer->id), answer->duplicate});
          return;
        }
        const bool again = lost_on_the_way(answer.error()) && sending->attempts < attempts_max &&
                           !sending->dropped.stop_requested() &&
                           sending->until > sending->messenger.world().clock().now();
        if (again) return attempt(std::move(sending));
        sending->promise.set(told(answer.error()));
      });
}

}  // namespace remote_queue_detail

using namespace remote_queue_detail;  // NOLINT(google-build-using-namespace)

class RemoteQueue final : public WorkQueue {
 public:
  RemoteQueue(Messenger& messenger, const InstanceId& host, std::string name)
      : messenger_(messenger), host_(host), name_(std::move(name)) {}

  Op<Receipt> send(Bytes payload, SendOptions options) override;
  Op<std::vector<Delivery>> receive(ReceiveOptions options) override;
  Op<void> ack(Lease lease) override { return settle(about(lease, "ack")); }
  Op<void> nack(Lease lease, Duration delay) override {
    wire::Request request = about(lease, "nack");
    request.delay_us = micros(delay);
    return settle(request);
  }
  Op<void> extend(Lease lease, Duration visibility) override {
    wire::Request request = about(lease, "extend");
    request.visibility_us = micros(visibility);
    return settle(request);
  }
  Op<QueueState> state() override {
    return ask<QueueState>(about({}, "state"), travel, {}, [](const wire::Answer& answer) {
      return Result<QueueState>(state_of(answer));
    });
  }
  Op<void> close() override { return settle(about({}, "close")); }

 private:
  wire::Request about(Lease lease, std::string what) const {
    wire::Request request;
    request.queue = name_;
    request.what = std::move(what);
    request.item = lease.item;
    request.token = lease.token;
    return request;
  }
  template <class T, class F>
  Op<T> ask(const wire::Request& request, Duration timeout, const std::stop_token& stop, F read);
  Op<void> settle(const wire::Request& request) {
    return ask<void>(request, travel, {},
                     [](const wire::Answer& /*answer*/) { return Result<void>(); });
  }

  Messenger& messenger_;
  const InstanceId host_;
  const std::string name_;
};

template <class T, class F>
Op<T> RemoteQueue::ask(const wire::Request& request, Duration timeout, const std::stop_token& stop,
                       F read) {
  auto promise = std::make_shared<Promise<T>>(messenger_.world().pool());
  std::stop_source dropped;
  promise->on_cancel([dropped]() mutable noexcept { dropped.request_stop(); });
  Op<T> op = promise->op();
  auto forwarded = std::make_unique<std::stop_callback<Forward>>(stop, Forward{dropped});
  messenger_.typed_unary<wire::Answer>(wire::handler)
      .payload(request)
      .instance(host_)
      .timeout(timeout)
      .stop(dropped.get_token())
      .send()
      .then(messenger_.world().pool(),
            [promise, read, forwarded = std::move(forwarded)](Result<wire::Answer> answer) {
              if (!answer) {
                promise->set(told(answer.error()));
              } else {
                promise->set(read(std::move(*answer)));
              }
            });
  return op;
}

Op<Receipt> RemoteQueue::send(Bytes payload, SendOptions options) {
  World& world = messenger_.world();
  auto sending = std::make_shared<Sending>(messenger_, host_, world.pool());
  wire::Request& request = sending->request;
  request = about({}, "send");
  request.id = options.id.empty() ? random_id(world.random()) : std::move(options.id);
  request.payload = std::move(payload);
  request.headers = std::move(options.headers);
  request.delay_us = micros(options.delay);
  request.timeout_us = micros(options.timeout);
  sending->until = world.clock().now() + options.timeout + travel;
  sending->promise.on_cancel(
      [dropped = sending->dropped]() mutable noexcept { dropped.request_stop(); });
  sending->forwarded.emplace(options.stop, Forward{sending->dropped});
  Op<Receipt> op = sending->promise.op();
  attempt(std::move(sending));
  return op;
}

Op<std::vector<Delivery>> RemoteQueue::receive(ReceiveOptions options) {
  wire::Request request = about({}, "receive");
  request.batch = options.batch;
  request.timeout_us = micros(options.wait);
  request.visibility_us = micros(options.visibility);
  return ask<std::vector<Delivery>>(
      request, options.wait + travel, options.stop, [](wire::Answer answer) {
        return Result<std::vector<Delivery>>(batch_of(std::move(answer)));
      });
}

std::shared_ptr<WorkQueue> make_remote_queue(Messenger& messenger, const InstanceId& host,
                                             std::string name) {
  return std::make_shared<RemoteQueue>(messenger, host, std::move(name));
}

}  // namespace velo::queue
