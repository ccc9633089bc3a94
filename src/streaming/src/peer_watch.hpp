// SPDX-License-Identifier: Apache-2.0
// PeerWatch: when this side has to give a sign of life to a peer with which it has streams, and
// when the peer has been silent for too long. `now` is passed in.
// Threading: one thread at a time.
#pragma once

#include <velo/base/time.hpp>
#include <velo/streaming/limits.hpp>

#include <algorithm>

namespace velo::streaming {

class PeerWatch {
 public:
  /// A stream with this interval began; the shortest of those since rest() counts.
  void begin(TimePoint now, Duration heartbeat) noexcept {
    heartbeat = std::max(heartbeat, limits::heartbeat_min);
    if (!watching_) {
      watching_ = true;
      heard_ = now;
      said_ = now;
      heartbeat_ = heartbeat;
    }
    heartbeat_ = std::min(heartbeat_, heartbeat);
  }
  /// There is no stream any longer.
  void rest() noexcept { watching_ = false; }
  bool watching() const noexcept { return watching_; }

  void heard(TimePoint now) noexcept { heard_ = now; }
  void said(TimePoint now) noexcept { said_ = now; }

  Duration heartbeat() const noexcept { return heartbeat_; }
  bool must_speak(TimePoint now) const noexcept { return watching_ && now - said_ >= heartbeat_; }
  bool is_dead(TimePoint now) const noexcept {
    return watching_ && now - heard_ >= heartbeat_ * limits::heartbeats_missed_max;
  }
  /// When to look again; never() while there is nothing to watch.
  TimePoint next() const noexcept {
    if (!watching_) return TimePoint::never();
    return std::min(said_ + heartbeat_, heard_ + heartbeat_ * limits::heartbeats_missed_max);
  }

 private:
  bool watching_ = false;
  Duration heartbeat_ = limits::heartbeat_default;
  TimePoint heard_;
  TimePoint said_;
};

}  // namespace velo::streaming
