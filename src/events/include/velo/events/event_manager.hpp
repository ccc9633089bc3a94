// SPDX-License-Identifier: Apache-2.0
// EventManager: makes events, awaits, completes and merges them by their handles, whoever owns
// them. One that is attached to a messenger reaches other machines' events; one that is alone knows
// its own process only. It is a handle itself: copies are the same manager.
// Threading: every function from any thread, handlers and continuations included.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/op.hpp>
#include <velo/base/time.hpp>
#include <velo/base/world.hpp>
#include <velo/events/error.hpp>
#include <velo/events/event.hpp>
#include <velo/events/handle.hpp>
#include <velo/events/limits.hpp>
#include <velo/events/why.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace velo {

struct EventOptions {
  /// Events pending at once.
  std::size_t events_max = events::limits::events_max;
  /// How long an owner may be out of reach before its events are poisoned for awaiters here.
  Duration owner_patience = events::limits::owner_patience;
  /// How often an owner is asked again, in case a notification was lost.
  Duration renewal = events::limits::renewal;
  /// Speaks like the public velo, towards everybody.
  bool public_protocol = false;

  EventOptions() = default;
};

struct NewEvent {
  /// Nobody but this process can await or complete it. All events of a manager that is alone are.
  bool local_only = false;
  /// Who knows the handle may await it, but to trigger or poison it takes its capability.
  bool guarded = false;

  NewEvent() = default;
};

struct MergeOptions {
  /// A merged event is poisoned as soon as one that it waits for is, with the reasons known by
  /// then. With this it waits for all of them first, and is poisoned with all reasons.
  bool collect_reasons = false;

  MergeOptions() = default;
};

/// What a manager holds and has done; exact when nothing moves.
struct EventCounts {
  std::uint64_t pending = 0;         ///< own events
  std::uint64_t remote_awaits = 0;   ///< others' events that are awaited here
  std::uint64_t subscriptions = 0;   ///< of others, to own events
  std::uint64_t unacknowledged = 0;  ///< completions on their way to subscribers
  // So far:
  std::uint64_t created = 0;
  std::uint64_t triggered = 0;      ///< own events
  std::uint64_t poisoned = 0;       ///< own events
  std::uint64_t awaits_known = 0;   ///< awaiters of others' events that were known to be over,
  std::uint64_t awaits_shared = 0;  ///< that were awaited already,
  std::uint64_t awaits_asked = 0;   ///< and whose owner had to be asked
  std::uint64_t owners_lost = 0;    ///< others' events that were poisoned here for that
  std::uint64_t messages = 0;       ///< sent to others

  EventCounts() = default;
};

class EventManager {
 public:
  /// One without a messenger. When its last copy is gone, what is pending is poisoned. `world`
  /// outlives it and its awaiters.
  static EventManager alone(World& world, const EventOptions& options = EventOptions());

  /// For attach() and Velo.
  EventManager(std::shared_ptr<events::Engine> engine, std::shared_ptr<void> keeper) noexcept
      : engine_(std::move(engine)), keeper_(std::move(keeper)) {}

  /// events::Errc::too_many_events; velo::Errc::shutting_down after the end.
  Result<Event> new_event(NewEvent how = NewEvent()) const;

  /// Waits for the event, which may be over already: then for as long as its owner remembers how it
  /// ended, its outcome, otherwise events::Errc::forgotten. Awaiting an older generation of a slot
  /// ends at once. Of another machine's event: the first awaiter subscribes with the owner, further
  /// ones share that, and what is known to have completed (the last limits::completed_cache_max)
  /// costs no message. Waiting has no deadline of its own.
  EventAwaiter awaiter(const EventHandle& event) const;

  /// How the event is doing, which its owner is asked if need be. Errors as of awaiter(), and of a
  /// call to the owner; velo::Errc::unsupported of an owner that speaks the public protocol only.
  Op<EventStatus> poll(const EventHandle& event) const;

  /// Completes an event by its handle, answered by its owner. Errors: already_completed,
  /// unknown_event, forgotten, foreign_event, capability_needed; of a call to the owner, where
  /// may_have_been_handled() says whether it may have been done all the same. Dropping the Op does
  /// not take it back.
  Op<void> trigger(const EventHandle& event,
                   const EventCapability& capability = EventCapability()) const;
  /// The same, badly. A poisoned event stays as it is, which is no error. A reason longer than
  /// limits::reason_bytes_max is cut off.
  Op<void> poison(const EventHandle& event, std::string_view reason,
                  const EventCapability& capability = EventCapability()) const;

  /// A new event of this manager that is triggered when all of these have been, on whichever
  /// machines they are, and poisoned when one of them is (MergeOptions says when). It always
  /// completes if they do, and so it does when their owners die. Of none: triggered at once.
  Result<EventHandle> merge_events(std::span<const EventHandle> all,
                                   MergeOptions options = MergeOptions()) const;
  Result<EventHandle> merge_events(std::initializer_list<EventHandle> all,
                                   MergeOptions options = MergeOptions()) const {
    return merge_events(std::span<const EventHandle>(all.begin(), all.size()), options);
  }
  /// A new event that is triggered when one of these is, and poisoned when all of them are, with
  /// all their reasons. Of none: velo::Errc::invalid_argument.
  Result<EventHandle> any_of(std::span<const EventHandle> events) const;
  Result<EventHandle> any_of(std::initializer_list<EventHandle> events) const {
    return any_of(std::span<const EventHandle>(events.begin(), events.size()));
  }

  /// What people should know of a pending event of this manager, until it completes; replaces an
  /// earlier note. Errors as of trigger(); velo::Errc::invalid_argument over limits::note_bytes_max
  /// or note_events_max.
  Result<void> annotate(const EventHandle& event, EventNote note) const;

  /// Why the event has not happened, as all machines involved tell; those that do not answer are
  /// listed with the reason. The Op does not fail.
  Op<EventWhy> why(const EventHandle& event) const;

  /// Poisons every event that is pending here, ends every awaiter, and makes no more events.
  void force_shutdown(std::string_view reason) const;

  EventCounts counts() const;

  /// For rooms that build on it.
  const std::shared_ptr<events::Engine>& engine() const noexcept { return engine_; }

 private:
  std::shared_ptr<events::Engine> engine_;
  std::shared_ptr<void> keeper_;
};

}  // namespace velo
