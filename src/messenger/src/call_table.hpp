// SPDX-License-Identifier: Apache-2.0
// The slots of calls in flight. A slot is the Op's state; its generation is the arbiter of
// exactly-once: reply, deadline, death of the connection, cancel and shutdown race for claim(), and
// only the winner stores the reply and publishes. Memory: chunks are allocated as needed and never
// move; the table outlives its messenger until the last Op let go.
// Threading: everything from any thread; a shard's own free list makes its own calls cheap.
#pragma once

#include "lanes.hpp"
#include "ledger.hpp"

#include <velo/base/op.hpp>
#include <velo/base/planted.hpp>
#include <velo/base/world.hpp>
#include <velo/messenger/call.hpp>
#include <velo/messenger/limits.hpp>
#include <velo/messenger/message_id.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

namespace velo::messenger {

class CallTable;
class CallSlot;

/// What the table tells its messenger. Called without locks held.
class CallTableEvents {
 public:
  /// The consumer cancelled a call that `slot` described; its serial says on which connection it
  /// travelled (0: none yet).
  /// `charge`: what it still takes of that connection's window.
  /// `lane`: which one of it.
  virtual void on_cancelled(MessageId id, std::uint64_t link_serial, Pattern pattern,
                            std::uint64_t charge, std::uint32_t lane) noexcept = 0;
  /// The call ended, and had marked itself with mark_staged().
  virtual void on_staged_over(MessageId id) noexcept = 0;
  /// A slot became free while sends wait for one.
  virtual void on_capacity() noexcept = 0;
  /// Whether the connection has written its stream up to `end`, or all of it if `end` is 0.
  virtual bool written_on(std::uint64_t link_serial, std::uint64_t end) const noexcept = 0;

 protected:
  ~CallTableEvents() = default;
};

/// An OpState that carries a Reply: a call slot, or a call that ended before it had one.
class ReplyState : public OpState {
 public:
  Reply reply;

 protected:
  using OpState::OpState;
};

/// The connection that a call travels on, as its serial (0: none yet), its lane there and the
/// peer's account, tied
/// to the call's generation, so that a sender that comes too late for its call changes nothing of
/// the slot's next one.
class LinkMark {
 public:
  static constexpr unsigned account_shift = 36;
  static constexpr unsigned lane_shift = 31;
  static constexpr std::uint64_t serial_mask = (std::uint64_t{1} << lane_shift) - 1;
  static_assert(limits::book_accounts_max + 2 <= 1U << (48 - account_shift));

  /// What the marks of a link's calls say.
  static std::uint64_t of(std::uint64_t serial, Account account, std::uint32_t lane = 0) noexcept {
    return std::uint64_t{account} << account_shift | (lane & lane_mask) << lane_shift |
           (serial & serial_mask);
  }

