// SPDX-License-Identifier: Apache-2.0
// Anchors, attaching, and the messenger's word.

#include "hub.hpp"

#include "attach_message.hpp"

#include <velo/base/check.hpp>

#include <algorithm>
#include <utility>

namespace velo::streaming {
namespace hub_detail {

static Handler attach_handler(std::weak_ptr<Hub> hub, std::string name,
                              Result<Bytes> (Hub::*answer)(Context&, bool), bool many) {
  return Handler::unary_handler(
             std::move(name),
             [hub = std::move(hub), answer, many](Context& context) {
               const auto self = hub.lock();
               if (self == nullptr) {
                 return Result<Bytes>(velo::make_error(velo::Errc::shutting_down));
               }
               return ((*self).*answer)(context, many);
             })
      .inline_()
      .build();
}

}  // namespace hub_detail

Hub::Hub(Messenger& messenger, StreamingOptions options)
    : messenger_(messenger),
      shared_(messenger::share(messenger)),
      self_id_(messenger.instance_id()),
      world_(messenger.world()),
      options_(options),
      memory_(messenger::budget_of(messenger)) {}

Result<std::shared_ptr<Hub>> Hub::attach_to(Messenger& messenger, StreamingOptions options) {
  for (;;) {
    if (auto there = messenger::subsystem_of(messenger, "streaming")) {
      return std::static_pointer_cast<Hub>(std::move(there));
    }
    std::shared_ptr<Hub> hub(new Hub(messenger, options));
    hub->self_ = hub;
    hub->alarm_ = std::make_shared<Alarm>(hub->world_.shard(0), [weak = std::weak_ptr(hub)] {
      if (const auto self = weak.lock()) self->look_after_anchors();
    });
    auto attached = messenger::attach(messenger, hub, hub->handlers());
    if (attached) return hub;
    if (!attached.error().is(velo::Errc::already_exists)) return attached.error();
  }
}

std::vector<Handler> Hub::handlers() {
  std::vector<Handler> all;
  all.push_back(hub_detail::attach_handler(self_, "_anchor_attach", &Hub::on_attach, false));
  all.push_back(hub_detail::attach_handler(self_, "_mpsc_anchor_attach", &Hub::on_attach, true));
  all.push_back(Handler::am_handler("_stream_batch",
                                    [weak = self_](Context& context) {
                                      if (const auto self = weak.lock()) self->on_batch(context);
                                    })
                    .inline_()
                    .build());
  return all;
}

std::optional<Error> Hub::closed() const {
  if (!draining_.load(std::memory_order_acquire)) return std::nullopt;
  return velo::make_error(velo::Errc::shutting_down, "the messenger ends");
}

std::uint64_t Hub::draw() { return world_.secret_random().next() | 1U; }

Result<std::shared_ptr<Anchor>> Hub::create(bool many, StreamOptions options) {
  auto made = make_anchor(many, options);
  tally_->count(Tally::Operation::create, made.has_value());
  return made;
}

Result<std::shared_ptr<Anchor>> Hub::make_anchor(bool many, StreamOptions options) {
  if (auto error = closed()) return std::move(*error);
  options.heartbeat = std::max(options.heartbeat, limits::heartbeat_min);
  options.frames = std::clamp(options.frames, 1U, limits::stream_frames_max);
  options.bytes = std::clamp(options.bytes, std::size_t{1}, limits::stream_bytes_max);
  options.senders_max = std::clamp(options.senders_max, std::size_t{1}, limits::anchors_max);
  const TimePoint now = world_.clock().now();
  std::shared_ptr<Anchor> anchor;
  {
    const std::uint64_t drawn = draw();
    const std::uint64_t local =
        many ? drawn | StreamAnchorHandle::many_bit : drawn & ~StreamAnchorHandle::many_bit;
    const std::lock_guard lock(mutex_);
    if (anchors_.size() >= limits::anchors_max) {
      return make_error(Errc::too_many_streams, "too many anchors");
    }
    const StreamAnchorHandle handle(self_id_.worker_id(), local);
    anchor = std::make_shared<Anchor>(world_.pool(), handle, options, now, tally_);
    if (!anchors_.emplace(local, anchor).second) {
      return make_error(Errc::too_many_streams, "an anchor of that id exists");
    }
    anchor->on_unattached([alarm = alarm_](TimePoint when) { Alarm::at(alarm, when); });
    anchor->on_over([weak = self_, local] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      const std::lock_guard again(self->mutex_);
      self->anchors_.erase(local);
    });
  }
  if (options.unattached_timeout) Alarm::at(alarm_, now + *options.unattached_timeout);
  return anchor;
}

std::shared_ptr<Anchor> Hub::find(std::uint64_t local) const {
  const std::lock_guard lock(mutex_);
  const auto found = anchors_.find(local);
  return found == anchors_.end() ? nullptr : found->second;
}

