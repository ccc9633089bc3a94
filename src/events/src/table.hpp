// SPDX-License-Identifier: Apache-2.0
// Everything that a manager knows of events: its own (Slots), those of others that are awaited here
// (Remotes), and merged ones, which complete by what they wait for. What follows from a step leaves
// as Effects, however long the chain of merged events is: nothing here calls out or recurses. Core.
// Threading: guarded by the owner.
#pragma once

#include "remotes.hpp"
#include "slots.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace velo::events {

/// What the shell has to do after a step.
struct Effects {
  EndedList ended;                     ///< awaiters, each with its outcome
  std::vector<Ended> completed;        ///< own events that others have subscribed to
  std::vector<Ask> asks;               ///< questions to owners
  std::vector<EventHandle> abandoned;  ///< others' events that nobody awaits here any more

  Effects() = default;
};

enum class GateKind : std::uint8_t {
  all,          ///< all of them; the first poison decides
  all_patient,  ///< the same, but it waits for all before it is poisoned with all reasons
  any,          ///< one of them; poisoned when all are
};

struct Gate;
struct GateInput final : Node {
  explicit GateInput(Gate& g) noexcept : Node(Kind::gate_input), gate(&g) {}
  Gate* gate;
};
struct Gate {
  EventHandle result;
  GateKind kind = GateKind::all;
  bool decided = false;
  bool poisoned = false;
  std::size_t left = 0;
  std::string reasons;
  std::vector<std::unique_ptr<GateInput>> inputs;
};

class Table {
 public:
  struct Options {
    std::size_t events_max = limits::events_max;
    bool alone = true;  ///< others' events cannot be reached
    Remotes::Times times;
    Options() = default;
  };

  Table(WorkerId system, std::uint32_t first_generation, const Options& options)
      : slots_(system, first_generation, options.events_max),
        remotes_(options.times),
        alone_(options.alone) {}

  Slots& slots() noexcept { return slots_; }
  const Slots& slots() const noexcept { return slots_; }
  Remotes& remotes() noexcept { return remotes_; }
  const Remotes& remotes() const noexcept { return remotes_; }

  /// Completes an own event: Errc::already_completed (not for a poison of a poisoned one),
  /// Errc::unknown_event, Errc::forgotten, Errc::foreign_event.
  Result<void> complete(const EventHandle& event, const Outcome& outcome, Effects& effects);
  /// Of a pending one.
  void complete(Slot& slot, const Outcome& outcome, Effects& effects);

  /// How the event ended when that is known here; otherwise the node hangs on it.
  std::optional<Outcome> wait(Node& node, const EventHandle& event, TimePoint now,
                              Effects& effects);
  /// Takes the node off; false: its end is on its way.
  bool cancel(Node& node, Effects& effects);

  /// A new event that completes by itself.
  Result<EventHandle> merge(std::span<const EventHandle> inputs, GateKind kind, bool local_only,
                            TimePoint now, Effects& effects);
  const Gate* gate(const EventHandle& result) const;

  /// Another's event is over, as its owner says, or as is known here (owner_lost).
  void remote_ended(const EventHandle& event, const Outcome& outcome, TimePoint now,
                    Effects& effects);

  /// Everything that is pending is poisoned; what is awaited elsewhere ends here with `waits`.
  void shut_down(const Outcome& own, const Outcome& waits, TimePoint now, Effects& effects);

 private:
  void finish(Slot& slot, const Outcome& outcome, Effects& effects);
  void deliver(Node& node, const Outcome& outcome, Effects& effects);
  void hear(Gate& gate, const EventHandle& from, const Outcome& outcome);
  void drop_gate(const EventHandle& result, Effects& effects);
  void run_decided(Effects& effects);

  Slots slots_;
  Remotes remotes_;
  const bool alone_;
  std::unordered_map<EventHandle, std::unique_ptr<Gate>> gates_;
  std::vector<Ended> decided_;  ///< merged events whose gates opened
};

}  // namespace velo::events
