// SPDX-License-Identifier: Apache-2.0
// Ingress: the receiving ends of all streams from one peer: which batch comes next, which slots are
// open, what the peer may still send there, and the credit that goes back. A pure state machine
// that writes records into a Batcher.
// Threading: one thread at a time.
#pragma once

#include "egress.hpp"
#include "mux_batch.hpp"

#include <velo/streaming/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace velo::streaming {

class Ingress {
 public:
  explicit Ingress(Batcher& batcher, std::uint64_t peer_bytes = limits::peer_bytes_max,
                   std::size_t slots_max = limits::streams_per_peer_max) noexcept
      : batcher_(batcher), peer_bytes_(peer_bytes), slots_max_(slots_max) {}

  enum class Arrival : std::uint8_t {
    next,       ///< in its place
    stale,      ///< of an epoch that is over; to be ignored
    restarted,  ///< the first of another epoch: the peer's own streams are over
    new_epoch,  ///< and it takes nothing of ours any more: all streams are over
    gap,        ///< one is missing: the epoch is over
  };
  /// `ours` is the epoch that we send. Unless it is `next` or `stale` the owner calls reset();
  /// after a gap everything up to the next epoch is stale.
  Arrival on_batch(const BatchHeader& header, std::uint64_t ours) noexcept;
  /// The peer's epoch as far as it is known.
  std::optional<HeardEpoch> heard() const noexcept;
  /// No more of the current epoch; what the peer sends next has to be a new one.
  void abandon_epoch() noexcept;

  /// False: a slot that is in use, or beyond the limit.
  bool open(Slot slot, std::uint64_t session, StreamTerms terms);

  enum class Verdict : std::uint8_t {
    accept,
    ignore,     ///< of a slot that this side has closed, or that is none, which the sender is told
    violation,  ///< against the rules: more than was granted, or out of order
  };
  Verdict on_data(Slot slot, std::uint32_t sequence, std::size_t size);
  /// Takes back an open() that nothing came of; nothing is told.
  void forget(Slot slot) noexcept;
  /// Whether the sender of that stream has still to close it.
  bool awaits_close(Slot slot, std::uint64_t session) const noexcept;
  /// The sender has said everything. False: of a slot that is none, which the sender is told.
  bool on_close(Slot slot, std::uint64_t session);

  /// The consumer took them (of any phase).
  void consumed(Slot slot, std::uint32_t frames, std::uint64_t bytes);
  /// The consumer has taken the ending, or nobody will: the slot is free once the sender has closed
  /// it.
  void finish(Slot slot);
  /// Nobody reads on: told to the sender, who answers with its close.
  void refuse(Slot slot, CloseReason reason);

  /// Whether what was consumed is worth telling before the sweep.
  bool credit_is_due() const noexcept { return due_; }
  bool has_credit() const noexcept { return !dirty_.empty(); }
  /// Everything that was consumed, as records.
  void write_credit();

  /// Everything is lost: the slots that were in use, which are free now.
  std::vector<Slot> reset();

  bool knows(Slot slot) const noexcept { return find(slot) != nullptr; }
  std::size_t live() const noexcept { return live_; }
  /// Bytes that arrived and whose credit was not given back.
  std::uint64_t held_bytes() const noexcept { return held_; }

 private:
  enum class Phase : std::uint8_t { free, open, refused, closed };
  struct State {
    Phase phase = Phase::free;
    std::uint8_t generation = 0;
    bool dirty = false;
    bool finished = false;  ///< nobody reads on, or the ending was taken
    std::uint32_t next_sequence = 0;
    std::uint32_t frames = 0;         ///< arrived, credit not given back
    std::uint32_t credit_frames = 0;  ///< of those, consumed
    std::uint64_t session = 0;
    StreamTerms terms;
    std::uint64_t bytes = 0;
    std::uint64_t credit_bytes = 0;
  };

  State* find(Slot slot) noexcept;
  const State* find(Slot slot) const noexcept;
  void free_if_over(Slot slot, State& state);

  Batcher& batcher_;
  const std::uint64_t peer_bytes_;
  const std::size_t slots_max_;
  std::vector<State> states_;
  std::vector<Slot> dirty_;
  std::uint64_t dirty_bytes_ = 0;
  bool due_ = false;
  std::size_t live_ = 0;
  std::uint64_t held_ = 0;
  std::optional<std::uint64_t> epoch_;
  bool dead_ = false;  ///< epoch_ is over
  std::uint32_t next_batch_ = 0;
};

}  // namespace velo::streaming
