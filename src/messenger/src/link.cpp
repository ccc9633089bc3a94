// SPDX-License-Identifier: Apache-2.0
// A connection's running requests and its sends that wait to be written.

#include "link.hpp"

#include "guard.hpp"
#include "impl.hpp"
#include "inbound_call.hpp"
#include "no_room.hpp"
#include "receive_log.hpp"
#include "request_window.hpp"
#include "sent_log.hpp"

#include <velo/base/check.hpp>

#include <algorithm>

namespace velo::messenger {

Link::Link(std::shared_ptr<Impl> impl, transport::ConnectionPtr connection, std::uint64_t serial,
           bool dialed)
    : impl_(*impl),
      keepalive_(std::move(impl)),
      connection_(std::move(connection)),
      serial_(serial),
      dialed_(dialed),
      keeps_order_(connection_->keeps_order()),
      unintroduced_(identity_of(*connection_)),
      running_memory_(impl_.memory()) {}

Link::~Link() = default;

void Link::on_frame(transport::Connection& /*connection*/, const transport::InFrame& frame) {
  if (const FrameMeter* meter = this->meter()) [[unlikely]] {
    meter->count(frame);
  }
  impl_.on_frame(*this, frame);
}

void Link::on_written(transport::Connection& /*connection*/) noexcept {
  if (has_written_waiters_.load(std::memory_order_seq_cst)) drain_written();
  if (owes_cancels.load(std::memory_order_relaxed)) {
    post(connection_->shard(), [link = self()] { link->impl_.settle_owed(*link); });
  }
}

void Link::on_closed(transport::Connection& /*connection*/, const Error& reason) {
  // The registry's reference may be the last one.
  const std::shared_ptr<Link> alive = shared_from_this();
  const std::shared_ptr<Impl> impl = std::move(keepalive_);
  if (reason.is(transport::Errc::malformed_frame) || reason.is(transport::Errc::frame_too_large)) {
    if (const FrameMeter* meter = this->meter()) meter->unreadable.add();
  }
  drain_written();
  impl_.on_link_closed(*this, reason);
}

void Link::introduce(const InstanceId& instance, bool proven) {
  VELO_DCHECK(introduced_ == nullptr);
  auto known = std::make_unique<ConnectionIdentity>(unintroduced_);
  known->instance = instance;
  known->instance_proven = proven;
  introduced_ = std::move(known);
  identity_.store(introduced_.get(), std::memory_order_release);
  if (proven) only_for_.store(instance.worker_id().value(), std::memory_order_relaxed);
}

std::vector<std::uint32_t> Link::lanes() const {
  std::vector<std::uint32_t> used;
  const std::uint32_t bits = lanes_used_.load(std::memory_order_acquire);
  for (std::uint32_t lane = 0; lane <= request_lanes; ++lane) {
    if ((bits >> lane & 1U) != 0) used.push_back(lane);
  }
  return used;
}

std::shared_ptr<const HandlerNames> Link::handlers() const {
  const std::lock_guard lock(mutex_);
  return handlers_;
}

void Link::set_handlers(std::shared_ptr<const HandlerNames> names) {
  const std::lock_guard lock(mutex_);
  handlers_ = std::move(names);
}

bool Link::may_have_handler(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  return handlers_ == nullptr || std::binary_search(handlers_->begin(), handlers_->end(), name);
}

void Link::await_written(std::uint64_t end, MessageId id) {
  {
    const std::lock_guard lock(written_mutex_);
    written_waiters_.push_back({end, id});
    has_written_waiters_.store(true, std::memory_order_seq_cst);
  }
  // Either this sees the write, or the writer sees the waiter.
  if (connection_->written() >= end) drain_written();
}

void Link::drain_written() noexcept {
  for (;;) {
    MessageId id;
    {
      const std::lock_guard lock(written_mutex_);
      if (written_waiters_.empty()) {
        has_written_waiters_.store(false, std::memory_order_seq_cst);
        return;
      }
      // Senders race from send() to here, so ends are almost sorted; a front that is not yet
      // written only delays its followers.
      if (written_waiters_.front().end > connection_->written()) return;
      id = written_waiters_.front().id;
      written_waiters_.pop_front();
    }
    impl_.end_call(id, std::nullopt, false);
  }
}

Result<void> Link::enter(InboundCall& call) {
  const std::lock_guard lock(mutex_);
  if (running_.size() >= limits::running_requests_per_connection_max) {
    return make_error(Errc::overloaded, "too many running requests on this connection");
  }
  const std::uint64_t charge = charge_of(call);
  // Where lanes overtake each other, a request may come before the word that an earlier one is
  // given up: up to as many again are not the sender's fault.
  const std::uint64_t fold = keeps_order_ ? 1 : 2;
  if (charge != 0 && (unanswered_calls_ >= fold * call.agreement().window_calls ||
                      unanswered_bytes_ + charge > fold * call.agreement().window_bytes)) {
    return make_error(Errc::overloaded, "beyond the request window that was agreed on");
  }
  if (!running_memory_.add(call.held_bytes(), Lane::requests)) {
    return no_room(*impl_.memory(), running_memory_.bytes(), "what runs for this connection");
  }
  call.entered();
  // A peer that uses an id twice at once only confuses its own cancellation.
  if (running_.emplace(call.request().id, &call).second && charge != 0) {
    ++unanswered_calls_;
    unanswered_bytes_ += charge;
  }
  return {};
}

void Link::let_go(std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  running_memory_.remove(bytes);
}

std::uint64_t Link::charge_of(const InboundCall& call) const noexcept {
  const InboundCall::Request& request = call.request();
  const Agreement& agreed = call.agreement();
  if (!agreed.windowed() || request.system ||
      request.response_type == protocol::ResponseType::fire) {
    return 0;
  }
  return std::min<std::uint64_t>(request.frame_bytes, agreed.window_bytes);
}

bool Link::leave(InboundCall& call) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = running_.find(call.request().id);
  if (found == running_.end() || found->second != &call) return false;
  running_.erase(found);
  if (const std::uint64_t charge = charge_of(call); charge != 0) {
    --unanswered_calls_;
    unanswered_bytes_ -= charge;
  }
  return true;
}

