// SPDX-License-Identifier: Apache-2.0
// A QUIC connection's face: sending from any thread, and its life from the handshake to the end.

#include "connection.hpp"

#include "context.hpp"
#include "endpoint.hpp"

#include <velo/base/check.hpp>
#include <velo/transport/framing.hpp>

#include <utility>

namespace velo::transport {

QuicConnection::QuicConnection(std::shared_ptr<QuicEndpoint> endpoint, const NetAddress& remote,
                               ConnectHandler outcome, Duration handshake_time,
                               std::uint64_t number)
    : shard_(endpoint->shard()),
      remote_(to_endpoint(remote).to_string()),
      number_(number),
      allowance_(endpoint->context().budget),
      endpoint_(std::move(endpoint)),
      outcome_(std::move(outcome)),
      handshake_deadline_(shard_.now() + handshake_time) {}

QuicConnection::~QuicConnection() { VELO_CHECK(session_ == nullptr); }

bool QuicConnection::begin(const QuicRoute& route, const QuicSession::Arrival* arrival,
                           GatePass pass) {
  pass_ = std::move(pass);
  incoming_ = arrival != nullptr;
  auto credentials = endpoint_->context().tls.current();
  if (!credentials) {
    fail(credentials.error(), GateRefusal::protocol);
    return false;
  }
  session_ = arrival != nullptr
                 ? QuicSession::accept(*this, *endpoint_, std::move(*credentials), route, *arrival)
                 : QuicSession::dial(*this, *endpoint_, std::move(*credentials), route);
  if (session_ == nullptr) {
    fail(make_error(Errc::handshake_failed, "the QUIC library refused to begin"),
         GateRefusal::protocol);
    return false;
  }
  endpoint_->schedule(*this);
  return true;
}

void QuicConnection::start(ConnectionEvents& events) {
  events_ = &events;
  retain();  // finish() releases it: a started connection lives until it is closed
  const std::lock_guard lock(mutex_);
  open_ = ending_ == Ending::none;
}

SendResult QuicConnection::refused(Admission admission, FrameType type,
                                   std::uint64_t size) noexcept {
  if (admission == Admission::over_budget && refusal_blames_peer(type, size, queued())) {
    close(make_error(Errc::peer_too_slow, remote_ + " does not take its replies"));
    admission = Admission::closed;
  }
  return {admission, 0};
}

SendResult QuicConnection::send(const OutFrame& frame) noexcept {
  if (check_lengths(frame.header.size(), frame.payload.size()) != FrameFault::none) {
    return {Admission::too_large, 0};
  }
  const std::size_t size = encoded_bytes(frame);
  Bytes shared;
  if (frame.payload.size() >= limits::shared_payload_bytes_min) {
    shared = InFrame(frame.type, frame.header, frame.payload, frame.owner).retain_payload();
  }
  std::uint64_t end = 0;
  bool wake_now = false;
  {
    const std::lock_guard lock(mutex_);
    if (!open_) return {Admission::closed, 0};
    const std::uint64_t before = accepted_.load(std::memory_order_relaxed);
    end = before + size;
    const std::uint64_t held = end - settled_.load(std::memory_order_relaxed);
    if (allowance_.admits(held, lane_of(frame.type))) {
      inbox_.push(frame, size, std::move(shared), end);
      accepted_.store(end, std::memory_order_seq_cst);
      wake_now = !std::exchange(wake_pending_, true);
    } else {
      end = 0;
    }
  }
  if (end == 0) return refused(Admission::over_budget, frame.type, size);
  if (wake_now) wake();
  return {Admission::accepted, end};
}

void QuicConnection::wake() noexcept {
  if (shard_.on_this_thread()) return woken();
  post_retained<&QuicConnection::woken>();
}

void QuicConnection::woken() noexcept {
  if (!finished_) endpoint_->schedule(*this);
}

std::uint64_t QuicConnection::queued() const noexcept {
  const std::uint64_t left = left_unwritten_.load(std::memory_order_acquire);
  if (left != not_ended) return left;
  const std::uint64_t written = written_.load(std::memory_order_seq_cst);
  const std::uint64_t accepted = accepted_.load(std::memory_order_seq_cst);
  return accepted > written ? accepted - written : 0;
}

void QuicConnection::close_after_flush(Error reason, Duration patience) noexcept {
  end(std::move(reason), Ending::after_flush);
  post(shard_, [self = ConnectionPtr::share(*this), patience] {
    static_cast<QuicConnection&>(*self).start_drain(patience);
  });
}

void QuicConnection::end(Error reason, Ending ending) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (ending_ >= ending) return;
    ending_ = ending;
    if (!reason_) reason_ = std::move(reason);
    open_ = false;
    if (ending != Ending::now) return;
    ended_.store(true, std::memory_order_relaxed);
  }
  post_retained<&QuicConnection::finish>();
}

void QuicConnection::start_drain(Duration patience) {
  if (finished_ || draining_) return;
  draining_ = true;
  const Task0 task{[](void* argument) {
                     auto* self = static_cast<QuicConnection*>(argument);
                     self->patience_timer_.reset();
                     self->end(make_error(Errc::closed_locally), Ending::now);
                   },
                   this};
  patience_timer_ = shard_.start_timer(shard_.now() + patience, task);
  endpoint_->schedule(*this);
}

void QuicConnection::receive(const QuicRoute& from, ByteSpan datagram) {
  if (finished_ || session_ == nullptr) return;
  session_->receive(from, datagram);
  endpoint_->schedule(*this);
}

