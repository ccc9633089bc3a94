// SPDX-License-Identifier: Apache-2.0
// The messenger as its operator sees it.

#include "watching.hpp"

#include "handler_queue.hpp"
#include "impl.hpp"
#include "request_window.hpp"
#include "waiting_send.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace velo {

Duration latency_percentile(const LatencyBuckets& counts, double percent) noexcept {
  std::uint64_t all = 0;
  for (const LatencyBucket& bucket : counts) all += bucket.count;
  const double wanted = static_cast<double>(all) * percent / 100;
  std::uint64_t seen = 0;
  for (const LatencyBucket& bucket : counts) {
    seen += bucket.count;
    if (static_cast<double>(seen) >= wanted) {
      return Duration(static_cast<std::int64_t>(
          std::min<std::uint64_t>(bucket.at_most_ns, static_cast<std::uint64_t>(INT64_MAX))));
    }
  }
  return Duration::zero();
}

LatencyBuckets latencies_since(const LatencyBuckets& before, const LatencyBuckets& now) {
  LatencyBuckets fresh;
  auto old = before.begin();
  for (const LatencyBucket& bucket : now) {
    while (old != before.end() && old->at_most_ns < bucket.at_most_ns) ++old;
    const bool same = old != before.end() && old->at_most_ns == bucket.at_most_ns;
    const std::uint64_t was = same ? old->count : 0;
    if (bucket.count > was) fresh.emplace_back(bucket.at_most_ns, bucket.count - was);
  }
  return fresh;
}

