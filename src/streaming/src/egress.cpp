// SPDX-License-Identifier: Apache-2.0
// Slots of outgoing streams: credit, the queue of those that wait, and endings.

#include "egress.hpp"

#include <velo/base/check.hpp>

#include <algorithm>
#include <utility>

namespace velo::streaming {
namespace egress_detail {

/// What a stream that had to wait goes on for: a frame at a time costs both ends more for the
/// waiting than for the frame.
constexpr std::size_t run_frames = 32;
constexpr std::uint64_t run_bytes = std::uint64_t{8} << 10;

}  // namespace egress_detail

Egress::State* Egress::find(Slot slot) noexcept {
  if (slot.index() >= states_.size()) return nullptr;
  State& state = states_[slot.index()];
  return state.phase != Phase::free && state.generation == slot.generation() ? &state : nullptr;
}

const Egress::State* Egress::find(Slot slot) const noexcept {
  return const_cast<Egress*>(this)->find(slot);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

std::optional<Slot> Egress::open(std::uint64_t anchor, std::uint64_t session, StreamTerms terms) {
  std::uint32_t index = 0;
  const bool fresh = states_.size() < slots_max_;
  if (free_.empty() || (free_.size() < limits::resting_slots_min && fresh)) {
    if (!fresh) return std::nullopt;
    index = static_cast<std::uint32_t>(states_.size());
    states_.emplace_back();
  } else {
    index = free_.front();
    free_.pop_front();
  }
  State& state = states_[index];
  state.phase = Phase::open;
  state.session = session;
  state.terms = terms;
  state.next_sequence = 0;
  state.taken = 0;
  ++live_;
  const Slot slot(index, state.generation);
  batcher_.open_slot(slot, anchor, session);
  return slot;
}

void Egress::set_bytes(State& state, std::uint64_t bytes) noexcept {
  outstanding_ += bytes - state.bytes;
  shared_used_ += beyond_reserve(bytes) - beyond_reserve(state.bytes);
  state.bytes = bytes;
}

bool Egress::has_room(const State& state, std::size_t size) const noexcept {
  const std::size_t frames = state.sizes.size();
  const std::uint64_t after = state.bytes + size;
  if (frames >= state.terms.frames) return false;
  if (frames != 0 && after > state.terms.bytes) return false;
  if (outstanding_ + size > peer_bytes_) return false;
  if (after <= reserved_) return true;
  const std::uint64_t shared = peer_bytes_ / 2;
  const std::uint64_t part = after - reserved_;
  const std::uint64_t used = shared_used_ - beyond_reserve(state.bytes);
  if (frames == 0) {
    // The first frame of a stream may have any size; one that does not fit into what is shared may
    // take an eighth of whatever is free, so that a few stalled streams do not stop it.
    return used + part <= shared || size <= (peer_bytes_ - outstanding_) / 8;
  }
  // Further ones come after first ones that find no room, and after what the consumer has shown
  // that it takes. They leave the others their part: the same to each while all keep to it; where
  // stalled streams have more, of what is left a part so small that the last to come finds nearly
  // as much as the first.
  if (hungry_ != 0 || part > state.taken || used + part > shared) return false;
  const std::size_t users = users_ + static_cast<std::size_t>(!uses(state));
  return part <= std::min(shared / 3, (shared - shared_used_) / 2) / users;
}

bool Egress::admits(Slot slot, std::size_t size) const noexcept {
  const State* state = find(slot);
  return state != nullptr && state->phase == Phase::open && !state->waiting &&
         has_room(*state, size);
}

void Egress::put(Slot slot, State& state, ByteSpan frame) {
  const bool used = uses(state);
  batcher_.data(slot, state.next_sequence++, frame);
  state.sizes.push(static_cast<std::uint32_t>(frame.size()));
  set_bytes(state, state.bytes + frame.size());
  recount(state, used);
}

void Egress::send(Slot slot, ByteSpan frame) {
  State* state = find(slot);
  VELO_DCHECK(state != nullptr && state->phase == Phase::open);
  put(slot, *state, frame);
}

void Egress::wait(Slot slot, Bytes frame) {
  State* state = find(slot);
  VELO_DCHECK(state != nullptr && state->phase == Phase::open && !state->waiting);
  const bool used = uses(*state);
  ++waiting_;
  waiting_bytes_ += frame.size();
  state->waiting = std::move(frame);
  recount(*state, used);
  state->stopped_frames = state->sizes.size();
  state->stopped_bytes = state->bytes;
  set_hungry(*state, state->sizes.size() == 0);
  if (state->hungry) queue(slot, *state);
}

bool Egress::is_worth_a_look(const State& state) noexcept {
  const std::size_t frames = state.sizes.size();
  if (frames == 0) return true;
  const bool half = 2 * frames <= state.stopped_frames || 2 * state.bytes <= state.stopped_bytes;
  return half && (state.stopped_frames - frames >= egress_detail::run_frames ||
                  state.stopped_bytes - state.bytes >= egress_detail::run_bytes);
}

void Egress::queue(Slot slot, State& state) {
  if (std::exchange(state.queued, true)) return;
  fifo_.push_back(slot);
}

bool Egress::waiting(Slot slot) const noexcept {
  const State* state = find(slot);
  return state != nullptr && state->waiting.has_value();
}

bool Egress::stop_waiting(Slot slot) {
  State* state = find(slot);
  if (state == nullptr || !state->waiting) return false;
  forget_waiting(*state);
  if (state->has_terminal) put_end(slot, *state, std::exchange(state->terminal, {}));
  return true;
}

void Egress::forget_waiting(State& state) noexcept {
  if (!state.waiting) return;
  --waiting_;
  waiting_bytes_ -= state.waiting->size();
  state.waiting.reset();
  set_hungry(state, false);
  recount(state, true);
}

std::uint64_t Egress::session(Slot slot) const noexcept {
  const State* state = find(slot);
  return state == nullptr ? 0 : state->session;
}

std::vector<Slot> Egress::admit_waiting() {
  std::vector<Slot> admitted;
  for (std::size_t left = fifo_.size(); left > 0; --left) {
    const Slot slot = fifo_.front();
    fifo_.pop_front();
    State* state = find(slot);
    if (state == nullptr) continue;
    if (!state->waiting) {
      state->queued = false;
      continue;
    }
    if (!has_room(*state, state->waiting->size())) {
      set_hungry(*state, state->sizes.size() == 0);
      state->queued = state->hungry;
      if (state->hungry) fifo_.push_back(slot);
      continue;
    }
    state->queued = false;
    put(slot, *state, *state->waiting);
    forget_waiting(*state);
    admitted.push_back(slot);
    if (state->has_terminal) put_end(slot, *state, std::exchange(state->terminal, {}));
  }
  return admitted;
}

void Egress::put_end(Slot slot, State& state, ByteSpan terminal) {
  if (!terminal.empty()) put(slot, state, terminal);
  batcher_.close_slot(slot, CloseReason::terminal_sent, state.session);
  state.terminal = {};
  state.has_terminal = false;
  state.phase = Phase::ending;
}

void Egress::end(Slot slot, ByteSpan terminal) {
  State* state = find(slot);
  if (state == nullptr || state->phase != Phase::open || state->has_terminal) return;
  if (state->waiting) {
    state->has_terminal = true;
    state->terminal = Bytes::copy(terminal);
    return;
  }
  put_end(slot, *state, terminal);
}

void Egress::cut(Slot slot, ByteSpan terminal) {
  State* state = find(slot);
  if (state == nullptr || state->phase != Phase::open) return;
  forget_waiting(*state);
  put_end(slot, *state, terminal);
}

bool Egress::on_credit(Slot slot, std::uint32_t frames) {
  State* state = find(slot);
  if (state == nullptr) return true;
  if (frames > state->sizes.size()) return false;
  const bool used = uses(*state);
  std::uint64_t bytes = state->bytes;
  for (; frames > 0; --frames) bytes -= state->sizes.pop();
  state->taken += state->bytes - bytes;
  set_bytes(*state, bytes);
  recount(*state, used);
  if (state->waiting && is_worth_a_look(*state)) queue(slot, *state);
  return true;
}

Egress::Closed Egress::on_close(Slot slot, CloseReason reason, std::uint64_t session) {
  State* state = find(slot);
  if (state == nullptr || (session != 0 && session != state->session)) return Closed::ignored;
  if (reason == CloseReason::terminal_sent) {
    if (state->phase != Phase::ending) return Closed::ignored;
    release(slot.index(), *state);
    return Closed::taken;
  }
  if (reason == CloseReason::unknown_slot) {
    release(slot.index(), *state);
    return Closed::unknown;
  }
  cut(slot, {});
  return Closed::refused;
}

void Egress::release(std::uint32_t index, State& state) noexcept {
  forget_waiting(state);
  const bool used = uses(state);
  set_bytes(state, 0);
  state.sizes.clear();
  recount(state, used);
  state.terminal = {};
  state.has_terminal = false;
  state.queued = false;
  state.phase = Phase::free;
  ++state.generation;
  --live_;
  free_.push_back(index);
}

void Egress::heartbeat() {
  for (std::uint32_t index = 0; index < states_.size(); ++index) {
    const State& state = states_[index];
    if (state.phase == Phase::open) batcher_.heartbeat(Slot(index, state.generation));
  }
}

std::vector<Slot> Egress::reset() {
  std::vector<Slot> lost;
  for (std::uint32_t index = 0; index < states_.size(); ++index) {
    State& state = states_[index];
    if (state.phase == Phase::free) continue;
    lost.emplace_back(index, state.generation);
    release(index, state);
  }
  fifo_.clear();
  return lost;
}

bool Egress::is_open(Slot slot) const noexcept {
  const State* state = find(slot);
  return state != nullptr && state->phase == Phase::open && !state->has_terminal;
}

}  // namespace velo::streaming