void Hub::look_after_anchors() {
  std::vector<Wake> wakes;
  TimePoint next = TimePoint::never();
  {
    const TimePoint now = world_.clock().now();
    const std::lock_guard lock(mutex_);
    for (const auto& [local, anchor] : anchors_) next = std::min(next, anchor->expire(now, wakes));
  }
  if (next != TimePoint::never()) Alarm::at(alarm_, next);
  for (Wake& wake : wakes) wake();
}

// ---- attaching

Result<Bytes> Hub::on_attach(Context& context, bool many) {
  auto request = decode_attach_request(context.payload());
  if (!request) return request.error();
  const auto refuse = [this](Error error) {
    tally_->count(Tally::Operation::attach, false);
    return Result<Bytes>(encode(Result<AttachAnswer>(std::move(error))));
  };
  if (auto error = closed()) return refuse(std::move(*error));
  const auto& keys = request->supported_transport_keys;
  const bool common =
      std::ranges::find(keys, mux_key) != keys.end() && request->mux_level.value_or(0) >= mux_level;
  const auto sender = context.sender_instance_id();
  if (!common || !sender) {
    return refuse(make_error(Errc::no_transport, "no streaming transport in common"));
  }
  if (request->handle.many_to_one() != many) {
    return refuse(make_error(Errc::wrong_handle_kind, request->handle.to_string()));
  }
  const auto anchor =
      request->handle.owner() == self_id_.worker_id() ? find(request->handle.lo) : nullptr;
  if (anchor == nullptr) {
    return refuse(make_error(Errc::anchor_not_found, request->handle.to_string()));
  }
  const TimePoint now = world_.clock().now();
  if (auto reserved = anchor->reserve(request->session_id, *sender, now); !reserved) {
    return refuse(reserved.error());
  }
  tally_->count(Tally::Operation::attach, true);
  Alarm::at(alarm_, now + limits::bind_patience);
  AttachAnswer answer;
  answer.streaming_transport_key = std::string(mux_key);
  const auto heartbeat =
      std::chrono::duration_cast<std::chrono::milliseconds>(anchor->options().heartbeat);
  answer.heartbeat_interval_ms = static_cast<std::uint64_t>(heartbeat.count());
  answer.routing_session_id = request->session_id;
  answer.initial_credit = anchor->options().frames;
  answer.slot_byte_budget = anchor->options().bytes;
  answer.instance = self_id_.to_string();
  return encode(Result<AttachAnswer>(std::move(answer)));
}

Op<SenderEnd> Hub::attach(const std::shared_ptr<Hub>& hub, const StreamAnchorHandle& handle,
                          bool many) {
  using Attached = Op<SenderEnd>;
  Executor& callbacks = hub->world_.pool();
  if (auto error = hub->closed()) return Attached::ready(callbacks, std::move(*error));
  if (!handle.valid() || handle.many_to_one() != many) {
    return Attached::ready(callbacks, make_error(Errc::wrong_handle_kind, handle.to_string()));
  }
  AttachRequest request;
  request.handle = handle;
  request.session_id = hub->draw();
  request.stream_cancel_handle = StreamAnchorHandle(hub->self_id_.worker_id(), request.session_id);
  request.supported_transport_keys.emplace_back(mux_key);
  request.mux_level = mux_level;
  const std::shared_ptr<Messenger> messenger = hub->shared_.lock();
  if (messenger == nullptr) {
    return Attached::ready(callbacks, velo::make_error(velo::Errc::shutting_down));
  }
  auto promise = std::make_shared<Promise<SenderEnd>>(callbacks);
  Attached op = promise->op();
  messenger::system_unary(*messenger, many ? "_mpsc_anchor_attach" : "_anchor_attach")
      .raw_payload(encode(request))
      .timeout(limits::attach_timeout)
      .worker(handle.owner())
      .send()
      .then(hub->world_.shard(0), [hub, promise, handle, session = request.session_id,
                                   asked = hub->world_.clock().now()](Result<Bytes> reply) {
        hub->tally_->attached(hub->world_.clock().now() - asked);
        auto sender = hub->attached(handle, session, std::move(reply));
        if (!sender) {
          promise->set(sender.error());
        } else {
          promise->set(SenderEnd(std::move(*sender)));
        }
      });
  return op;
}

