// SPDX-License-Identifier: Apache-2.0
// Slots of calls in flight: allocation, arbitration, and the table's end.

#include "call_table.hpp"

#include "protocol.hpp"
#include "tracer.hpp"
#include "waiting_send.hpp"

#include <velo/base/check.hpp>
#include <velo/transport/limits.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace velo::messenger {

struct CallTable::Chunk {
  alignas(CallSlot) std::byte storage[sizeof(CallSlot) * chunk_slots];
  CallSlot* slot(std::uint32_t offset) noexcept {
    return std::launder(reinterpret_cast<CallSlot*>(storage)) + offset;
  }
};

/// Cancels the call when its caller's stop source says so.
struct CallSlot::StopLink {
  struct Cancel {
    CallSlot* slot;
    std::uint64_t generation;
    void operator()() const noexcept { slot->cancel_call(generation); }
  };
  std::stop_callback<Cancel> callback;
  StopLink(std::stop_token token, CallSlot& slot, std::uint64_t generation)
      : callback(std::move(token), Cancel{&slot, generation}) {}
};

CallSlot::CallSlot(CallTable& table, std::uint16_t index) noexcept
    : ReplyState(state_table), table_of_(table), index_(index) {}

MessageId CallSlot::id() const noexcept {
  return MessageId::of_slot(table_of_.worker(), index_, generation_);
}

void CallSlot::finish(Fate fate, std::optional<Error> error, bool here) noexcept {
  if (was_staged_) [[unlikely]] {
    if (const auto events = table_of_.events_.lock()) events->on_staged_over(id());
  }
  reply.fate = fate;
  reply.left = travels_on.serial() != 0;
  if (error && (!reply.left || fate == Fate::rejected)) error->mark_without_effect();
  if (!system) {
    if (is_timed(generation_)) [[unlikely]] {
      const Duration began(began_ns.load(std::memory_order_relaxed));
      table_of_.ledger().call_times.record(table_of_.world_.clock().now() - TimePoint(began));
    }
    const Account account = travels_on.account();
    if (fate == Fate::rejected && error) {
      table_of_.ledger().rejected(account, pattern, error->code());
    } else {
      table_of_.ledger().ended(account, pattern, fate);
    }
  }
  if (span != nullptr) [[unlikely]] {
    const std::shared_ptr<OpenSpan> ended = std::exchange(span, nullptr);
    ended->end(error ? &*error : nullptr, fate_name(fate));
  }
  reply.error = std::move(error);
  publish(here);
}

void CallSlot::end(std::optional<Error> error, bool here) noexcept {
  Fate fate = fate_of(pattern, error);
  // What no connection took, no handler ended.
  const bool unsent = travels_on.serial() == 0;
  if (error && unsent && fate_of(pattern, std::nullopt) == fate) fate = Fate::rejected;
  finish(fate, std::move(error), here);
}

void CallSlot::end_as_handled(Error error) noexcept {
  finish(fate_of(pattern, std::nullopt), std::move(error), true);
}

void CallSlot::end_as_unknown(Error error) noexcept {
  finish(Fate::unknown, std::move(error), false);
}

void CallSlot::end_as_not_sent(Error error) noexcept {
  travels_on.reset(generation_);
  finish(Fate::rejected, std::move(error), true);
}

SendStatus status_of(const Reply& ended) noexcept {
  SendStatus status;
  status.ended = true;
  status.fate = ended.fate;
  status.may_have_been_handled = ended.left && ended.fate != Fate::rejected;
  const bool answered = ended.fate == Fate::acknowledged || ended.fate == Fate::handled ||
                        ended.fate == Fate::rejected;
  if (ended.left) status.stage = answered ? SendStage::acknowledged : SendStage::written;
  return status;
}

SendStatus CallSlot::status() const noexcept {
  if (done()) return status_of(reply);
  SendStatus status;
  const std::uint64_t serial = travels_on.serial();
  if (serial == 0) return status;
  status.may_have_been_handled = true;
  const std::uint64_t end = stream_end.load(std::memory_order_acquire);
  const auto events = table_of_.events_.lock();
  if (events && events->written_on(serial, end)) status.stage = SendStage::written;
  return status;
}

void CallSlot::cancel_call(std::uint64_t generation) noexcept {
  if (!claim(generation)) return;
  const MessageId cancelled = id();
  const std::uint64_t serial = travels_on.serial();
  const std::uint32_t lane = travels_on.lane();
  const Pattern cancelled_pattern = pattern;
  const std::uint64_t charged = charge();
  auto events = table_of_.events_.lock();
  // Nothing of this slot may be touched after its end: the consumer may be gone already.
  end(make_error(Errc::cancelled), false);
  if (events) events->on_cancelled(cancelled, serial, cancelled_pattern, charged, lane);
}

void CallSlot::on_cancel(OpState& state) noexcept {
  auto& slot = static_cast<CallSlot&>(state);
  // Fire is only forgotten: it was admitted, and what was admitted is written.
  if (slot.pattern != Pattern::fire) slot.cancel_call(slot.generation_);
}

