// SPDX-License-Identifier: Apache-2.0
// Egress: the sending ends of all streams to one peer: slots, what their consumers still take
// (credit of the stream and of the peer), who waits for it, and how each slot ends. What is shared
// is divided by those that use it, so that the first one of a turn leaves the others their part. A
// pure state machine that writes records into a Batcher.
// Threading: one thread at a time.
#pragma once

#include "mux_batch.hpp"
#include "size_ring.hpp"

#include <velo/base/bytes.hpp>
#include <velo/streaming/limits.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace velo::streaming {

/// What a consumer grants to one stream.
struct StreamTerms {
  std::uint32_t frames = limits::stream_frames_default;
  std::uint64_t bytes = limits::stream_bytes_max;

  StreamTerms() = default;
  StreamTerms(std::uint32_t f, std::uint64_t b) noexcept : frames(f), bytes(b) {}
};

class Egress {
 public:
  explicit Egress(Batcher& batcher, std::uint64_t peer_bytes = limits::peer_bytes_max,
                  std::size_t slots_max = limits::streams_per_peer_max) noexcept
      : batcher_(batcher),
        peer_bytes_(peer_bytes),
        reserved_(std::min<std::uint64_t>(limits::stream_bytes_reserved, peer_bytes / 16)),
        slots_max_(slots_max) {}

  /// Nullopt: every slot is taken.
  std::optional<Slot> open(std::uint64_t anchor, std::uint64_t session, StreamTerms terms);

  /// Whether a frame of that size may leave now. Never past others of its stream that wait.
  bool admits(Slot slot, std::size_t size) const noexcept;
  /// Only what admits() let.
  void send(Slot slot, ByteSpan frame);
  /// Keeps the frame until there is room; one of a slot at a time. Taken out by admit_waiting().
  void wait(Slot slot, Bytes frame);
  bool waiting(Slot slot) const noexcept;
  /// Takes back what waits; an ending that was to follow it leaves now. False if nothing waited.
  bool stop_waiting(Slot slot);
  /// Sends whatever there is room for, in the order of waiting; the slots whose frame left. One
  /// that has something outstanding is looked at when its consumer has taken some of it, the others
  /// whenever there may be room.
  std::vector<Slot> admit_waiting();

  /// The last frame (may be empty: then there is none), which needs no credit, and the close. After
  /// what waits, if something does. The slot is over for its user, but not free before on_close().
  void end(Slot slot, ByteSpan terminal);
  /// As end(), but at once, in place of what waits and of an ending that was to follow it.
  void cut(Slot slot, ByteSpan terminal);

  /// False: more than is outstanding, which is against the rules. Of a slot that is none: ignored.
  bool on_credit(Slot slot, std::uint32_t frames);

  enum class Closed : std::uint8_t {
    ignored,  ///< of a slot that is none, or of another session
    taken,    ///< the consumer has taken everything; the slot is free
    refused,  ///< the consumer wants no more; the slot is ended and waits for the last word
    unknown,  ///< the peer has no such stream; the slot is free
  };
  Closed on_close(Slot slot, CloseReason reason, std::uint64_t session);

  /// A heartbeat for each slot that is open.
  void heartbeat();
  /// Everything is lost: the slots that were in use, which are free now.
  std::vector<Slot> reset();

  bool knows(Slot slot) const noexcept { return find(slot) != nullptr; }
  /// Whether the user may still send there.
  bool is_open(Slot slot) const noexcept;
  /// Slots that are not free.
  std::size_t live() const noexcept { return live_; }
  std::uint64_t outstanding_bytes() const noexcept { return outstanding_; }
  std::uint64_t waiting_bytes() const noexcept { return waiting_bytes_; }
  /// Slots with a frame that waits.
  std::size_t waiting() const noexcept { return waiting_; }
  /// 0 of a slot that is free.
  std::uint64_t session(Slot slot) const noexcept;

 private:
  enum class Phase : std::uint8_t { free, open, ending };
  struct State {
    Phase phase = Phase::free;
    std::uint8_t generation = 0;
    bool queued = false;  ///< an entry of fifo_ is about it
    bool has_terminal = false;
    bool hungry = false;  ///< no room for its frame although nothing of it is outstanding
    std::uint32_t next_sequence = 0;
    std::uint64_t session = 0;
    StreamTerms terms;
    std::uint64_t bytes = 0;          ///< outstanding
    std::uint64_t taken = 0;          ///< by its consumer, in all
    std::size_t stopped_frames = 0;   ///< outstanding when it began to wait
    std::uint64_t stopped_bytes = 0;  ///< the same in bytes
    SizeRing sizes;
    std::optional<Bytes> waiting;
    Bytes terminal;  ///< to follow what waits
  };

  State* find(Slot slot) noexcept;
  const State* find(Slot slot) const noexcept;
  bool has_room(const State& state, std::size_t size) const noexcept;
  bool uses(const State& state) const noexcept {
    return state.sizes.size() != 0 || state.waiting.has_value();
  }
  std::uint64_t beyond_reserve(std::uint64_t bytes) const noexcept {
    return bytes > reserved_ ? bytes - reserved_ : 0;
  }
  void set_bytes(State& state, std::uint64_t bytes) noexcept;
  /// After whatever decides uses(), which was `used` before.
  void recount(const State& state, bool used) noexcept {
    users_ += static_cast<std::size_t>(uses(state)) - static_cast<std::size_t>(used);
  }
  void set_hungry(State& state, bool hungry) noexcept {
    hungry_ += static_cast<std::size_t>(hungry) - static_cast<std::size_t>(state.hungry);
    state.hungry = hungry;
  }
  void put(Slot slot, State& state, ByteSpan frame);
  void put_end(Slot slot, State& state, ByteSpan terminal);
  void forget_waiting(State& state) noexcept;
  void queue(Slot slot, State& state);
  static bool is_worth_a_look(const State& state) noexcept;
  void release(std::uint32_t index, State& state) noexcept;

  Batcher& batcher_;
  const std::uint64_t peer_bytes_;
  const std::uint64_t reserved_;
  const std::size_t slots_max_;
  std::vector<State> states_;
  std::deque<std::uint32_t> free_;
  std::deque<Slot> fifo_;  ///< to be looked at by admit_waiting()
  std::size_t live_ = 0;
  std::size_t users_ = 0;   ///< slots with something outstanding or waiting
  std::size_t hungry_ = 0;  ///< State::hungry
  std::size_t waiting_ = 0;
  std::uint64_t shared_used_ = 0;  ///< outstanding beyond the reserves
  std::uint64_t outstanding_ = 0;
  std::uint64_t waiting_bytes_ = 0;
};

}  // namespace velo::streaming
