// SPDX-License-Identifier: Apache-2.0
// Gate: what guards a listener before anybody has proved who he is: how many connections may be
// there, how many of them not authenticated yet, and how often one source may try. A core: values
// in, answers out; what it counts is bounded. Listeners share one through Gatekeeper
// (gatekeeper.hpp), which also counts refusals.
// Threading: one thread at a time.
#pragma once

#include <velo/base/network.hpp>
#include <velo/base/time.hpp>
#include <velo/transport/limits.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string_view>

namespace velo::transport {

struct GateOptions {
  std::size_t connections_max = limits::accepted_connections_max;
  std::size_t connections_per_source_max = limits::accepted_per_source_max;
  std::size_t unauthenticated_max = limits::unauthenticated_max;
  std::size_t unauthenticated_per_source_max = limits::unauthenticated_per_source_max;
  /// 0: as many as come.
  std::uint32_t handshakes_per_source_per_second = limits::handshakes_per_source_per_second;
  std::uint32_t handshakes_burst_per_source = limits::handshakes_burst_per_source;
  std::size_t sources_max = limits::handshake_sources_max;
  /// The next two are the transport's to keep: it alone sees bytes and has timers.
  std::size_t handshake_bytes_max = limits::handshake_bytes_max;
  Duration handshake_time_max = limits::handshake_time_max;

  GateOptions() = default;
};

/// Why a connection was not let in, or was put out before it was authenticated.
enum class GateRefusal : std::uint8_t {
  connections,             ///< GateOptions::connections_max
  source_connections,      ///< GateOptions::connections_per_source_max
  unauthenticated,         ///< GateOptions::unauthenticated_max
  source_unauthenticated,  ///< GateOptions::unauthenticated_per_source_max
  source_rate,             ///< GateOptions::handshakes_per_source_per_second
  bytes,                   ///< GateOptions::handshake_bytes_max
  time,                    ///< GateOptions::handshake_time_max
  protocol,                ///< broke the handshake's protocol, or speaks none that is accepted
  identity,                ///< did not prove who it is, or is not trusted
  gone,                    ///< left before it was authenticated
  memory,                  ///< the node's memory budget had no room for a handshake
};
constexpr std::size_t gate_refusals = 11;

/// "source_rate", ...; for labels and logs.
std::string_view name_of(GateRefusal reason) noexcept;

/// Where somebody connects from, as far as limits tell sources apart.
class GateSource {
 public:
  /// Loopback and Unix sockets: the limits per source do not apply.
  GateSource() noexcept = default;
  static GateSource of(const NetAddress& address) noexcept;
  static GateSource of(const Endpoint& endpoint);

  bool limited() const noexcept { return limited_; }
  friend auto operator<=>(const GateSource&, const GateSource&) noexcept = default;

 private:
  bool limited_ = false;
  bool v6_ = false;
  std::uint64_t prefix_ = 0;  ///< the address of IPv4, the first half of IPv6's
};

class Gate {
 public:
  explicit Gate(const GateOptions& options) noexcept : options_(options) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// Somebody connects who has yet to authenticate himself. Without a reason to refuse he is
  /// counted until leave().
  std::optional<GateRefusal> arrive(const GateSource& source, TimePoint now);
  /// As arrive(), for transports that authenticate nobody: only the limits of connections apply.
  std::optional<GateRefusal> arrive_unasked(const GateSource& source, TimePoint now);
  /// One that had arrived has proved who he is.
  void authenticate(const GateSource& source) noexcept;
  /// One that had arrived is gone.
  void leave(const GateSource& source, bool was_authenticated) noexcept;

  std::size_t connections() const noexcept { return connections_; }
  std::size_t unauthenticated() const noexcept { return unauthenticated_; }
  /// Sources that are remembered, with connections and without.
  std::size_t sources() const noexcept { return sources_.size(); }
  const GateOptions& options() const noexcept { return options_; }

 private:
  struct Source {
    std::size_t connections = 0;
    std::size_t unauthenticated = 0;
    /// When the tries of this source will be paid off, at one each 1/rate seconds.
    TimePoint paid_at;
    std::list<GateSource>::iterator idle;  ///< its place in idle_, while it has no connection
  };
  using Sources = std::map<GateSource, Source>;

  std::optional<GateRefusal> full(const Source* source) const noexcept;
  Source* find(const GateSource& source);
  Source& use(const GateSource& source);
  void rest(Sources::iterator source);
  void forget_paid(TimePoint now);
  bool spend(Source& source, TimePoint now) const noexcept;
  void enter(const GateSource& source, bool authenticated);

  GateOptions options_;
  std::size_t connections_ = 0;
  std::size_t unauthenticated_ = 0;
  Sources sources_;
  std::list<GateSource> idle_;  ///< sources without a connection, the longest silent first
};

}  // namespace velo::transport
