// SPDX-License-Identifier: Apache-2.0
// Ordered handlers and limits of concurrency: from the shard into a lane, from there to the pool.

#include "handler_queue.hpp"

#include "impl.hpp"
#include "inbound_call.hpp"
#include "meters.hpp"

#include <algorithm>

namespace velo::messenger {

LaneSet::Options HandlerQueue::options_of(const Handler& handler) {
  LaneSet::Options options;
  if (handler.max_concurrent() != 0) options.max_concurrent = handler.max_concurrent();
  options.max_depth = std::max<std::size_t>(handler.max_queue_depth(), 1);
  if (const auto& order = handler.order()) {
    options.lanes_max = limits::lanes_max;
    options.idle_ttl = std::max(order->idle_lane_ttl, Duration::zero());
    options.displace_oldest = order->overflow == LaneOverflow::displace_oldest;
  } else {
    // Without order all requests share one lane as wide as the limit.
    options.width = options.max_concurrent;
    options.idle_ttl = Duration::max();
  }
  return options;
}

HandlerQueue::HandlerQueue(Impl& impl, const Handler& handler)
    : impl_(impl),
      by_sender_(handler.order() && handler.order()->key == OrderedKey::sender),
      idle_ttl_(options_of(handler).idle_ttl),
      lanes_(options_of(handler)) {}

std::uint64_t HandlerQueue::key_of(const InboundCall& call) const noexcept {
  if (!by_sender_) return 0;
  const InstanceId& peer = call.link().peer;
  return (peer.valid() ? peer.worker_id() : call.request().id.requester()).value();
}

void HandlerQueue::submit(InboundCall* call) {
  const std::uint64_t key = key_of(*call);
  const TimePoint now = impl_.world().clock().now();
  LaneItem* displaced = nullptr;
  bool created = false;
  std::optional<Error> refusal;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      refusal = make_error(Errc::shutting_down);
    } else {
      const LaneSet::Entered entered = lanes_.enter(key, *call, now);
      displaced = entered.displaced;
      created = entered.created;
      if (displaced != nullptr || entered.admission != LaneSet::Admission::queued) {
        impl_.calls().ledger().incidents.count(Incident::lane_shed);
      }
      if (entered.admission == LaneSet::Admission::lane_full) {
        refusal = make_error(Errc::overloaded, "too many requests wait for this handler");
      } else if (entered.admission == LaneSet::Admission::too_many_lanes) {
        refusal = make_error(Errc::overloaded, "too many senders wait for this handler");
      }
    }
  }
  if (created && call->handler().order()) {
    if (const HandlerMeter* meter = call->handler().meter()) meter->lanes_created.add();
  }
  if (refusal) {
    call->reject(*refusal);
    return call->release();
  }
  if (displaced != nullptr) {
    auto* oldest = static_cast<InboundCall*>(displaced);
    oldest->reject(make_error(Errc::overloaded, "newer requests took its place"));
    oldest->release();
  }
  start_what_may_run();
}

void HandlerQueue::start_what_may_run() noexcept {
  for (;;) {
    LaneItem* item = nullptr;
    {
      const std::lock_guard lock(mutex_);
      item = lanes_.next();
    }
    if (item == nullptr) return;
    impl_.world().pool().post(
        Task0{[](void* argument) { run(static_cast<InboundCall*>(argument)); },
              static_cast<InboundCall*>(item)});
  }
}

void HandlerQueue::run(InboundCall* call) {
  if (!call->settled()) {
    // It keeps its place in the lane until its payload is here.
    if (call->payload_is_here()) call->impl().run_heap_call(call);
    return;
  }
  // Its caller gave up between the lane and here.
  call->handler_over();
  call->release();
}

bool HandlerQueue::reap_later() noexcept {
  if (reap_noted_ || !lanes_.any_idle() || idle_ttl_ == Duration::max()) return false;
  return reap_noted_ = true;
}

void HandlerQueue::dropped(InboundCall& call) noexcept {
  const TimePoint now = impl_.world().clock().now();
  bool reap = false;
  {
    const std::lock_guard lock(mutex_);
    if (!lanes_.remove(call, now)) return;
    reap = reap_later();
  }
  if (reap) impl_.note_deadline(now + idle_ttl_);
  call.release();
}

void HandlerQueue::finished(InboundCall& call) noexcept {
  const TimePoint now = impl_.world().clock().now();
  bool reap = false;
  {
    const std::lock_guard lock(mutex_);
    lanes_.finished(call, now);
    reap = reap_later();
  }
  if (reap) impl_.note_deadline(now + idle_ttl_);
  start_what_may_run();
}

void HandlerQueue::stop(const Error& reason) {
  std::vector<LaneItem*> waiting;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    waiting = lanes_.remove_all(impl_.world().clock().now());
  }
  for (LaneItem* item : waiting) {
    auto* call = static_cast<InboundCall*>(item);
    call->reject(reason);
    call->release();
  }
}

TimePoint HandlerQueue::reap(TimePoint now) {
  const std::lock_guard lock(mutex_);
  const TimePoint next = lanes_.reap(now);
  reap_noted_ = next != TimePoint::never();
  return next;
}

std::size_t HandlerQueue::queued() const {
  const std::lock_guard lock(mutex_);
  return lanes_.queued();
}

std::size_t HandlerQueue::lanes() const {
  const std::lock_guard lock(mutex_);
  return lanes_.lanes();
}

Result<void> Impl::register_handlers(std::vector<Handler> handlers, bool system) {
  std::vector<std::shared_ptr<HandlerQueue>> queues;
  for (Handler& handler : handlers) {
    if (!handler.order() && handler.max_concurrent() == 0) continue;
    queues.push_back(std::make_shared<HandlerQueue>(*this, handler));
    handler.set_queue(queues.back());
  }
  if (auto added = handlers_.add(std::move(handlers), system); !added) return added;
  if (!system) meter_new(nullptr);
  {
    const std::lock_guard lock(queues_mutex_);
    queues_.insert(queues_.end(), queues.begin(), queues.end());
  }
  if (stopped_.load(std::memory_order_seq_cst)) {
    for (const auto& queue : queues) queue->stop(make_error(Errc::shutting_down));
  }
  return {};
}

std::vector<std::shared_ptr<HandlerQueue>> Impl::handler_queues() const {
  const std::lock_guard lock(queues_mutex_);
  return queues_;
}

TimePoint Impl::reap_lanes(TimePoint now) {
  TimePoint next = TimePoint::never();
  for (const auto& queue : handler_queues()) next = std::min(next, queue->reap(now));
  return next;
}

}  // namespace velo::messenger
