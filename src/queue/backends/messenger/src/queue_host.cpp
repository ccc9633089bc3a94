// SPDX-License-Identifier: Apache-2.0
// Serving queues: each request becomes an operation of the queue that it names.

#include <velo/queue/backends/messenger.hpp>

#include "queue_messages.hpp"

#include <velo/messenger/subsystem.hpp>
#include <velo/messenger/typed_body.hpp>

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace velo::queue {
namespace queue_host_detail {

static Duration micros(std::int64_t value) noexcept {
  constexpr auto most = std::chrono::duration_cast<std::chrono::microseconds>(limits::wait_max);
  return std::chrono::microseconds(std::clamp<std::int64_t>(value, 0, most.count()));
}

static Lease lease_of(const wire::Request& request) noexcept {
  return {request.item, request.token};
}

static wire::Answer answer_of(Receipt receipt) {
  wire::Answer answer;
  answer.id = std::move(receipt.id);
  answer.duplicate = receipt.duplicate;
  return answer;
}

static wire::Answer answer_of(std::vector<Delivery> batch) {
  wire::Answer answer;
  answer.items.reserve(batch.size());
  for (Delivery& each : batch) {
    answer.items.push_back({each.lease.item, each.lease.token, std::move(each.id),
                            std::move(each.payload), std::move(each.headers), each.deliveries});
  }
  return answer;
}

static wire::Answer answer_of(const QueueState& state) {
  wire::Answer answer;
  answer.counts = {state.ready,
                   state.leased,
                   state.delayed,
                   state.bytes,
                   state.queued,
                   state.acked,
                   state.dead,
                   state.duplicates,
                   state.redelivered,
                   state.rejected,
                   state.oldest.count() / 1000};
  return answer;
}

}  // namespace queue_host_detail

using namespace queue_host_detail;  // NOLINT(google-build-using-namespace)

class QueueHostState final : public messenger::Subsystem,
                             // why: requests that run use it until they end.
                             public std::enable_shared_from_this<QueueHostState> {
 public:
  explicit QueueHostState(World& world) : world_(world) {}

  std::string_view name() const noexcept override { return "queue"; }
  void on_drain() override { end_waits(); }
  void on_stop(const Error& /*reason*/) override { end_waits(); }

  void serve(Context context, HandlerDone done);
  Result<void> add(std::string name, std::shared_ptr<WorkQueue> queue);
  bool remove(std::string_view name);
  void remove_all();

 private:
  /// One request that runs: it has a stop of its own, for the caller and for a drain.
  struct Running {
    Running(Context c, HandlerDone d) : context(std::move(c)), done(std::move(d)) {}
    Context context;
    HandlerDone done;
    std::stop_source stop;
    struct Stop {
      std::stop_source source;
      void operator()() const { std::stop_source(source).request_stop(); }
    };
    std::optional<std::stop_callback<Stop>> when_caller_leaves;
    std::list<std::stop_source>::iterator place;
  };
  using RunningPtr = std::shared_ptr<Running>;

  std::shared_ptr<WorkQueue> find(std::string_view name);
  void start(RunningPtr running, WorkQueue& queue, wire::Request request);
  template <class T>
  void finish(Op<T> op, RunningPtr running);
  void end(Running& running, Result<wire::Answer> result);
  void end_waits();

  World& world_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<WorkQueue>, std::less<>> queues_;
  std::list<std::stop_source> running_;
  bool ending_ = false;
};

std::shared_ptr<WorkQueue> QueueHostState::find(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = queues_.find(name);
  return found == queues_.end() ? nullptr : found->second;
}

Result<void> QueueHostState::add(std::string name, std::shared_ptr<WorkQueue> queue) {
  if (name.empty() || queue == nullptr) {
    return velo::make_error(velo::Errc::invalid_argument, "a queue without a name, or none");
  }
  const std::lock_guard lock(mutex_);
  if (!queues_.emplace(name, std::move(queue)).second) {
    return velo::make_error(velo::Errc::already_exists, "queue \"" + name + "\"");
  }
  return {};
}

bool QueueHostState::remove(std::string_view name) {
  std::shared_ptr<WorkQueue> gone;
  const std::lock_guard lock(mutex_);
  const auto found = queues_.find(name);
  if (found == queues_.end()) return false;
  gone = std::move(found->second);
  queues_.erase(found);
  return true;
}

void QueueHostState::remove_all() {
  std::map<std::string, std::shared_ptr<WorkQueue>, std::less<>> gone;
  {
    const std::lock_guard lock(mutex_);
    gone.swap(queues_);
  }
  end_waits();
}

void QueueHostState::end_waits() {
  std::list<std::stop_source> waits;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    waits = running_;
  }
  for (std::stop_source& each : waits) each.request_stop();
}

