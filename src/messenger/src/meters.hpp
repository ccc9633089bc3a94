// SPDX-License-Identifier: Apache-2.0
// What one handler, and one transport, did: as metrics of a registry, under the names of the public
// velo, together for all messengers that publish there. Only where metrics are published;
// everywhere else a handler and a link have none.
// Threading: counting from any thread.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/base/metrics.hpp>
#include <velo/base/time.hpp>
#include <velo/messenger/handler.hpp>
#include <velo/transport/connection.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

namespace velo::messenger {

struct HandlerMeter {
  metrics::Counter succeeded;
  metrics::Counter failed;
  metrics::Counter request_bytes;
  metrics::Counter response_bytes;
  metrics::Latency duration;       ///< of the handler alone
  metrics::Latency lane_wait;      ///< from arrival to its turn; only of those that queue
  metrics::Counter lanes_created;  ///< only of ordered ones

  static Result<std::unique_ptr<HandlerMeter>> make(metrics::Registry& registry,
                                                    const Handler& handler);
  void count(std::size_t bytes, const HandlerResult& result, Duration took) const noexcept;
};

struct FrameMeter {
  static constexpr std::size_t types = 5;
  std::array<metrics::Counter, types> received;
  std::array<metrics::Counter, types> sent;
  std::array<metrics::Counter, types> refused;
  metrics::Counter received_bytes;
  metrics::Counter sent_bytes;
  metrics::Counter backpressure;
  // Frames that went nowhere, by reason:
  metrics::Counter unsent;
  metrics::Counter drained;     ///< a request, since this side was draining
  metrics::Counter unreadable;  ///< and the connection was closed

  static Result<std::unique_ptr<FrameMeter>> make(metrics::Registry& registry,
                                                  const std::string& transport);
  void count(const transport::InFrame& frame) const noexcept;
  void count(const transport::OutFrame& frame, transport::Admission admission) const noexcept;
};

}  // namespace velo::messenger