namespace messenger {
namespace watching_detail {

static const char* name_of(DrainPhase phase) noexcept {
  switch (phase) {
    case DrainPhase::serving: return "serving";
    case DrainPhase::draining: return "draining";
    case DrainPhase::flushing: return "flushing";
    case DrainPhase::closed: return "closed";
  }
  return "closed";
}

static PeerWatch& of(NodeWatch& watch, const InstanceId& peer) {
  const auto place = std::ranges::lower_bound(watch.peers, peer, {}, &PeerWatch::peer);
  if (place != watch.peers.end() && place->peer == peer) return *place;
  PeerWatch fresh;
  fresh.peer = peer;
  return *watch.peers.insert(place, std::move(fresh));
}

static ShutdownPolicy policy_of(const DrainRequest& request) noexcept {
  ShutdownPolicy policy;
  policy.patience = std::clamp(Duration(request.patience_ns), Duration::zero(),
                               limits::remote_drain_patience_max);
  policy.wait_for_own_calls = request.wait_for_own_calls;
  return policy;
}

/// Answers once the wait is over: the connection that the answer takes closes after that.
static void drain(Impl& impl, const Context& context, HandlerDone done) {
  const bool json = context.typed_bodies_are_json();
  auto request = decode_body<DrainRequest>(context.payload(), json);
  if (!request) return done(make_error(Errc::bad_request, request.error().to_string()));
  auto answer = std::make_shared<HandlerDone>(std::move(done));
  const bool first = impl.tell_of_drain([answer, json](const DrainReport& report) {
    (*answer)(std::optional<Bytes>(encode_body(report, json)));
  });
  if (!first) {
    return (*answer)(velo::make_error(velo::Errc::already_exists, "it is draining already"));
  }
  impl.shutdown(policy_of(*request)).then([](const Result<void>&) {});
}

}  // namespace watching_detail

void Watching::register_handlers(Impl& impl) {
  const auto own = [&impl](Handler handler) {
    (void)impl.handlers().add(std::move(handler), true);
  };
  own(Handler::typed_unary("_watch", [&impl](TypedContext<Nothing>&) { return look(impl); })
          .inline_()
          .build());
  own(Handler::Builder("_drain", HandlerKind::unary,
                       Handler::Async([&impl](Context context, HandlerDone done) {
                         watching_detail::drain(impl, context, std::move(done));
                       }))
          .build());
}

NodeWatch Watching::look(const Impl& impl) {
  NodeWatch watch;
  const TimePoint now = impl.world_.clock().now();
  watch.instance = impl.self_.instance_id;
  watch.at_ns = now.nanoseconds();
  watch.phase = watching_detail::name_of(impl.drain_state().phase);
  watch.books = impl.books();
  const MemoryUse memory = impl.memory_->use();
  watch.memory_used = memory.used;
  watch.memory_max = memory.bytes_max;
  watch.memory_refused = memory.refused;
  look_at_peers(impl, watch);
  look_at_links(impl, watch, now);
  look_at_calls(impl, watch, now);
  watch.calls = impl.calls_->ledger().call_times.counts();
  watch.requests = impl.calls_->ledger().request_times.counts();
  return watch;
}

void Watching::look_at_peers(const Impl& impl, NodeWatch& watch) {
  std::vector<std::shared_ptr<Peer>> peers;
  {
    const std::shared_lock lock(impl.peers_mutex_);
    for (const auto& [id, peer] : impl.by_instance_) peers.push_back(peer);
  }
  watch.known_peers = peers.size();
  for (const auto& queue : impl.handler_queues()) {
    watch.lanes += queue->lanes();
    watch.lane_depth += queue->queued();
  }
  for (const auto& peer : peers) {
    const std::lock_guard lock(peer->mutex);
    watching_detail::of(watch, peer->info.instance_id).queued_sends += peer->pending.size();
  }
}

void Watching::look_at_links(const Impl& impl, NodeWatch& watch, TimePoint now) {
  std::vector<std::shared_ptr<Link>> links;
  {
    const std::lock_guard lock(impl.links_mutex_);
    for (const auto& [serial, link] : impl.links_) links.push_back(link);
  }
  std::ranges::sort(links, {}, [](const auto& link) { return link->serial(); });
  for (const auto& link : links) {
    const auto running = link->inbound(now);
    const std::int64_t age = running.oldest.count();
    watch.oldest_request_ns = std::max(watch.oldest_request_ns, age);
    if (link == impl.self_link_) continue;
    ++watch.connections;
    const std::uint64_t queued = link->connection().queued();
    watch.queued_bytes += queued;
    if (!link->identity().instance.valid()) continue;
    PeerWatch& peer = watching_detail::of(watch, link->identity().instance);
    peer.transports.emplace_back(link->connection().transport_key());
    peer.queued_bytes += queued;
    peer.running += running.count;
    if (link->window != nullptr) peer.queued_sends += link->window->held();
  }
}

void Watching::look_at_calls(const Impl& impl, NodeWatch& watch, TimePoint now) {
  TimePoint oldest = now;
  impl.calls_->for_each_live([&](CallSlot& slot, std::uint64_t /*generation*/) {
    if (slot.system) return;
    oldest = std::min(oldest, TimePoint(Duration(slot.began_ns.load(std::memory_order_relaxed))));
  });
  {
    const std::lock_guard lock(impl.waiting_mutex_);
    for (const auto& waiting : impl.waiting_) {
      if (waiting->claimed()) continue;
      ++watch.waiting_sends;
      oldest = std::min(oldest, waiting->began);
    }
  }
  watch.oldest_call_ns = (now - oldest).count();
}

Op<NodeWatch> Watching::ask(Impl& impl, const InstanceId& peer, Duration timeout) {
  CallSpec spec;
  spec.impl = &impl;
  spec.pattern = Pattern::unary;
  spec.system = true;
  spec.typed = true;
  spec.handler = "_watch";
  spec.has_instance = true;
  spec.instance = peer;
  spec.timeout = timeout;
  return {start(spec), &decode_reply<NodeWatch>};
}

Op<DrainReport> Watching::drain(Impl& impl, const InstanceId& peer, const ShutdownPolicy& policy) {
  DrainRequest request;
  request.patience_ns = policy.patience.count();
  request.wait_for_own_calls = policy.wait_for_own_calls;
  CallSpec spec;
  spec.impl = &impl;
  spec.pattern = Pattern::unary;
  spec.system = true;
  spec.typed = true;
  spec.handler = "_drain";
  spec.payload = encode_body(request, false);
  spec.has_instance = true;
  spec.instance = peer;
  spec.timeout = policy.patience + limits::hello_timeout;
  return {start(spec), &decode_reply<DrainReport>};
}

Op<void> Watching::closed(Impl& impl) {
  DrainProgress& drain = impl.drain_;
  auto promise = std::make_shared<Promise<void>>(impl.world_.pool());
  Op<void> op = promise->op();
  {
    const std::lock_guard lock(drain.mutex);
    if (!drain.all_closed.load(std::memory_order_acquire)) {
      if (drain.closed.size() < limits::drain_watchers_max) {
        drain.closed.push_back(std::move(promise));
        return op;
      }
      promise->set(velo::make_error(velo::Errc::overloaded, "too many wait for the end"));
      return op;
    }
  }
  promise->set({});
  return op;
}

}  // namespace messenger
}  // namespace velo