void CallSlot::on_recycle(OpState& state) noexcept {
  auto& slot = static_cast<CallSlot&>(state);
  slot.table_of_.recycle(slot);
}

CallTable* CallTable::create(World& world, WorkerId worker, std::size_t calls_max,
                             std::uint64_t first_generation) {
  return new CallTable(world, worker, calls_max, first_generation);
}

CallTable::CallTable(World& world, WorkerId worker, std::size_t calls_max,
                     std::uint64_t first_generation)
    : world_(world),
      worker_(worker),
      calls_max_(static_cast<std::uint32_t>(calls_max)),
      first_generation_(first_generation & ((std::uint64_t{1} << 47U) - 1)),
      caches_(world.shard_count()) {
  for (std::size_t i = 0; i < caches_.size(); ++i) caches_[i].shard = &world.shard(i);
}

CallTable::~CallTable() {
  for (auto& place : chunks_) {
    Chunk* chunk = place.load(std::memory_order_relaxed);
    if (chunk == nullptr) continue;
    for (std::uint32_t i = 0; i < chunk_slots; ++i) chunk->slot(i)->~CallSlot();
    delete chunk;
  }
}

CallSlot* CallTable::find(std::uint16_t index) noexcept {
  if (index >= high_water_.load(std::memory_order_acquire)) return nullptr;
  Chunk* chunk = chunks_[index / chunk_slots].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : chunk->slot(index % chunk_slots);
}

CallTable::Cache* CallTable::cache_of_this_thread() noexcept {
  const Executor* executor = Executor::current();
  if (executor == nullptr || calls_max_ < cached_calls_min) return nullptr;
  for (Cache& cache : caches_) {
    if (cache.shard == executor) return cache.closed ? nullptr : &cache;
  }
  return nullptr;
}