  std::uint64_t serial() const noexcept {
    return word_.load(std::memory_order_acquire) & serial_mask;
  }
  std::uint32_t lane() const noexcept {
    return static_cast<std::uint32_t>(word_.load(std::memory_order_acquire) >> lane_shift &
                                      lane_mask);
  }
  /// All of it, for other words that are tied to a generation.
  std::uint64_t value() const noexcept { return word_.load(std::memory_order_acquire) & mark_mask; }
  Account account() const noexcept {
    return static_cast<Account>((word_.load(std::memory_order_acquire) & mark_mask) >>
                                account_shift);
  }
  void reset(std::uint64_t generation) noexcept { set(generation, 0); }
  /// Only while the Op is not handed out, so that the slot cannot be another call's.
  void set(std::uint64_t generation, std::uint64_t mark) noexcept {
    word_.store(word(generation, mark), std::memory_order_release);
  }
  /// False, and nothing changed, when the slot is no longer that call's or the mark is not `from`.
  bool change(std::uint64_t generation, std::uint64_t from, std::uint64_t to) noexcept {
    std::uint64_t expected = word(generation, from);
    return word_.compare_exchange_strong(expected, word(generation, to), std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint64_t lane_mask = (std::uint64_t{1} << (account_shift - lane_shift)) - 1;
  static_assert(request_lanes <= lane_mask);
  static constexpr unsigned tag_shift = 48;
  static constexpr std::uint64_t mark_mask = (std::uint64_t{1} << tag_shift) - 1;
  static std::uint64_t word(std::uint64_t generation, std::uint64_t mark) noexcept {
    return generation << tag_shift | (mark & mark_mask);
  }

  std::atomic<std::uint64_t> word_{0};
};

class alignas(64) CallSlot final : public ReplyState {
 public:
  CallSlot(CallTable& table, std::uint16_t index) noexcept;

  /// Wins the right to end the call of this generation; exactly one caller ever does.
  bool claim(std::uint64_t generation) noexcept {
    VELO_PLANT(stale_end, generation = live_generation().value_or(generation));
    std::uint64_t live = live_.load(std::memory_order_relaxed);
    do {
      if ((live | marks) != live_word(generation, claimable_bit | marks)) return false;
    } while (!live_.compare_exchange_weak(live, live_word(generation, 0), std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    was_charged_ = (live & charged_bit) != 0;
    was_staged_ = (live & staged_bit) != 0;
    return true;
  }
  /// The call takes `window_charge` of its connection's window from here on, and whoever ends it
  /// gives that back. False when it has ended.
  bool mark_charged(std::uint64_t generation) noexcept {
    return set_mark(generation, charged_bit, true);
  }
  bool unmark_charged(std::uint64_t generation) noexcept {
    return set_mark(generation, charged_bit, false);
  }
  /// Its end is to be told to on_staged_over(). False when it has ended.
  bool mark_staged(std::uint64_t generation) noexcept {
    if (set_mark(generation, staged_bit, true)) return true;
    const std::uint64_t live = live_.load(std::memory_order_acquire);
    return (live | charged_bit) == live_word(generation, claimable_bit | marks);
  }
  /// What the call took of the window; for who won claim(), until it calls end().
  std::uint64_t charge() const noexcept { return was_charged_ ? window_charge.value() : 0; }
  /// The generation of the call that can be claimed now; nullopt when there is none.
  std::optional<std::uint64_t> live_generation() const noexcept {
    const std::uint64_t live = live_.load(std::memory_order_acquire);
    if ((live & claimable_bit) == 0) return std::nullopt;
    return live >> live_shift;
  }

  /// Stores the outcome, counts the fate and publishes. Only after claim() succeeded. Not `here`:
  /// continuations are posted.
  void end(std::optional<Error> error, bool here = true) noexcept;
  /// As end(), with an error that the handler itself decided, whatever code it chose.
  void end_as_handled(Error error) noexcept;
  /// It was sent, and what the peer did with it will not be heard.
  void end_as_unknown(Error error) noexcept;
  /// What the connection had taken did not leave this process.
  void end_as_not_sent(Error error) noexcept;

  static bool is_slot(const OpState& state) noexcept { return state.kind() == &state_table; }
  SendStatus status() const noexcept;

  MessageId id() const noexcept;

  // Written before the slot goes live, or by the sender; read by sweeps after live_generation().
  std::atomic<std::int64_t> deadline_ns{0};
  std::atomic<std::int64_t> began_ns{0};  ///< of a send that is no system one
  LinkMark travels_on;
  LinkMark window_charge;  ///< in bytes, in place of the serial
  /// End position in the connection's stream; 0: not known to be unsent.
  std::atomic<std::uint64_t> stream_end{0};
  Pattern pattern = Pattern::fire;
  bool system = false;
  std::shared_ptr<OpenSpan> span;  ///< ended by who won claim()

 private:
  friend class CallTable;
  struct StopLink;

  void cancel_call(std::uint64_t generation) noexcept;
  void finish(Fate fate, std::optional<Error> error, bool here) noexcept;
  static void on_cancel(OpState& state) noexcept;
  static void on_recycle(OpState& state) noexcept;
  static constexpr Table state_table{&on_cancel, &on_recycle};

  static constexpr std::uint64_t claimable_bit = 1;
  static constexpr std::uint64_t charged_bit = 2;
  static constexpr std::uint64_t staged_bit = 4;
  static constexpr std::uint64_t marks = charged_bit | staged_bit;
  static constexpr unsigned live_shift = 3;
  static constexpr std::uint64_t live_word(std::uint64_t generation, std::uint64_t bits) noexcept {
    return generation << live_shift | bits;
  }
  /// False when it has ended, or the mark is so already.
  bool set_mark(std::uint64_t generation, std::uint64_t mark, bool on) noexcept {
    std::uint64_t live = live_.load(std::memory_order_relaxed);
    do {
      if ((live | marks) != live_word(generation, claimable_bit | marks)) return false;
      if (((live & mark) != 0) == on) return false;
    } while (!live_.compare_exchange_weak(live, live ^ mark, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    return true;
  }

  std::atomic<std::uint64_t> live_{0};
  bool was_charged_ = false;
  bool was_staged_ = false;
  std::uint64_t generation_ = 0;
  CallTable& table_of_;
  std::unique_ptr<StopLink> stop_;
  std::uint32_t next_free_ = 0;
  std::uint16_t index_;
};

class CallTable {
 public:
  /// Owns itself from orphan() on. `first_generation` is random, so that generations of runs
  /// differ.
  static CallTable* create(World& world, WorkerId worker, std::size_t calls_max,
                           std::uint64_t first_generation);
  CallTable(const CallTable&) = delete;
  CallTable& operator=(const CallTable&) = delete;

  void set_events(std::weak_ptr<CallTableEvents> events) { events_ = std::move(events); }

  struct Start {
    Pattern pattern;
    bool system;
    TimePoint deadline;
    TimePoint began;
    const std::shared_ptr<OpenSpan>* span;  ///< of a call that is traced
    Start(Pattern p, bool s, TimePoint d) noexcept : Start(p, s, d, TimePoint(), nullptr) {}
    Start(Pattern p, bool s, TimePoint d, TimePoint b,
          const std::shared_ptr<OpenSpan>* traced) noexcept
        : pattern(p), system(s), deadline(d), began(b), span(traced) {}
  };
  /// A live slot, or null when all are taken. Then watch_stop() may follow, before the Op is handed
  /// out. velo's own calls have a few slots more than calls_max, so that a full table can still
  /// greet.
  CallSlot* allocate(const Start& start);
  void watch_stop(CallSlot& slot, std::stop_token token);

  CallSlot* find(std::uint16_t index) noexcept;

  /// Visits every slot that can be claimed: `visit(slot, generation)`.
  template <class F>
  void for_each_live(F visit) {
    const std::uint32_t end = high_water_.load(std::memory_order_acquire);
    for (std::uint32_t index = 0; index < end; ++index) {
      CallSlot* slot = find(static_cast<std::uint16_t>(index));
      if (slot == nullptr) continue;
      if (const auto generation = slot->live_generation()) visit(*slot, *generation);
    }
  }

  /// Sends are waiting: the next free slot is announced by on_capacity().
  /// Part of the free list's head, so that no slot can return to the list without seeing it.
  void set_waiting(bool waiting) noexcept {
    if (waiting) {
      head_.fetch_or(waiting_bit, std::memory_order_acq_rel);
    } else {
      head_.fetch_and(~waiting_bit, std::memory_order_acq_rel);
    }
  }

  /// Gives a shard's private free list back; on that shard's thread, after which it is not used
  /// again.
  void close_cache(std::size_t shard) noexcept;
  /// The messenger is gone and has ended every call; the table deletes itself with the last Op.
  void orphan() noexcept;

  WorkerId worker() const noexcept { return worker_; }
  Ledger& ledger() noexcept { return ledger_; }

 private:
  friend class CallSlot;
  static constexpr std::uint32_t chunk_slots = 256;
  static constexpr std::uint32_t chunk_count = 256;
  static constexpr std::uint32_t cache_max = 64;
  /// Small tables have no private free lists: a slot hidden in one would be missed.
  static constexpr std::uint32_t cached_calls_min = 4096;
  static constexpr std::uint32_t reserved_max = 1024;
  /// Head of the global free list: index + 1 (20 bits), slots not on it (20 bits), orphaned (1
  /// bit), sends are waiting (1 bit), tag (22 bits).
  static constexpr std::uint64_t index_mask = 0xfffff;
  static constexpr unsigned out_shift = 20;
  static constexpr std::uint64_t out_one = std::uint64_t{1} << out_shift;
  static constexpr std::uint64_t out_mask = std::uint64_t{0xfffff} << out_shift;
  static constexpr std::uint64_t orphaned_bit = std::uint64_t{1} << 40U;
  static constexpr std::uint64_t waiting_bit = std::uint64_t{1} << 41U;
  static constexpr std::uint64_t tag_one = std::uint64_t{1} << 42U;

  struct alignas(64) Cache {
    Shard* shard = nullptr;
    bool closed = false;
    std::uint32_t count = 0;
    std::array<std::uint16_t, cache_max> slots{};
  };
  struct Chunk;

  CallTable(World& world, WorkerId worker, std::size_t calls_max, std::uint64_t first_generation);
  ~CallTable();

  Cache* cache_of_this_thread() noexcept;
  CallSlot* take(Cache* cache) noexcept;
  CallSlot* pop_global() noexcept;
  CallSlot* grow(std::uint32_t end) noexcept;
  CallSlot* take_reserved() noexcept;
  void recycle_reserved(CallSlot& slot) noexcept;
  /// Tells sends that wait; the table may be gone when this returns.
  void push_global(CallSlot& slot) noexcept;
  void recycle(CallSlot& slot) noexcept;

  World& world_;
  const WorkerId worker_;
  const std::uint32_t calls_max_;
  const std::uint64_t first_generation_;
  std::weak_ptr<CallTableEvents> events_;
  alignas(64) std::atomic<std::uint64_t> head_{0};
  std::atomic<std::uint32_t> high_water_{0};
  std::vector<Cache> caches_;
  std::mutex reserved_mutex_;
  std::vector<std::uint16_t> reserved_;  ///< free ones of the indices from calls_max on
  std::array<std::atomic<Chunk*>, chunk_count> chunks_{};
  Ledger ledger_;
};

/// A call that ended before it had a slot.
OpState& ended_before_start(World& world, Error error);

}  // namespace velo::messenger