void QueueHostState::serve(Context context, HandlerDone done) {
  const bool json = context.typed_bodies_are_json();
  auto request = messenger::decode_body<wire::Request>(context.payload_bytes(), json);
  if (!request) {
    return done(messenger::make_error(messenger::Errc::bad_request, request.error().to_string()));
  }
  const auto queue = find(request->queue);
  if (queue == nullptr) return done(make_error(Errc::unknown, "\"" + request->queue + "\""));
  auto running = std::make_shared<Running>(std::move(context), std::move(done));
  bool ending = false;
  {
    const std::lock_guard lock(mutex_);
    running->place = running_.insert(running_.end(), running->stop);
    ending = ending_;
  }
  running->when_caller_leaves.emplace(running->context.stop_token(), Running::Stop{running->stop});
  if (ending) running->stop.request_stop();
  start(std::move(running), *queue, std::move(*request));
}

void QueueHostState::start(RunningPtr running, WorkQueue& queue, wire::Request request) {
  if (request.what == "send") {
    SendOptions options;
    options.id = std::move(request.id);
    options.headers = std::move(request.headers);
    options.delay = micros(request.delay_us);
    options.timeout = micros(request.timeout_us);
    options.stop = running->stop.get_token();
    return finish(queue.send(std::move(request.payload), std::move(options)), std::move(running));
  }
  if (request.what == "receive") {
    ReceiveOptions options;
    options.batch =
        static_cast<std::size_t>(std::min<std::uint64_t>(request.batch, limits::batch_max));
    options.wait = micros(request.timeout_us);
    options.visibility = micros(request.visibility_us);
    options.stop = running->stop.get_token();
    return finish(queue.receive(options), std::move(running));
  }
  if (request.what == "ack") return finish(queue.ack(lease_of(request)), std::move(running));
  if (request.what == "nack") {
    return finish(queue.nack(lease_of(request), micros(request.delay_us)), std::move(running));
  }
  if (request.what == "extend") {
    return finish(queue.extend(lease_of(request), micros(request.visibility_us)),
                  std::move(running));
  }
  if (request.what == "state") return finish(queue.state(), std::move(running));
  if (request.what == "close") return finish(queue.close(), std::move(running));
  end(*running, messenger::make_error(messenger::Errc::bad_request,
                                      "a queue cannot \"" + request.what + "\""));
}

template <class T>
void QueueHostState::finish(Op<T> op, RunningPtr running) {
  // Not where the request arrived: an I/O shard's queue of completions is not for answers.
  std::move(op).then(world_.pool(), [self = shared_from_this(), running](Result<T> result) {
    if (!result) {
      const bool cut = result.error().is(velo::Errc::cancelled) &&
                       !running->context.stop_token().stop_requested();
      if (!cut) return self->end(*running, result.error());
      return self->end(*running, messenger::make_error(messenger::Errc::shutting_down,
                                                       "the queue's host is shutting down"));
    }
    if constexpr (std::is_void_v<T>) {
      self->end(*running, wire::Answer());
    } else {
      self->end(*running, answer_of(std::move(*result)));
    }
  });
}

void QueueHostState::end(Running& running, Result<wire::Answer> result) {
  running.when_caller_leaves.reset();
  {
    const std::lock_guard lock(mutex_);
    running_.erase(running.place);
  }
  if (!result) return running.done(result.error());
  running.done(std::optional<Bytes>(
      messenger::encode_body(*result, running.context.typed_bodies_are_json())));
}

Result<std::unique_ptr<QueueHost>> QueueHost::create(Messenger& messenger) {
  auto state = std::make_shared<QueueHostState>(messenger.world());
  if (auto attached = messenger::attach(messenger, state, {}); !attached) return attached.error();
  auto registered = messenger.register_handler(
      Handler::Builder(
          std::string(wire::handler), HandlerKind::unary,
          Handler::Async([weak = std::weak_ptr(state)](Context context, HandlerDone done) {
            const auto alive = weak.lock();
            if (alive == nullptr) return done(make_error(Errc::unknown));
            alive->serve(std::move(context), std::move(done));
          }))
          .inline_()
          .build());
  if (!registered) return registered.error();
  return std::make_unique<QueueHost>(std::move(state));
}

QueueHost::QueueHost(std::shared_ptr<QueueHostState> state) noexcept : state_(std::move(state)) {}
QueueHost::~QueueHost() { state_->remove_all(); }

Result<void> QueueHost::serve(std::string name, std::shared_ptr<WorkQueue> queue) {
  return state_->add(std::move(name), std::move(queue));
}
bool QueueHost::withdraw(std::string_view name) { return state_->remove(name); }

}  // namespace velo::queue