CallSlot* CallTable::pop_global() noexcept {
  std::uint64_t head = head_.load(std::memory_order_acquire);
  for (;;) {
    const std::uint64_t index = head & index_mask;
    if (index == 0) return nullptr;
    CallSlot* slot = find(static_cast<std::uint16_t>(index - 1));
    // A slot that another thread popped meanwhile may show a stale successor; the tag makes the
    // exchange fail then.
    const std::uint64_t next = std::atomic_ref(slot->next_free_).load(std::memory_order_relaxed);
    const std::uint64_t wanted = ((head & ~index_mask) | next) + out_one + tag_one;
    if (head_.compare_exchange_weak(head, wanted, std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      return slot;
    }
  }
}

void CallTable::push_global(CallSlot& slot) noexcept {
  std::uint64_t head = head_.load(std::memory_order_relaxed);
  std::uint64_t wanted = 0;
  std::shared_ptr<CallTableEvents> events;
  do {
    // Whoever takes the slot may end the table with it: nothing of it is touched afterwards.
    if ((head & waiting_bit) != 0 && events == nullptr) events = events_.lock();
    std::atomic_ref(slot.next_free_)
        .store(static_cast<std::uint32_t>(head & index_mask), std::memory_order_relaxed);
    wanted = ((head & ~index_mask) | (slot.index_ + 1U)) - out_one + tag_one;
  } while (!head_.compare_exchange_weak(head, wanted, std::memory_order_acq_rel,
                                        std::memory_order_relaxed));
  if ((wanted & orphaned_bit) != 0 && (wanted & out_mask) == 0) {
    delete this;
  } else if ((wanted & waiting_bit) != 0 && events != nullptr) {
    events->on_capacity();
  }
}

CallSlot* CallTable::grow(std::uint32_t end) noexcept {
  std::uint32_t index = high_water_.load(std::memory_order_relaxed);
  // A chunk is created by whoever needs it first; a slot by whoever raises the high-water mark over
  // it.
  static_assert(std::size_t{chunk_slots} * chunk_count > limits::calls_max);
  for (;;) {
    if (index >= end) return nullptr;
    auto& place = chunks_[index / chunk_slots];
    Chunk* chunk = place.load(std::memory_order_acquire);
    if (chunk == nullptr) {
      auto* fresh = new Chunk;
      for (std::uint32_t i = 0; i < chunk_slots; ++i) {
        const std::uint32_t base = index / chunk_slots * chunk_slots;
        new (fresh->slot(i)) CallSlot(*this, static_cast<std::uint16_t>(base + i));
      }
      if (place.compare_exchange_strong(chunk, fresh, std::memory_order_acq_rel)) {
        chunk = fresh;
      } else {
        for (std::uint32_t i = 0; i < chunk_slots; ++i) fresh->slot(i)->~CallSlot();
        delete fresh;
      }
    }
    if (high_water_.compare_exchange_weak(index, index + 1, std::memory_order_acq_rel)) {
      head_.fetch_add(out_one, std::memory_order_relaxed);
      return chunk->slot(index % chunk_slots);
    }
  }
}

CallSlot* CallTable::take(Cache* cache) noexcept {
  if (cache != nullptr && cache->count > 0) return find(cache->slots[--cache->count]);
  if (CallSlot* slot = pop_global()) return slot;
  return grow(calls_max_);
}

CallSlot* CallTable::take_reserved() noexcept {
  const std::lock_guard lock(reserved_mutex_);
  if (reserved_.empty()) {
    return grow(std::min(calls_max_ + reserved_max, chunk_slots * chunk_count));
  }
  CallSlot* slot = find(reserved_.back());
  reserved_.pop_back();
  head_.fetch_add(out_one, std::memory_order_relaxed);
  return slot;
}

void CallTable::recycle_reserved(CallSlot& slot) noexcept {
  {
    const std::lock_guard lock(reserved_mutex_);
    reserved_.push_back(slot.index_);
  }
  const std::uint64_t left = head_.fetch_sub(out_one, std::memory_order_acq_rel) - out_one;
  if ((left & orphaned_bit) != 0 && (left & out_mask) == 0) delete this;
}

CallSlot* CallTable::allocate(const Start& start) {
  Cache* cache = cache_of_this_thread();
  CallSlot* slot = take(cache);
  if (slot == nullptr && start.system) slot = take_reserved();
  if (slot == nullptr) return nullptr;
  slot->generation_ =
      slot->generation_ == 0 ? first_generation_ + 1 : (slot->generation_ + 1) & 0xffffffffffffULL;
  if (slot->generation_ == 0) slot->generation_ = 1;
  slot->reset(world_.pool());
  slot->pattern = start.pattern;
  slot->system = start.system;
  if (start.span != nullptr) [[unlikely]]
    slot->span = *start.span;
  slot->began_ns.store(start.began.nanoseconds(), std::memory_order_relaxed);
  slot->deadline_ns.store(start.deadline.nanoseconds(), std::memory_order_relaxed);
  slot->travels_on.reset(slot->generation_);
  slot->window_charge.reset(slot->generation_);
  slot->stream_end.store(0, std::memory_order_relaxed);
  const std::uint64_t live = CallSlot::live_word(slot->generation_, CallSlot::claimable_bit);
  if (cache == caches_.data()) {
    slot->live_.store(live,
                      std::memory_order_release);  // the deadline sweep runs on this very thread
  } else {
    // Sequentially consistent against the sweep, which announces itself before it looks at the
    // slots.
    slot->live_.store(live, std::memory_order_seq_cst);
  }
  return slot;
}

void CallTable::watch_stop(CallSlot& slot, std::stop_token token) {
  if (!token.stop_possible()) return;
  slot.stop_ = std::make_unique<CallSlot::StopLink>(std::move(token), slot, slot.generation_);
}

void CallTable::recycle(CallSlot& slot) noexcept {
  slot.stop_.reset();
  slot.reply = Reply();
  if (slot.index_ >= calls_max_) return recycle_reserved(slot);
  if ((head_.load(std::memory_order_relaxed) & waiting_bit) == 0) {
    Cache* cache = cache_of_this_thread();
    if (cache != nullptr && cache->count < cache_max) {
      cache->slots[cache->count++] = slot.index_;
      return;
    }
  }
  push_global(slot);
}

void CallTable::close_cache(std::size_t shard) noexcept {
  Cache& cache = caches_[shard];
  cache.closed = true;
  while (cache.count > 0) push_global(*find(cache.slots[--cache.count]));
}

void CallTable::orphan() noexcept {
  const std::uint64_t before = head_.fetch_or(orphaned_bit, std::memory_order_acq_rel);
  if ((before & out_mask) == 0) delete this;
}

namespace call_table_detail {

struct EndedState final : ReplyState {
  EndedState() noexcept : ReplyState(table) {}
  static void on_cancel(OpState& /*state*/) noexcept {}
  static void on_recycle(OpState& state) noexcept { delete static_cast<EndedState*>(&state); }
  static constexpr Table table{&on_cancel, &on_recycle};
  static bool is_ended(const OpState& state) noexcept { return state.kind() == &table; }
  using OpState::publish;
  using OpState::reset;
};

}  // namespace call_table_detail

OpState& ended_before_start(World& world, Error error) {
  auto* state = new call_table_detail::EndedState;
  state->reset(world.pool());
  error.mark_without_effect();
  state->reply.error = std::move(error);
  state->publish();
  return *state;
}

std::optional<SendStatus> status_of(const OpState& state) {
  if (CallSlot::is_slot(state)) return static_cast<const CallSlot&>(state).status();
  if (WaitingSend::is_waiting(state)) return static_cast<const WaitingSend&>(state).status();
  if (!call_table_detail::EndedState::is_ended(state)) return std::nullopt;
  if (state.done()) return status_of(static_cast<const ReplyState&>(state).reply);
  return SendStatus();
}

Headers reply_headers(const Reply& reply) {
  if (reply.headers.empty()) return {};
  auto decoded = protocol::decode_headers(reply.headers);
  return decoded ? std::move(*decoded) : Headers();
}

Reply take_reply(OpState& state) {
  Reply reply = std::move(static_cast<ReplyState&>(state).reply);
  // From here on it is the application's to keep.
  if (reply.payload.size() >= transport::limits::shared_payload_bytes_min) {
    reply.payload.end_charge();
  }
  return reply;
}

}  // namespace velo::messenger
