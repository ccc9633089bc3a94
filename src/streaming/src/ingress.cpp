// SPDX-License-Identifier: Apache-2.0
// Slots of incoming streams: order, credit and endings.

#include "ingress.hpp"

#include <velo/base/planted.hpp>

#include <algorithm>
#include <utility>

namespace velo::streaming {

Ingress::State* Ingress::find(Slot slot) noexcept {
  if (slot.index() >= states_.size()) return nullptr;
  State& state = states_[slot.index()];
  return state.phase != Phase::free && state.generation == slot.generation() ? &state : nullptr;
}

const Ingress::State* Ingress::find(Slot slot) const noexcept {
  return const_cast<Ingress*>(this)->find(slot);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

Ingress::Arrival Ingress::on_batch(const BatchHeader& header, std::uint64_t ours) noexcept {
  if (epoch_ != header.epoch) {
    const bool was_alive = epoch_.has_value() && !dead_;
    epoch_ = header.epoch;
    dead_ = false;
    next_batch_ = header.sequence + 1;
    const bool of_ours = header.hears && header.hears->epoch == ours;
    if (of_ours && !header.hears->alive) return Arrival::new_epoch;
    // Its beginning may be lost, or have reached a predecessor of this object: slots that are not
    // known are answered so.
    if (!was_alive) return Arrival::next;
    // Both ends of a node's streams to itself begin anew together.
    return of_ours || header.epoch == ours ? Arrival::restarted : Arrival::new_epoch;
  }
  if (dead_) return Arrival::stale;
  if (header.sequence != next_batch_) {
    dead_ = true;
    return Arrival::gap;
  }
  ++next_batch_;
  return Arrival::next;
}

void Ingress::abandon_epoch() noexcept { dead_ = true; }

std::optional<HeardEpoch> Ingress::heard() const noexcept {
  if (!epoch_) return std::nullopt;
  return HeardEpoch{*epoch_, !dead_};
}

bool Ingress::open(Slot slot, std::uint64_t session, StreamTerms terms) {
  if (slot.index() >= slots_max_) return false;
  if (slot.index() >= states_.size()) states_.resize(slot.index() + 1);
  State& state = states_[slot.index()];
  if (state.phase != Phase::free) return false;
  state = State();
  state.phase = Phase::open;
  state.generation = slot.generation();
  state.session = session;
  state.terms = terms;
  ++live_;
  return true;
}

void Ingress::forget(Slot slot) noexcept {
  State* state = find(slot);
  if (state == nullptr) return;
  state->phase = Phase::free;
  --live_;
}

Ingress::Verdict Ingress::on_data(Slot slot, std::uint32_t sequence, std::size_t size) {
  State* state = find(slot);
  if (state == nullptr) {
    batcher_.close_slot(slot, CloseReason::unknown_slot, 0);
    return Verdict::ignore;
  }
  if (state->phase == Phase::refused) return Verdict::ignore;
  // One frame more than the credit: the last one needs none. A single frame may be larger than
  // what is granted in bytes; the sender judges by what it knows to be free.
  if (state->phase == Phase::closed || sequence != state->next_sequence ||
      state->frames > state->terms.frames || size > limits::item_bytes_max + 64 ||
      (state->frames > 1 && state->bytes + size > state->terms.bytes + limits::text_bytes_max) ||
      held_ + size > peer_bytes_ + 2 * limits::item_bytes_max) {
    return Verdict::violation;
  }
  ++state->next_sequence;
  ++state->frames;
  state->bytes += size;
  held_ += size;
  return Verdict::accept;
}

bool Ingress::awaits_close(Slot slot, std::uint64_t session) const noexcept {
  const State* state = find(slot);
  return state != nullptr && state->session == session && state->phase != Phase::closed;
}

bool Ingress::on_close(Slot slot, std::uint64_t session) {
  State* state = find(slot);
  if (state == nullptr || (session != 0 && session != state->session)) {
    batcher_.close_slot(slot, CloseReason::unknown_slot, session);
    return false;
  }
  state->phase = Phase::closed;
  VELO_PLANT(early_ending, state->finished = true);
  free_if_over(slot, *state);
  return true;
}

void Ingress::consumed(Slot slot, std::uint32_t frames, std::uint64_t bytes) {
  State* state = find(slot);
  if (state == nullptr || state->phase == Phase::refused) return;
  state->credit_frames += frames;
  state->credit_bytes += bytes;
  dirty_bytes_ += bytes;
  if (!state->dirty) {
    state->dirty = true;
    dirty_.push_back(slot);
  }
  if (state->credit_frames >= std::max(1U, state->terms.frames / 2) ||
      state->credit_bytes >= state->terms.bytes / 2 || dirty_bytes_ >= peer_bytes_ / 16) {
    due_ = true;
  }
}

void Ingress::finish(Slot slot) {
  State* state = find(slot);
  if (state == nullptr) return;
  state->finished = true;
  free_if_over(slot, *state);
}

void Ingress::refuse(Slot slot, CloseReason reason) {
  State* state = find(slot);
  if (state == nullptr || state->finished) return;
  state->finished = true;
  // Also when everything has arrived: the sender must not hear only that it was taken.
  batcher_.close_slot(slot, reason, state->session);
  if (state->phase == Phase::open) state->phase = Phase::refused;
  held_ -= state->bytes;
  state->bytes = 0;
  free_if_over(slot, *state);
}

void Ingress::free_if_over(Slot slot, State& state) {
  if (state.phase != Phase::closed || !state.finished) return;
  batcher_.close_slot(slot, CloseReason::terminal_sent, state.session);
  held_ -= state.bytes;
  state.bytes = 0;
  state.phase = Phase::free;
  --live_;
}

void Ingress::write_credit() {
  for (const Slot slot : std::exchange(dirty_, {})) {
    State* state = find(slot);
    if (state == nullptr) continue;
    state->dirty = false;
    if (state->phase == Phase::open) batcher_.credit_update(slot, state->credit_frames);
    const std::uint64_t bytes = std::min(state->bytes, state->credit_bytes);
    state->frames -= std::min(state->frames, state->credit_frames);
    state->bytes -= bytes;
    held_ -= bytes;
    state->credit_frames = 0;
    state->credit_bytes = 0;
  }
  dirty_bytes_ = 0;
  due_ = false;
}

std::vector<Slot> Ingress::reset() {
  std::vector<Slot> lost;
  for (std::uint32_t index = 0; index < states_.size(); ++index) {
    State& state = states_[index];
    if (state.phase == Phase::free) continue;
    lost.emplace_back(index, state.generation);
    state.phase = Phase::free;
  }
  dirty_.clear();
  dirty_bytes_ = 0;
  due_ = false;
  live_ = 0;
  held_ = 0;
  return lost;
}

}  // namespace velo::streaming