bool Link::cancel_inbound(const MessageId& id) noexcept {
  InboundCall* call = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(id);
    if (found == running_.end()) return false;
    if (!found->second->try_retain()) return true;
    call = found->second;
  }
  call->abandon();
  call->release();
  return true;
}

void Link::abandon(std::vector<InboundCall*> calls) noexcept {
  // The order of an unordered map must not reach the outside.
  std::sort(calls.begin(), calls.end(), [](const InboundCall* a, const InboundCall* b) {
    return a->request().id < b->request().id;
  });
  for (InboundCall* call : calls) {
    call->abandon();
    call->release();
  }
}

void Link::stop_inbound_but(const std::unordered_set<std::uint64_t>& awaited) noexcept {
  std::vector<InboundCall*> calls;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, call] : running_) {
      if (call->request().response_type == protocol::ResponseType::fire) continue;
      if (!awaited.contains(id.local()) && call->try_retain()) calls.push_back(call);
    }
  }
  abandon(std::move(calls));
}

TimePoint Link::expire_inbound(TimePoint now) {
  TimePoint next = TimePoint::never();
  std::vector<InboundCall*> expired;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, call] : running_) {
      const TimePoint deadline = call->request().deadline;
      if (deadline > now) {
        next = std::min(next, deadline);
      } else if (call->try_retain()) {
        expired.push_back(call);
      }
    }
  }
  abandon(std::move(expired));
  return next;
}

Link::Inbound Link::inbound(TimePoint now) const {
  Inbound found;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, call] : running_) {
    if (call->request().system) continue;
    ++found.count;
    found.oldest = std::max(found.oldest, now - call->arrived());
  }
  return found;
}

void Link::stop_all_inbound() noexcept {
  std::vector<InboundCall*> calls;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, call] : running_) {
      if (call->try_retain()) calls.push_back(call);
    }
  }
  abandon(std::move(calls));
}

}  // namespace velo::messenger
