// SPDX-License-Identifier: Apache-2.0
// The leases of one queue object in NATS: until when each holds here, when the server must be told
// that the receiver still lives, and what becomes of an item that was delivered too often. The
// server knows only one time for all and takes anybody's acknowledgement, so leases are judged
// here. Values in, values out: no time of its own, no connection.
// Threading: one thread at a time.
#pragma once

#include "nats_wire.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace velo::queue::nats {

class Leases {
 public:
  struct Held {
    std::string ack;  ///< the subject at which the server is told
    std::uint64_t token = 0;
    TimePoint until;
    TimePoint renew = TimePoint::never();
    TimePoint dead_at = TimePoint::never();  ///< when its sink is asked again
    bool last = false;                       ///< not handled now, it is a dead letter
    bool dying = false;
    DeadLetter letter;  ///< of a last one
  };
  /// What is to be done at a time.
  struct Due {
    std::vector<std::string> renew;      ///< tell the server that the receiver lives
    std::vector<std::string> give_back;  ///< the lease ran out
    std::vector<std::uint64_t> bury;     ///< ask the sink for these
  };

  /// `server_wait`: after this without a word the server delivers the item again.
  explicit Leases(Duration server_wait) : server_wait_(server_wait) {}
  void set_server_wait(Duration wait) noexcept { server_wait_ = wait; }

  void add(TimePoint now, std::uint64_t item, Held held, Duration visibility);
  /// Null: it ran out, or was settled. What take() gives is settled now.
  const Held* find(TimePoint now, Lease lease) const;
  std::optional<Held> take(TimePoint now, Lease lease);
  bool extend(TimePoint now, Lease lease, Duration visibility);
  /// Its receivers did not handle it: from now on its sink is to take it.
  void die(TimePoint now, std::uint64_t item, std::string reason);
  /// A dying item, to be given to the sink; null when it is none any longer.
  const Held* dying(std::uint64_t item) const;
  void spared(TimePoint now, std::uint64_t item);
  std::optional<Held> buried(std::uint64_t item);

  Due due(TimePoint now);
  TimePoint next_change() const noexcept;
  std::size_t dying_count() const noexcept;
  std::vector<std::string> take_all();

 private:
  void schedule(TimePoint now, Held& held) const noexcept;

  Duration server_wait_;
  std::unordered_map<std::uint64_t, Held> held_;
};

}  // namespace velo::queue::nats
