// SPDX-License-Identifier: Apache-2.0
// Pull: one transfer from an owner into a writer: acquires, asks for chunks as the Transfer says,
// hands them to the writer, and ends once. Whichever way it fails, the owner is told, and if that
// is lost the lease lapses.
// Threading: start() and abort() from any thread; the rest on its shard.
#pragma once

#include "transfer.hpp"

#include <velo/base/executor.hpp>
#include <velo/base/world.hpp>
#include <velo/messenger/call.hpp>
#include <velo/rendezvous/data_handle.hpp>
#include <velo/rendezvous/data_writer.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

namespace velo::rendezvous {

class Engine;

struct PullOptions {
  Duration timeout = velo::limits::call_deadline_max;
  Duration stall = limits::stall_default;
  std::uint32_t window_chunks = limits::window_chunks_max;
  /// The reference is given up with the lease, at the end or when it fails: nobody else will.
  bool release = false;
  /// By which the owner can be asked where it cannot be dialled; 0: there is none.
  std::uint64_t connection = 0;
  std::stop_token stop;

  PullOptions() = default;
};

// why: requests, timers and the writer's tasks use it until they are over.
class Pull final : public std::enable_shared_from_this<Pull> {
 public:
  struct Ended {
    DataLease lease;
    std::unique_ptr<DataWriter> writer;
  };
  using Done = std::move_only_function<void(Result<Ended>)>;

  Pull(std::shared_ptr<Engine> engine, Shard& shard, const DataHandle& handle,
       std::unique_ptr<DataWriter> writer, PullOptions options, Done done);

  /// Once. With a refusal it ends with that.
  void start(std::optional<Error> refusal);
  void abort(Error reason);

  std::uint64_t order = 0;  ///< set by the engine

 private:
  using Step = std::move_only_function<Result<void>(DataWriter&)>;
  using Next = std::move_only_function<void(Result<void>)>;
  struct Job {
    Step step;
    Next next;
  };

  void begin();
  void acquire();
  void on_acquired(Result<Bytes> reply);
  void pump();
  void ask(std::uint32_t chunk);
  void on_chunk(std::uint32_t chunk, Result<Bytes> reply);
  void finish();
  /// One writer's function after the other, on the pool if it blocks; `next` on the shard.
  void write(Step step, Next next);
  void run_job();
  void end(Result<void> result);
  /// Ends the lease at the owner, without waiting for an answer.
  void give_up_lease(DataLease lease);
  void rearm();
  void on_timer();
  Duration left() const;
  /// To the owner.
  template <class R>
  Send<R> aimed(Send<R> send) const {
    return std::move(send.worker(handle_.owner()).by(options_.connection));
  }

  const std::shared_ptr<Engine> engine_;
  Shard& shard_;
  const DataHandle handle_;
  std::unique_ptr<DataWriter> writer_;
  const bool writer_blocks_;
  PullOptions options_;
  Done done_;
  TimePoint deadline_;
  TimePoint began_;
  TimePoint acquire_again_ = TimePoint::never();
  Duration pause_ = Duration::zero();
  std::optional<Transfer> transfer_;
  wire::Grant grant_;
  std::deque<Job> jobs_;
  bool writing_ = false;
  bool ready_ = false;  ///< the writer has begun
  bool finishing_ = false;
  bool over_ = false;
  std::stop_source requests_;  ///< stops the chunk requests that are under way
  struct Stop {
    std::weak_ptr<Pull> pull;
    void operator()() const;
  };
  std::optional<std::stop_callback<Stop>> stop_;
  Shard::TimerId timer_ = 0;
  TimePoint timer_at_ = TimePoint::never();
  std::shared_ptr<Pull> timer_keepalive_;
};

}  // namespace velo::rendezvous
