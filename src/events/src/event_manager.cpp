// SPDX-License-Identifier: Apache-2.0
// The public types over the engine.

#include <velo/events/event_manager.hpp>

#include "engine.hpp"
#include "why_walk.hpp"

#include <velo/base/ids.hpp>

#include <fmt/format.h>

#include <charconv>

namespace velo {

std::string_view to_string(EventStatus status) noexcept {
  switch (status) {
    case EventStatus::pending: return "pending";
    case EventStatus::ready: return "ready";
    case EventStatus::poisoned: return "poisoned";
  }
  return "unknown";
}

std::optional<EventPoison> EventPoison::of(const Error& error) {
  const bool lost = error.is(events::Errc::owner_lost);
  if (!lost && !error.is(events::Errc::poisoned)) return std::nullopt;
  return EventPoison{error.context(), lost};
}

std::string EventCapability::to_string() const {
  return fmt::format("{:016x}{:016x}", codec::high_half(token_), codec::low_half(token_));
}

Result<EventCapability> EventCapability::parse(std::string_view text) {
  std::uint64_t halves[2] = {0, 0};
  bool read = text.size() == 32;
  for (std::size_t i = 0; read && i < 2; ++i) {
    const char* from = text.data() + i * 16;
    const auto end = std::from_chars(from, from + 16, halves[i], 16);
    read = end.ec == std::errc() && end.ptr == from + 16;
  }
  if (!read) {
    return make_error(Errc::invalid_argument, "an event's capability is 32 hexadecimal digits");
  }
  return EventCapability(codec::u128_from_halves(halves[0], halves[1]));
}

EventAwaiter Event::awaiter() const { return engine_->await(handle_); }
EventCapability Event::capability() const { return engine_->capability_of(handle_); }

Result<void> Event::trigger() && {
  const auto engine = std::move(engine_);
  return engine->complete_own(handle_, events::Outcome::ready(), EventCapability(), true);
}
Result<void> Event::poison(std::string_view reason) && {
  const auto engine = std::move(engine_);
  return engine->complete_own(handle_, events::Outcome::poisoned(events::make_reason(reason)),
                              EventCapability(), true);
}
EventHandle Event::into_handle() && noexcept {
  engine_.reset();
  return handle_;
}
void Event::drop() noexcept { engine_->drop(handle_); }

namespace event_manager_detail {

/// Ends a manager that is alone with its last copy.
struct Keeper {
  explicit Keeper(std::shared_ptr<events::Engine> e) noexcept : engine(std::move(e)) {}
  Keeper(const Keeper&) = delete;
  ~Keeper() {
    const auto gone = events::Outcome::poisoned(events::make_reason("the event manager is gone"));
    engine->shut_down(gone, gone);
  }
  std::shared_ptr<events::Engine> engine;
};

}  // namespace event_manager_detail

EventManager EventManager::alone(World& world, const EventOptions& options) {
  const WorkerId system = InstanceId::random(world.random()).worker_id();
  auto engine = std::make_shared<events::Engine>(world, system, options, true);
  auto keeper = std::make_shared<event_manager_detail::Keeper>(engine);
  return {std::move(engine), std::move(keeper)};
}

Result<Event> EventManager::new_event(NewEvent how) const {
  auto created = engine_->create(how);
  if (!created) return created.error();
  return Event(engine_, *created);
}

EventAwaiter EventManager::awaiter(const EventHandle& event) const { return engine_->await(event); }
Op<EventStatus> EventManager::poll(const EventHandle& event) const { return engine_->poll(event); }

Op<void> EventManager::trigger(const EventHandle& event, const EventCapability& capability) const {
  return engine_->complete(event, events::Outcome::ready(), capability);
}
Op<void> EventManager::poison(const EventHandle& event, std::string_view reason,
                              const EventCapability& capability) const {
  return engine_->complete(event, events::Outcome::poisoned(events::make_reason(reason)),
                           capability);
}

Result<EventHandle> EventManager::merge_events(std::span<const EventHandle> all,
                                               MergeOptions options) const {
  return engine_->merge(
      all, options.collect_reasons ? events::GateKind::all_patient : events::GateKind::all);
}
Result<EventHandle> EventManager::any_of(std::span<const EventHandle> events) const {
  return engine_->merge(events, events::GateKind::any);
}

Result<void> EventManager::annotate(const EventHandle& event, EventNote note) const {
  return engine_->annotate(event, std::move(note));
}
void EventManager::force_shutdown(std::string_view reason) const {
  const auto poison = events::Outcome::poisoned(events::make_reason(reason));
  engine_->shut_down(poison, poison);
}
Op<EventWhy> EventManager::why(const EventHandle& event) const {
  return events::walk_why(engine_, event);
}
EventCounts EventManager::counts() const { return engine_->counts(); }

}  // namespace velo
