// SPDX-License-Identifier: Apache-2.0
// From an accepted stream to a Connection.

#include "stream_arrivals.hpp"

#include "stream_connection.hpp"

#include <velo/base/log.hpp>

#include <utility>

namespace velo::transport {

void StreamArrivals::arrive(std::unique_ptr<ByteStream> stream) {
  if (accepts_ == nullptr) return;
  const GateSource source = GateSource::of(stream->remote());
  const TimePoint now = stream->shard().now();
  auto pass = guard_->secures() ? Gatekeeper::admit(keeper_, source, now)
                                : Gatekeeper::admit_unasked(keeper_, source, now);
  if (!pass) {
    VELO_LOG_DEBUG(transport, "a connection was not let in",
                   {"transport", std::string_view(environment_->key)},
                   {"from", std::string_view(stream->remote().to_string())},
                   {"limit", name_of(pass.error())});
    return;
  }
  if (guard_->secures()) return secure(std::move(stream), std::move(*pass));
  Result<SecurityPtr> security = guard_->inspect(*stream);
  if (!security) return refuse({GateRefusal::identity, security.error()});
  accepts_->on_accepted(StreamConnection::create(environment_, std::move(stream),
                                                 std::move(*security), std::move(*pass)));
}

void StreamArrivals::secure(std::unique_ptr<ByteStream> stream, GatePass pass) {
  const auto place = pending_.insert(pending_.end(), nullptr);
  const TimePoint deadline = stream->shard().now() + keeper_->options().handshake_time_max;
  auto done = [self = weak_from_this(), place, pass = std::move(pass)](
                  std::expected<SecuredStream, StreamRefusal> outcome) mutable {
    const auto arrivals = self.lock();
    // It calls this: it goes when this returns.
    const std::unique_ptr<Securing> caller = std::move(*place);
    arrivals->pending_.erase(place);
    arrivals->secured(std::move(outcome), std::move(pass));
  };
  *place = guard_->secure(std::move(stream), StreamRole::accepted, deadline, std::move(done));
}

void StreamArrivals::secured(std::expected<SecuredStream, StreamRefusal> outcome, GatePass pass) {
  if (!outcome) return refuse(outcome.error());
  pass.authenticate();
  accepts_->on_accepted(StreamConnection::create(environment_, std::move(outcome->stream),
                                                 std::move(outcome->security), std::move(pass)));
}

void StreamArrivals::refuse(const StreamRefusal& refusal) {
  keeper_->count(refusal.reason);
  // Whoever connects decides how often this happens.
  VELO_LOG_INFO(transport, "a connection was refused",
                {"transport", std::string_view(environment_->key)},
                {"reason", name_of(refusal.reason)}, {"error", refusal.error});
}

}  // namespace velo::transport
