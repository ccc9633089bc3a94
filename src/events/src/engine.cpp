// SPDX-License-Identifier: Apache-2.0
// The lock around the table, and awaiters as Ops.

#include "engine.hpp"

#include <velo/base/check.hpp>

#include <algorithm>

namespace velo::events {

/// Lives in a pooled node; the engine outlives it.
struct Engine::Awaiter final : OpState, AwaiterNode {
  explicit Awaiter(std::shared_ptr<Engine> owner) noexcept
      : OpState(ops), engine(std::move(owner)) {
    reset(engine->world_.pool());
  }

  static void on_cancel(OpState& state) noexcept {
    auto& self = static_cast<Awaiter&>(state);
    if (!self.done()) self.engine->cancel(self);
  }
  static void on_recycle(OpState& state) noexcept {
    static_assert(alignof(Awaiter) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__, "pooled nodes");
    delete &static_cast<Awaiter&>(state);
  }
  static Result<void> take(OpState& state) { return static_cast<Awaiter&>(state).outcome.result(); }
  static constexpr Table ops{&on_cancel, &on_recycle};

  void* operator new(std::size_t size) { return base_detail::allocate_node(size); }
  void operator delete(void* node) noexcept { base_detail::free_node(node, sizeof(Awaiter)); }

  using OpState::publish;

  std::shared_ptr<Engine> engine;
};

namespace engine_detail {

static Table::Options table_options(const EventOptions& options, bool alone) {
  Table::Options made;
  made.events_max = std::max<std::size_t>(options.events_max, 1);
  made.alone = alone;
  made.times.patience = options.owner_patience;
  made.times.renewal = options.renewal;
  return made;
}

/// Low enough that no slot ever has its last generation soon.
static std::uint32_t first_generation(Random& random) noexcept {
  return static_cast<std::uint32_t>(random.below(std::uint64_t{1} << 30)) + 1;
}

}  // namespace engine_detail

Engine::Engine(World& world, WorkerId system, const EventOptions& options, bool alone)
    : world_(world),
      system_(system),
      alone_(alone),
      dropped_(Outcome::poisoned(make_reason("event dropped without being triggered"))),
      table_(system, engine_detail::first_generation(world.random()),
             engine_detail::table_options(options, alone)) {}

Engine::~Engine() = default;

Result<EventHandle> Engine::create(NewEvent how) {
  EventCapability capability;
  if (how.guarded) {
    const std::uint64_t high = world_.secret_random().next();
    const std::uint64_t low = world_.secret_random().next();
    capability = EventCapability(codec::u128_from_halves(high, low | 1));
  }
  const std::lock_guard lock(mutex_);
  if (closed_) return velo::make_error(velo::Errc::shutting_down, "no more events are made");
  auto created = table_.slots().create(how.local_only || alone_);
  if (created && how.guarded) {
    table_.slots().pending(*created)->guarded = true;
    table_.slots().capabilities()[created->slot()] = capability;
  }
  return created;
}

Op<void> Engine::await(const EventHandle& event) {
  auto* awaiter = new Awaiter(shared_from_this());
  const TimePoint now = now_for(event);
  Effects effects;
  std::optional<Outcome> known;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ && !owns(event)) {
      known = closed_waits_;
    } else {
      known = table_.wait(*awaiter, event, now, effects);
    }
  }
  if (known) {
    awaiter->outcome = std::move(*known);
    awaiter->publish();
  }
  run(effects);
  return {*awaiter, &Awaiter::take};
}

void Engine::cancel(Awaiter& awaiter) {
  const bool ended = step([&](auto& table, auto&, Effects& effects) {
    if (!table.cancel(awaiter, effects)) return false;
    awaiter.outcome = Outcome::failed(velo::make_error(velo::Errc::cancelled));
    return true;
  });
  if (ended) awaiter.publish();
}

void Engine::run(Effects& effects) {
  if (!effects.completed.empty() || !effects.asks.empty() || !effects.abandoned.empty()) {
    run_remote(effects);
  }
  while (AwaiterNode* node = effects.ended.pop()) static_cast<Awaiter*>(node)->publish();
}

void Engine::run_remote(Effects& effects) {
  const std::shared_ptr<Carrier> out = carrier();
  if (out == nullptr) return;
  for (const Ended& completed : effects.completed) {
    std::vector<Notice> notices;
    {
      const std::lock_guard lock(mutex_);
      notices = subscribers_.completed(completed.event, completed.outcome, world_.clock().now());
    }
    out->notify(std::move(notices));
  }
  for (const Ask& ask : effects.asks) out->ask(ask);
  for (const EventHandle& event : effects.abandoned) out->unsubscribe(event);
}

