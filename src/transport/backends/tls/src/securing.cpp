// SPDX-License-Identifier: Apache-2.0
// Driving a handshake over a stream.

#include "securing.hpp"

#include "tls_stream.hpp"

#include <velo/transport/transport.hpp>

#include <sys/uio.h>

#include <array>
#include <string>
#include <system_error>
#include <utility>

namespace velo::transport::tls {
namespace securing_detail {

constexpr int drained_reads_max = 16;

static StreamRefusal refusal(GateRefusal reason, Errc code, std::string why) {
  return {reason, make_error(code, std::move(why))};
}

}  // namespace securing_detail

Result<SecurityPtr> TlsGuard::inspect(const ByteStream& stream) const {
  // Never asked: everything is secured first.
  return make_error(Errc::not_authenticated, stream.remote().to_string());
}

std::unique_ptr<Securing> TlsGuard::secure(std::unique_ptr<ByteStream> stream, StreamRole role,
                                           TimePoint deadline, SecuredHandler done) const {
  return std::make_unique<TlsSecuring>(parts_, std::move(stream), role, deadline, std::move(done));
}

TlsSecuring::TlsSecuring(std::shared_ptr<const GuardParts> parts,
                         std::unique_ptr<ByteStream> stream, StreamRole role, TimePoint deadline,
                         SecuredHandler done)
    : parts_(std::move(parts)),
      shard_(stream->shard()),
      role_(role),
      deadline_(deadline),
      done_(std::move(done)),
      raw_(std::make_unique<RawEnd>(std::move(stream))) {
  raw_->tell(this);
  // Answers come later only, whatever is wrong.
  timer_ = shard_.start_timer(shard_.now(), Task0{[](void* argument) {
                                                    auto* self =
                                                        static_cast<TlsSecuring*>(argument);
                                                    self->timer_.reset();
                                                    self->begin();
                                                  },
                                                  this});
}

TlsSecuring::~TlsSecuring() { stop_timer(); }

void TlsSecuring::stop_timer() noexcept {
  if (timer_) shard_.cancel_timer(*std::exchange(timer_, std::nullopt));
}

void TlsSecuring::begin() {
  timer_ = shard_.start_timer(deadline_, Task0{[](void* argument) {
                                                 auto* self = static_cast<TlsSecuring*>(argument);
                                                 self->timer_.reset();
                                                 self->on_time();
                                               },
                                               this});
  charge_ = Charge::try_take(parts_->budget, handshake_memory_bytes, Lane::requests);
  if (!charge_) {
    return fail(securing_detail::refusal(GateRefusal::memory, Errc::too_many_handshakes,
                                         "no memory for a handshake"));
  }
  Result<std::shared_ptr<const Context>> context = parts_->contexts->current();
  if (!context) {
    return fail(securing_detail::refusal(GateRefusal::protocol, Errc::handshake_failed,
                                         context.error().to_string()));
  }
  handshake_.emplace(std::move(*context), role_, parts_->handshake_bytes_max);
  raw_->attach();
  if (role_ == StreamRole::dialled) {
    react(handshake_->advance({}, parts_->world.clock().wall_now()));
  }
}

void TlsSecuring::on_time() noexcept {
  fail(securing_detail::refusal(
      GateRefusal::time, Errc::handshake_failed,
      raw_->stream().remote().to_string() + ": the handshake took too long"));
}

void TlsSecuring::on_readable() {
  if (established_) return;
  // A little at a time: a handshake is short, and what comes behind it is not for here.
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const IoResult result = raw_->stream().try_read(buffer);
    if (result.status == IoResult::Status::would_block) return;
    if (result.status != IoResult::Status::ok) {
      std::string why = raw_->stream().remote().to_string() + " left during the handshake";
      if (result.system_error != 0) {
        why += ": " + std::generic_category().message(result.system_error);
      }
      return fail(
          securing_detail::refusal(GateRefusal::gone, Errc::handshake_failed, std::move(why)));
    }
    const Handshake::State state = handshake_->advance(std::span(buffer).first(result.bytes),
                                                       parts_->world.clock().wall_now());
    if (state != Handshake::State::working) return react(state);
    flush();
    if (result.bytes < buffer.size()) return;
  }
}

void TlsSecuring::on_writable() {
  if (flush() && established_) succeed();
}

void TlsSecuring::react(Handshake::State state) {
  const bool all_sent = flush();
  if (state == Handshake::State::failed) {
    StreamRefusal refusal = handshake_->refusal();
    Error said(refusal.error.code(), refusal.error.retry(),
               raw_->stream().remote().to_string() + ": " + std::string(refusal.error.context()));
    return fail({refusal.reason, std::move(said)});
  }
  if (state != Handshake::State::done) return;
  established_ = true;
  if (all_sent) succeed();
}

bool TlsSecuring::flush() noexcept {
  if (handshake_->has_output()) {
    const std::vector<std::byte> more = handshake_->take_output();
    out_.insert(out_.end(), more.begin(), more.end());
  }
  while (out_sent_ < out_.size()) {
    const iovec rest{out_.data() + out_sent_, out_.size() - out_sent_};
    const IoResult result = raw_->stream().try_write(std::span(&rest, 1));
    if (result.status == IoResult::Status::would_block) {
      raw_->stream().want_write();
      return false;
    }
    // Whoever reads finds out what happened.
    if (result.status != IoResult::Status::ok) break;
    out_sent_ += result.bytes;
  }
  out_.clear();
  out_sent_ = 0;
  return true;
}

void TlsSecuring::succeed() {
  stop_timer();
  Established established = handshake_->take_established();
  established.security.same_host = raw_->stream().remote().is_loopback();
  handshake_.reset();
  charge_ = Charge();
  auto security = std::make_shared<const ConnectionSecurity>(std::move(established.security));
  auto stream =
      std::make_unique<TlsStream>(std::move(raw_), std::move(established), parts_->environment);
  SecuredHandler done = std::exchange(done_, nullptr);
  // It may destroy this.
  done(SecuredStream{std::move(stream), std::move(security)});
}

void TlsSecuring::drain() noexcept {
  std::array<std::byte, 4096> buffer;
  for (int i = 0; i < securing_detail::drained_reads_max; ++i) {
    const IoResult result = raw_->stream().try_read(buffer);
    if (result.status != IoResult::Status::ok || result.bytes < buffer.size()) return;
  }
}

void TlsSecuring::fail(StreamRefusal refusal) {
  stop_timer();
  handshake_.reset();
  charge_ = Charge();
  raw_->tell(nullptr);
  drain();
  raw_->stream().close();
  SecuredHandler done = std::exchange(done_, nullptr);
  // It may destroy this.
  done(std::unexpected(std::move(refusal)));
}

}  // namespace velo::transport::tls
