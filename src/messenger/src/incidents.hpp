// SPDX-License-Identifier: Apache-2.0
// Incidents: what seldom happens on the way of a request or of a send, counted for metrics only.
// Not the books: those add up.
// Threading: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace velo::messenger {

enum class Incident : std::uint8_t {
  // Of requests:
  unknown_handler,
  lane_shed,  ///< its lane was full, or it was displaced by a newer one
  ordered_handler_threw,
  handler_threw,
  unreadable_input,  ///< the handler could not read its payload
  ack_unsent,
  reply_unsent,
  error_unsent,
  // Of sends:
  greeting_sent,
  greeted,
  greeting_failed,
  peer_found,  ///< by discovery
  peer_not_found,
  connection_gone,  ///< there was one, and it closed before it was used
  waited,           ///< for a connection, and was given to one then
};

class Incidents {
 public:
  void count(Incident incident) noexcept {
    counts_[static_cast<std::size_t>(incident)].fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t of(Incident incident) const noexcept {
    return counts_[static_cast<std::size_t>(incident)].load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kinds = static_cast<std::size_t>(Incident::waited) + 1;
  std::array<std::atomic<std::uint64_t>, kinds> counts_{};
};

}  // namespace velo::messenger
