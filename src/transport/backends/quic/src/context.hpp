// SPDX-License-Identifier: Apache-2.0
// What the endpoints and connections of one transport share: options, credentials, secrets,
// counts. Kept alive by the transport and by each of them.
// Threading: constant once started, but for the counts, which any thread may change.
#pragma once

#include "tls.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/backends/quic.hpp>
#include <velo/transport/gatekeeper.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace velo::transport {

class QuicContext {
 public:
  QuicContext(World& in, QuicOptions with, std::string speaks,
              std::shared_ptr<MemoryBudget> memory);

  World& world;
  const QuicOptions options;
  const std::string protocol;  ///< of both ends, by ALPN
  const std::shared_ptr<MemoryBudget> budget;
  const std::shared_ptr<Gatekeeper> gate;
  TlsCache tls;
  /// From which stateless reset tokens and the tokens of Retry are made. Of this run only: whoever
  /// comes back with an older one is asked again.
  std::array<std::uint8_t, 32> reset_secret{};
  std::array<std::uint8_t, 32> token_secret{};

  std::atomic<std::uint64_t> datagrams_received{0};
  std::atomic<std::uint64_t> datagrams_ignored{0};
  std::atomic<std::uint64_t> retries_sent{0};
  std::atomic<std::uint64_t> versions_sent{0};
  std::atomic<std::uint64_t> resets_sent{0};
  std::atomic<std::uint64_t> refusals_sent{0};
  std::atomic<std::uint64_t> unvalidated_bytes_in{0};
  std::atomic<std::uint64_t> stateless_bytes_out{0};
};

/// The library's clock: nanoseconds of the World's, which may begin at zero, as the library's must
/// not.
inline std::uint64_t quic_time(TimePoint now) noexcept {
  return static_cast<std::uint64_t>(now.nanoseconds()) + 1'000'000'000;
}

inline TimePoint from_quic_time(std::uint64_t at) noexcept {
  if (at > static_cast<std::uint64_t>(INT64_MAX)) return TimePoint::never();
  return TimePoint(Duration(static_cast<std::int64_t>(at) - 1'000'000'000));
}

}  // namespace velo::transport
