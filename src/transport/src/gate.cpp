// SPDX-License-Identifier: Apache-2.0
// Counting who is at the gate.

#include <velo/transport/gate.hpp>

#include <velo/base/check.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <span>

namespace velo::transport {
namespace gate_detail {

/// Sources that are looked at, for being forgotten, each time that somebody arrives: more than can
/// be added.
constexpr int forgotten_per_arrival = 2;

static std::uint64_t big_endian(std::span<const std::uint8_t> bytes) noexcept {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

/// ::ffff:a.b.c.d
static bool is_mapped_v4(const NetAddress& address) noexcept {
  constexpr std::array<std::uint8_t, 12> prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return address.v6 && std::equal(prefix.begin(), prefix.end(), address.ip.begin());
}

}  // namespace gate_detail

std::string_view name_of(GateRefusal reason) noexcept {
  switch (reason) {
    case GateRefusal::connections: return "connections";
    case GateRefusal::source_connections: return "source_connections";
    case GateRefusal::unauthenticated: return "unauthenticated";
    case GateRefusal::source_unauthenticated: return "source_unauthenticated";
    case GateRefusal::source_rate: return "source_rate";
    case GateRefusal::bytes: return "bytes";
    case GateRefusal::time: return "time";
    case GateRefusal::protocol: return "protocol";
    case GateRefusal::identity: return "identity";
    case GateRefusal::gone: return "gone";
    case GateRefusal::memory: return "memory";
  }
  return {};
}

GateSource GateSource::of(const NetAddress& address) noexcept {
  constexpr std::array<std::uint8_t, 16> loopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  GateSource source;
  const std::span<const std::uint8_t> ip(address.ip);
  if (!address.v6 || gate_detail::is_mapped_v4(address)) {
    const auto v4 = address.v6 ? ip.subspan(12) : ip.first(4);
    if (v4[0] == 127) return source;
    source.prefix_ = gate_detail::big_endian(v4);
  } else {
    if (address.ip == loopback) return source;
    source.v6_ = true;
    source.prefix_ = gate_detail::big_endian(ip.first(8));
  }
  source.limited_ = true;
  return source;
}

GateSource GateSource::of(const Endpoint& endpoint) {
  const Result<NetAddress> address = to_net_address(endpoint);
  return address ? of(*address) : GateSource();
}

std::optional<GateRefusal> Gate::full(const Source* source) const noexcept {
  if (connections_ >= options_.connections_max) return GateRefusal::connections;
  if (source != nullptr && source->connections >= options_.connections_per_source_max) {
    return GateRefusal::source_connections;
  }
  return std::nullopt;
}

Gate::Source* Gate::find(const GateSource& source) {
  const auto found = sources_.find(source);
  return found == sources_.end() ? nullptr : &found->second;
}

/// The source, no longer among the idle ones.
Gate::Source& Gate::use(const GateSource& source) {
  const auto [place, is_new] = sources_.try_emplace(source);
  if (!is_new && place->second.connections == 0) idle_.erase(place->second.idle);
  return place->second;
}

/// The source has no connection: it waits to be forgotten, and with too many of them one is.
void Gate::rest(Sources::iterator source) {
  source->second.idle = idle_.insert(idle_.end(), source->first);
  if (idle_.size() <= options_.sources_max) return;
  sources_.erase(idle_.front());
  idle_.pop_front();
}

/// Who owes nothing is as good as new. Looks at the longest silent only, so it may leave some.
void Gate::forget_paid(TimePoint now) {
  for (int i = 0; i < gate_detail::forgotten_per_arrival && !idle_.empty(); ++i) {
    const auto source = sources_.find(idle_.front());
    if (source->second.paid_at > now) return;
    sources_.erase(source);
    idle_.pop_front();
  }
}

bool Gate::spend(Source& source, TimePoint now) const noexcept {
  const std::uint32_t rate = options_.handshakes_per_source_per_second;
  if (rate == 0) return true;
  const Duration each = Duration(std::chrono::seconds(1)) / rate;
  const TimePoint owed = std::max(source.paid_at, now);
  if (owed - now > each * (std::max(options_.handshakes_burst_per_source, 1U) - 1)) return false;
  source.paid_at = owed + each;
  return true;
}

void Gate::enter(const GateSource& source, bool authenticated) {
  ++connections_;
  if (!authenticated) ++unauthenticated_;
  if (!source.limited()) return;
  Source& entry = use(source);
  ++entry.connections;
  if (!authenticated) ++entry.unauthenticated;
}

std::optional<GateRefusal> Gate::arrive(const GateSource& source, TimePoint now) {
  forget_paid(now);
  Source* known = find(source);
  if (const auto refusal = full(known)) return refusal;
  if (unauthenticated_ >= options_.unauthenticated_max) return GateRefusal::unauthenticated;
  if (known != nullptr && known->unauthenticated >= options_.unauthenticated_per_source_max) {
    return GateRefusal::source_unauthenticated;
  }
  if (source.limited()) {
    Source& entry = use(source);
    const bool paid = spend(entry, now);
    if (entry.connections == 0) rest(sources_.find(source));
    if (!paid) return GateRefusal::source_rate;
  }
  enter(source, false);
  return std::nullopt;
}

std::optional<GateRefusal> Gate::arrive_unasked(const GateSource& source, TimePoint now) {
  forget_paid(now);
  if (const auto refusal = full(find(source))) return refusal;
  enter(source, true);
  return std::nullopt;
}

void Gate::authenticate(const GateSource& source) noexcept {
  VELO_DCHECK(unauthenticated_ > 0);
  --unauthenticated_;
  if (source.limited()) --sources_.find(source)->second.unauthenticated;
}

void Gate::leave(const GateSource& source, bool was_authenticated) noexcept {
  VELO_DCHECK(connections_ > 0);
  --connections_;
  if (!was_authenticated) --unauthenticated_;
  if (!source.limited()) return;
  const auto entry = sources_.find(source);
  --entry->second.connections;
  if (!was_authenticated) --entry->second.unauthenticated;
  if (entry->second.connections == 0) rest(entry);
}

}  // namespace velo::transport
