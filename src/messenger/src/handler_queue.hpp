// SPDX-License-Identifier: Apache-2.0
// HandlerQueue: what waits for one handler that is ordered or limited in concurrency, around the
// LaneSet that decides. Queued requests are in their link's table like running ones, so that
// deadlines, cancellation and drain find them.
// Threading: any thread; nothing is called out with the lock held.
#pragma once

#include "lane_set.hpp"

#include <velo/base/error.hpp>

#include <mutex>

namespace velo {
class Handler;
}

namespace velo::messenger {

class Impl;
class InboundCall;

class HandlerQueue {
 public:
  HandlerQueue(Impl& impl, const Handler& handler);

  /// On the thread that read the request. Takes over the caller's reference.
  void submit(InboundCall* call);
  /// The request ended before its handler did; if it still waits here, it is forgotten.
  void dropped(InboundCall& call) noexcept;
  /// The handler is over, and with it the request's turn.
  void finished(InboundCall& call) noexcept;
  /// Answers all that waits, and all that comes, with `reason`.
  void stop(const Error& reason);
  /// Forgets idle lanes; when the next one is due.
  TimePoint reap(TimePoint now);
  std::size_t lanes() const;
  /// What waits for its turn.
  std::size_t queued() const;

  /// One that has its turn.
  static void run(InboundCall* call);

 private:
  static LaneSet::Options options_of(const Handler& handler);
  /// Which lane: who sent it, as far as the connection knows, or all the same.
  std::uint64_t key_of(const InboundCall& call) const noexcept;
  void start_what_may_run() noexcept;
  /// Sees to it that an idle lane is reaped. True: the caller notes the time, without the lock.
  bool reap_later() noexcept;

  Impl& impl_;
  const bool by_sender_;
  const Duration idle_ttl_;
  mutable std::mutex mutex_;
  LaneSet lanes_;
  bool reap_noted_ = false;
  bool stopped_ = false;
};

}  // namespace velo::messenger