Result<std::shared_ptr<Sender>> Hub::attached(const StreamAnchorHandle& handle,
                                              std::uint64_t session, Result<Bytes> reply) {
  if (!reply) return reply.error();
  auto answer = decode_attach_answer(*reply);
  if (!answer) return answer.error();
  const auto owner = InstanceId::parse(answer->instance.value_or(""));
  if (answer->streaming_transport_key != mux_key || !owner ||
      owner->worker_id() != handle.owner()) {
    return make_error(Errc::no_transport, "no streaming transport in common");
  }
  const StreamTerms terms(
      std::clamp(answer->initial_credit, 1U, limits::stream_frames_max),
      std::clamp<std::uint64_t>(answer->slot_byte_budget, 1, limits::stream_bytes_max));
  const std::uint64_t heartbeat =
      std::min<std::uint64_t>(answer->heartbeat_interval_ms, 24ULL * 3'600'000);
  for (;;) {
    const std::shared_ptr<PeerMux> mux = mux_for(*owner);
    if (mux == nullptr) return velo::make_error(velo::Errc::shutting_down, "the messenger ends");
    auto sender = PeerMux::open(mux, handle, session, terms, std::chrono::milliseconds(heartbeat));
    if (!sender || *sender != nullptr) return sender;
    forget(*owner, mux);
  }
}

// ---- peers

std::shared_ptr<PeerMux> Hub::mux_for(const InstanceId& peer) {
  const std::lock_guard lock(mutex_);
  if (stopped_.load(std::memory_order_acquire)) return nullptr;
  auto& mux = muxes_[peer];
  if (mux == nullptr) {
    mux = PeerMux::make(self_.lock(), peer, world_.shard(next_shard_++ % world_.shard_count()));
  }
  return mux;
}

std::vector<std::shared_ptr<PeerMux>> Hub::muxes() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<PeerMux>> all;
  all.reserve(muxes_.size());
  for (const auto& [peer, mux] : muxes_) all.push_back(mux);
  return all;
}

void Hub::on_batch(Context& context) {
  const auto peer = context.sender_instance_id();
  if (!peer) return;
  if (const auto mux = mux_for(*peer)) mux->on_batch(context.payload_bytes());
}

bool Hub::send_batch(const InstanceId& peer, Bytes batch, Duration timeout, Shard& shard,
                     std::move_only_function<void(Result<void>)> then) {
  const std::shared_ptr<Messenger> messenger = shared_.lock();
  if (messenger == nullptr || stopped_.load(std::memory_order_acquire)) return false;
  Op<void> op = messenger::system_fire(*messenger, "_stream_batch")
                    .raw_payload(std::move(batch))
                    .timeout(timeout)
                    .instance(peer)
                    .send();
  if (op.done()) {
    Result<void> written = std::move(op).get();
    if (written) return false;
    op = Op<void>::ready(shard, std::move(written));
  }
  std::move(op).then(shard, std::move(then));
  return true;
}

std::shared_ptr<PeerMux> Hub::find_mux(const InstanceId& peer) const {
  const std::lock_guard lock(mutex_);
  const auto found = muxes_.find(peer);
  return found == muxes_.end() ? nullptr : found->second;
}

void Hub::on_peer_up(const InstanceId& peer) {
  if (const auto mux = find_mux(peer)) mux->on_up();
}

void Hub::on_peer_down(const InstanceId& peer, const Error& /*why*/) {
  if (const auto mux = find_mux(peer)) mux->on_down();
}

void Hub::forget(const InstanceId& peer, const std::shared_ptr<PeerMux>& mux) {
  StreamCounts last;
  mux->count_streams(last);
  const std::lock_guard lock(mutex_);
  const auto found = muxes_.find(peer);
  if (found == muxes_.end() || found->second != mux) return;
  gone_.add_totals(last);
  muxes_.erase(found);
}

std::uint64_t Hub::unfinished() const noexcept {
  std::uint64_t left = 0;
  for (const auto& mux : muxes()) left += mux->live();
  return left;
}

void Hub::on_stop(const Error& reason) {
  std::vector<std::shared_ptr<Anchor>> anchors;
  draining_.store(true, std::memory_order_release);
  for (const auto& mux : muxes()) mux->stop(reason);
  stopped_.store(true, std::memory_order_release);
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [local, anchor] : anchors_) anchors.push_back(anchor);
  }
  for (const auto& anchor : anchors) {
    anchor->stop(velo::make_error(velo::Errc::shutting_down, reason.context()));
  }
  std::map<InstanceId, std::shared_ptr<PeerMux>> ended;
  {
    const std::lock_guard lock(mutex_);
    ended = muxes_;
  }
  for (const auto& [peer, mux] : ended) forget(peer, mux);
  Alarm::stop(alarm_);
}

void Hub::flush_all() {
  for (const auto& mux : muxes()) mux->flush_soon();
}

StreamCounts Hub::counts() const {
  StreamCounts counts;
  std::vector<std::shared_ptr<PeerMux>> all;
  {
    const std::lock_guard lock(mutex_);
    counts = gone_;
    counts.anchors = anchors_.size();
    for (const auto& [peer, mux] : muxes_) all.push_back(mux);
  }
  for (const auto& mux : all) mux->count_streams(counts);
  return counts;
}

Result<std::shared_ptr<void>> Hub::publish_metrics(metrics::Registry& registry) {
  return tally_->publish(registry, self_id_, [hub = self_.lock()] { return hub->counts(); });
}

}  // namespace velo::streaming