Result<void> Engine::complete_own(const EventHandle& event, const Outcome& outcome,
                                  const EventCapability& capability, bool as_owner) {
  return step([&](auto& table, auto&, Effects& effects) -> Result<void> {
    Slot* slot = table.slots().pending(event);
    if (slot == nullptr) return table.complete(event, outcome, effects);
    if (slot->guarded && !as_owner && table.slots().capabilities()[event.slot()] != capability) {
      return make_error(Errc::capability_needed, event.to_string());
    }
    table.complete(*slot, outcome, effects);
    return {};
  });
}

Op<void> Engine::complete(const EventHandle& event, const Outcome& outcome,
                          const EventCapability& capability) {
  if (owns(event)) {
    return Op<void>::ready(world_.pool(), complete_own(event, outcome, capability, false));
  }
  const std::shared_ptr<Carrier> out = carrier();
  if (out == nullptr || event.local_only() || !event.valid()) {
    return Op<void>::ready(world_.pool(), make_error(Errc::foreign_event, event.to_string()));
  }
  return out->complete(event, outcome, capability);
}

void Engine::drop(const EventHandle& event) noexcept {
  // Somebody else completed it through its handle: then there is nothing to do.
  (void)complete_own(event, dropped_, EventCapability(), true);
}

EventCapability Engine::capability_of(const EventHandle& event) {
  const std::lock_guard lock(mutex_);
  const Slot* slot = table_.slots().pending(event);
  if (slot == nullptr || !slot->guarded) return {};
  return table_.slots().capabilities()[event.slot()];
}

Result<EventHandle> Engine::merge(std::span<const EventHandle> inputs, GateKind kind) {
  const TimePoint now = world_.clock().now();
  return step([&](auto& table, auto&, Effects& effects) -> Result<EventHandle> {
    if (closed_) return velo::make_error(velo::Errc::shutting_down, "no more events are made");
    return table.merge(inputs, kind, alone_, now, effects);
  });
}

Result<void> Engine::annotate(const EventHandle& event, EventNote note) {
  if (note.text.size() > limits::note_bytes_max ||
      note.waits_for.size() > limits::note_events_max) {
    return velo::make_error(velo::Errc::invalid_argument, "note_bytes_max or note_events_max");
  }
  const std::lock_guard lock(mutex_);
  Slot* slot = table_.slots().pending(event);
  if (slot == nullptr) {
    const Outcome ended = table_.slots().ended(event);
    if (!ended.is_final()) return ended.result();
    return make_error(Errc::already_completed, event.to_string());
  }
  slot->noted = true;
  table_.slots().notes()[event.slot()] = std::move(note);
  return {};
}

std::optional<Result<EventStatus>> Engine::status(const EventHandle& event) {
  const std::lock_guard lock(mutex_);
  std::optional<Outcome> ended;
  if (owns(event)) {
    if (table_.slots().pending(event) != nullptr) return EventStatus::pending;
    ended = table_.slots().ended(event);
  } else {
    ended = table_.remotes().known(event);
  }
  if (!ended) return std::nullopt;
  if (!ended->is_final()) return ended->result().error();
  return ended->is_ready() ? EventStatus::ready : EventStatus::poisoned;
}

Op<EventStatus> Engine::poll(const EventHandle& event) {
  if (auto known = status(event)) {
    return Op<EventStatus>::ready(world_.pool(), std::move(*known));
  }
  const std::shared_ptr<Carrier> out = carrier();
  if (out == nullptr || event.local_only() || !event.valid()) {
    return Op<EventStatus>::ready(world_.pool(),
                                  make_error(Errc::foreign_event, event.to_string()));
  }
  return out->poll(event);
}

void Engine::shut_down(const Outcome& own, const Outcome& waits) {
  const TimePoint now = world_.clock().now();
  step([&](auto& table, auto&, Effects& effects) {
    if (std::exchange(closed_, true)) return;
    closed_waits_ = waits;
    table.shut_down(own, waits, now, effects);
    effects.asks.clear();
  });
}

EventCounts Engine::counts() {
  const std::shared_ptr<Carrier> out = carrier();
  EventCounts counts;
  counts.messages = out == nullptr ? 0 : out->messages();
  const std::lock_guard lock(mutex_);
  counts.pending = table_.slots().pending_count();
  counts.remote_awaits = table_.remotes().wait_count();
  counts.subscriptions = subscribers_.subscription_count();
  counts.unacknowledged = subscribers_.unacknowledged_count();
  table_.slots().add_to(counts);
  table_.remotes().add_to(counts);
  return counts;
}

void Engine::set_carrier(std::shared_ptr<Carrier> carrier) {
  std::shared_ptr<Carrier> before;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  before = std::exchange(carrier_, std::move(carrier));
}

std::shared_ptr<Carrier> Engine::carrier() {
  const std::lock_guard lock(mutex_);
  return carrier_;
}

}  // namespace velo::events