void QuicConnection::collect(std::vector<QueuedFrame>& into) noexcept {
  const std::lock_guard lock(mutex_);
  wake_pending_ = false;
  inbox_.take(into);
}

void QuicConnection::flush() {
  if (finished_ || session_ == nullptr) return;
  session_->flush();
  if (draining_ && session_->drained() && !ended()) {
    end(make_error(Errc::closed_locally), Ending::now);
  }
  arm();
}

void QuicConnection::park() {
  if (session_ != nullptr) session_->park();
}

bool QuicConnection::deliver(const InFrame& frame) {
  if (ended()) return false;
  events_->on_frame(*this, frame);
  return !ended();
}

void QuicConnection::establish(ConnectionSecurity security) {
  if (established_ || outcome_ == nullptr || ended()) return;
  established_ = true;
  security_ = std::move(security);
  pass_.authenticate();
  ConnectHandler outcome = std::exchange(outcome_, nullptr);
  outcome(ConnectionPtr::share(*this));
  if (events_ == nullptr) end(make_error(Errc::closed_locally, "refused"), Ending::now);
}

void QuicConnection::fail(Error error, GateRefusal reason) noexcept {
  if (incoming_ && !established_ && !ended()) {
    endpoint_->context().gate->count(reason);
  }
  end(std::move(error), Ending::now);
}

void QuicConnection::abandon() noexcept {
  outcome_ = nullptr;
  if (!established_) end(make_error(Errc::closed_locally, "abandoned"), Ending::now);
}

void QuicConnection::refuse() noexcept {
  outcome_ = nullptr;
  end(make_error(Errc::closed_locally, "stopped"), Ending::now);
}

void QuicConnection::wrote(std::uint64_t position) noexcept {
  if (position <= written_.load(std::memory_order_relaxed)) return;
  written_.store(position, std::memory_order_seq_cst);
  if (events_ != nullptr && !ended()) events_->on_written(*this);
}

void QuicConnection::settle(std::uint64_t bytes) noexcept {
  if (bytes == 0) return;
  const std::uint64_t settled = settled_.load(std::memory_order_relaxed) + bytes;
  settled_.store(settled, std::memory_order_relaxed);
  const std::uint64_t held = accepted_.load(std::memory_order_relaxed) - settled;
  if (allowance_.unsettled(held)) allowance_.settle(held);
}

void QuicConnection::arm() {
  TimePoint at = session_->alarm();
  if (!established_ && handshake_deadline_ < at) at = handshake_deadline_;
  // One that fires too early costs a look; to move it costs more.
  if (timer_ && timer_at_ <= at) return;
  if (timer_) shard_.cancel_timer(*timer_);
  timer_.reset();
  if (at == TimePoint::never()) return;
  timer_at_ = at;
  timer_ = shard_.start_timer(
      at,
      Task0{[](void* argument) { static_cast<QuicConnection*>(argument)->timer_fired(); }, this});
}

void QuicConnection::timer_fired() {
  timer_.reset();
  if (finished_ || session_ == nullptr) return;
  const TimePoint now = shard_.now();
  if (!established_ && now >= handshake_deadline_) {
    return fail(make_error(Errc::connect_failed, remote_ + " did not answer in time"),
                GateRefusal::time);
  }
  if (session_->expiry() <= now) session_->expire();
  endpoint_->schedule(*this);
}

void QuicConnection::finish() noexcept {
  if (finished_) return;
  finished_ = true;
  if (timer_) shard_.cancel_timer(*timer_);
  if (patience_timer_) shard_.cancel_timer(*patience_timer_);
  timer_.reset();
  patience_timer_.reset();
  const ConnectionPtr self = ConnectionPtr::share(*this);
  endpoint_->remove(*this, session_.get());
  std::uint64_t left = 0;
  if (session_ != nullptr) {
    left = session_->unsent();
    if (session_->sent_position() > written_.load(std::memory_order_relaxed)) {
      written_.store(session_->sent_position(), std::memory_order_seq_cst);
    }
  }
  std::vector<QueuedFrame> never_collected;
  std::optional<Error> reason;
  {
    const std::lock_guard lock(mutex_);
    inbox_.take(never_collected);
    inbox_.clear();
    reason = reason_;
  }
  for (const QueuedFrame& frame : never_collected) left += frame.size();
  left_unwritten_.store(left, std::memory_order_release);
  session_.reset();
  allowance_.settle(0);
  pass_ = GatePass();
  // The endpoint's own end may come with its last connection's, and not inside what it calls.
  const std::shared_ptr<QuicEndpoint> endpoint = std::move(endpoint_);
  tell_end(*reason);
}

void QuicConnection::tell_end(const Error& reason) {
  if (ConnectHandler outcome = std::exchange(outcome_, nullptr)) return outcome(reason);
  if (events_ == nullptr) return;
  events_->on_closed(*this, reason);
  release();
}

QuicConnectionCounts QuicConnection::counts() const {
  QuicConnectionCounts counts;
  const auto read = [](const std::atomic<std::uint64_t>& from) {
    return from.load(std::memory_order_relaxed);
  };
  counts.datagrams_sent = read(datagrams_sent);
  counts.datagrams_acknowledged = read(datagrams_acknowledged);
  counts.datagrams_lost = read(datagrams_lost);
  counts.datagrams_dropped = read(datagrams_dropped);
  counts.datagrams_received = read(datagrams_received);
  counts.streams_opened = read(streams_opened);
  counts.packets_lost = read(packets_lost);
  counts.path_changes = read(path_changes);
  return counts;
}

}  // namespace velo::transport
