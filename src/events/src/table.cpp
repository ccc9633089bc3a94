// SPDX-License-Identifier: Apache-2.0
// Completing, awaiting and merging events, as values.

#include "table.hpp"

#include <velo/events/limits.hpp>

namespace velo::events {
namespace table_detail {

static void add_reason(std::string& reasons, std::string_view reason) {
  if (reasons.size() >= limits::reason_bytes_max) return;
  if (!reasons.empty()) reasons += "; ";
  reasons += reason;
}

}  // namespace table_detail

Result<void> Table::complete(const EventHandle& event, const Outcome& outcome, Effects& effects) {
  Slot* slot = slots_.pending(event);
  if (slot != nullptr) {
    complete(*slot, outcome, effects);
    return {};
  }
  const Outcome ended = slots_.ended(event);
  if (!ended.is_final()) return ended.result();
  if (ended.is_poison() && outcome.is_poison()) return {};
  return make_error(Errc::already_completed,
                    ended.is_poison() ? "poisoned: " + std::string(ended.reason()) : "triggered");
}

void Table::complete(Slot& slot, const Outcome& outcome, Effects& effects) {
  finish(slot, outcome, effects);
  run_decided(effects);
}

void Table::finish(Slot& slot, const Outcome& outcome, Effects& effects) {
  const EventHandle event = slots_.handle_of(slot);
  if (slot.watched) effects.completed.push_back({event, outcome});
  if (slot.merged) drop_gate(event, effects);
  slots_.complete(slot, outcome);
  while (Node* node = slot.waiting.pop_front()) deliver(*node, outcome, effects);
}

void Table::deliver(Node& node, const Outcome& outcome, Effects& effects) {
  if (node.kind == Node::Kind::awaiter) {
    auto& awaiter = static_cast<AwaiterNode&>(node);
    awaiter.outcome = outcome;
    effects.ended.push(awaiter);
  } else {
    hear(*static_cast<GateInput&>(node).gate, node.event, outcome);
  }
}

void Table::hear(Gate& gate, const EventHandle& from, const Outcome& outcome) {
  --gate.left;
  if (gate.decided) return;
  if (!outcome.is_ready()) {
    gate.poisoned = true;
    if (outcome.is_poison()) {
      table_detail::add_reason(gate.reasons, outcome.reason());
    } else {
      table_detail::add_reason(gate.reasons,
                               from.to_string() + ": " + outcome.result().error().to_string());
    }
  }
  bool well = false;
  switch (gate.kind) {
    case GateKind::all:
      well = !gate.poisoned;
      gate.decided = gate.poisoned || gate.left == 0;
      break;
    case GateKind::all_patient:
      well = !gate.poisoned;
      gate.decided = gate.left == 0;
      break;
    case GateKind::any:
      well = outcome.is_ready();
      gate.decided = well || gate.left == 0;
      break;
  }
  if (!gate.decided) return;
  decided_.push_back(
      {gate.result, well ? Outcome::ready() : Outcome::poisoned(make_reason(gate.reasons))});
}

void Table::run_decided(Effects& effects) {
  while (!decided_.empty()) {
    const Ended next = std::move(decided_.back());
    decided_.pop_back();
    if (Slot* slot = slots_.pending(next.event)) finish(*slot, next.outcome, effects);
  }
}

void Table::drop_gate(const EventHandle& result, Effects& effects) {
  const auto found = gates_.find(result);
  if (found == gates_.end()) return;
  const std::unique_ptr<Gate> gate = std::move(found->second);
  gates_.erase(found);
  for (const auto& input : gate->inputs) (void)cancel(*input, effects);
}

std::optional<Outcome> Table::wait(Node& node, const EventHandle& event, TimePoint now,
                                   Effects& effects) {
  if (event.system() == slots_.system()) {
    Slot* slot = slots_.pending(event);
    if (slot == nullptr) return slots_.ended(event);
    node.event = event;
    slot->waiting.push_back(node);
    return std::nullopt;
  }
  if (alone_ || event.local_only() || !event.valid()) {
    return Outcome::failed(Errc::foreign_event, event.to_string());
  }
  if (auto known = remotes_.known_before_wait(event)) return known;
  std::optional<Ask> ask;
  if (!remotes_.wait(node, event, now, ask)) {
    return Outcome::failed(Errc::too_many_awaits, "remote_awaits_max is reached");
  }
  if (ask) effects.asks.push_back(*ask);
  return std::nullopt;
}

bool Table::cancel(Node& node, Effects& effects) {
  if (node.chain == nullptr) return false;
  if (node.event.system() == slots_.system()) {
    node.chain->remove(node);
  } else if (remotes_.unwait(node)) {
    effects.abandoned.push_back(node.event);
  }
  return true;
}

Result<EventHandle> Table::merge(std::span<const EventHandle> inputs, GateKind kind,
                                 bool local_only, TimePoint now, Effects& effects) {
  if (inputs.size() > limits::merge_inputs_max || (inputs.empty() && kind == GateKind::any)) {
    return velo::make_error(velo::Errc::invalid_argument,
                            inputs.empty() ? "any of no events" : "merge_inputs_max is reached");
  }
  auto created = slots_.create(local_only);
  if (!created) return created;
  Slot& slot = *slots_.pending(*created);
  if (inputs.empty()) {
    complete(slot, Outcome::ready(), effects);
    return created;
  }
  slot.merged = true;
  auto owned = std::make_unique<Gate>();
  Gate& gate = *owned;
  gate.result = *created;
  gate.kind = kind;
  gate.left = inputs.size();
  gates_.emplace(*created, std::move(owned));
  gate.inputs.reserve(inputs.size());
  for (const EventHandle& input : inputs) {
    GateInput& node = *gate.inputs.emplace_back(std::make_unique<GateInput>(gate));
    node.event = input;
    if (auto known = wait(node, input, now, effects)) hear(gate, input, *known);
    if (gate.decided) break;
  }
  run_decided(effects);
  return created;
}

const Gate* Table::gate(const EventHandle& result) const {
  const auto found = gates_.find(result);
  return found == gates_.end() ? nullptr : found->second.get();
}

void Table::remote_ended(const EventHandle& event, const Outcome& outcome, TimePoint now,
                         Effects& effects) {
  Remotes::Wait* wait = remotes_.completed(event, outcome, now, effects.asks);
  if (wait == nullptr) return;
  // Off the wait first: a merged event that is decided lets go of its other inputs, which may be
  // this one again.
  Chain waiting;
  while (Node* node = wait->waiting.pop_front()) waiting.push_back(*node);
  remotes_.erase(event);
  while (Node* node = waiting.pop_front()) deliver(*node, outcome, effects);
  run_decided(effects);
}

void Table::shut_down(const Outcome& own, const Outcome& waits, TimePoint now, Effects& effects) {
  for (const EventHandle& event : remotes_.all_waits()) remote_ended(event, waits, now, effects);
  slots_.for_each_pending([&](Slot& slot) { complete(slot, own, effects); });
}

}  // namespace velo::events
