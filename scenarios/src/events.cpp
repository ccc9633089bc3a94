// SPDX-License-Identifier: Apache-2.0
// Events between many machines under crashes and partitions: each awaiter ends once, with what
// really happened to its event.

#include <velo/scenarios/events.hpp>

#include "event_records.hpp"

#include <velo/events/attach.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace velo::scenarios {
namespace events_scenario_detail {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr std::size_t machines = 50;
/// Eight seeds make a hundred thousand.
constexpr std::size_t events_per_run = 12'500;
constexpr Duration traffic_time = 24s;
constexpr Duration step_time = 6ms;
constexpr Duration fault_time_max = 13s;
constexpr std::uint16_t port = 7000;

struct Awaiter {
  std::size_t record = 0;
  std::size_t place = 0;
  std::weak_ptr<EventMember> where;
  int ends = 0;
};

class Run {
 public:
  Run(std::uint64_t seed, const sim::FaultPlan& plan) : sim_(seed), plan_(plan) {
    members_.resize(machines);
    for (std::size_t i = 0; i < machines; ++i) {
      sim_.add_node("machine" + std::to_string(i), sim::NodeOptions(),
                    [this, i](sim::SimNode& node) { return boot(i, node); });
    }
    sim_.apply(plan);
  }
  Run(const Run&) = delete;
  ~Run() {
    // An Event that outlives its machine would poison something in a world that is gone.
    records_.clear();
  }

  void drive() {
    const auto steps = static_cast<std::size_t>(traffic_time / step_time);
    for (std::size_t step = 0; step < steps && failure_.empty(); ++step) {
      while (records_.size() < (step + 1) * events_per_run / steps) begin_event();
      complete_due(sim_.now());
      sim_.run_for(step_time);
    }
    if (!failure_.empty()) return;
    sim_.run_for(fault_time_max);
    sim_.heal();
    complete_due(TimePoint::never());
    settle();
  }

  sim::ScenarioOutcome outcome() {
    sim::ScenarioOutcome outcome;
    outcome.failure = failure_;
    outcome.trace_hash = sim_.trace_hash();
    outcome.events = sim_.event_count();
    outcome.virtual_time = sim_.now().since_origin();
    auto& figures = outcome.figures;
    figures["events"] = records_.size();
    figures["awaiters"] = awaiters_.size();
    figures["ended ready"] = ready_;
    figures["ended poisoned"] = poisoned_;
    figures["ended owner lost"] = lost_;
    figures["ended by a merged input's poison"] = merged_poisoned_;
    figures["lost with their machine"] = gone_;
    figures["crashes"] = sim_.stats().crashes;
    figures["resets"] = sim_.stats().resets;
    return outcome;
  }

 private:
  std::shared_ptr<void> boot(std::size_t place, sim::SimNode& node) {
    transport::TcpOptions tcp;
    // The same for every run: who comes back is found at the address of its earlier run.
    tcp.bind = node.endpoint(port);
    tcp.allow_plaintext_beyond_loopback = true;
    auto builder = Messenger::builder(node);
    builder.add_transport(transport::make_tcp(std::move(tcp)));
    auto built = builder.build();
    if (!built) {
      fail("a machine cannot start: " + built.error().to_string());
      return nullptr;
    }
    auto member = std::make_shared<EventMember>();
    member->place = place;
    member->node = &node;
    member->messenger = std::move(*built);
    auto attached = attach_events(*member->messenger);
    if (!attached) {
      fail("no events: " + attached.error().to_string());
      return nullptr;
    }
    member->events = std::move(*attached);
    for (const auto& weak : members_) {
      const auto other = weak.lock();
      if (other == nullptr) continue;
      (void)member->messenger->register_peer(other->messenger->peer_info());
      (void)other->messenger->register_peer(member->messenger->peer_info());
    }
    members_[place] = member;
    return member;
  }

  std::shared_ptr<EventMember> any_member() {
    for (;;) {
      auto member = members_[sim_.random().below(machines)].lock();
      if (member != nullptr) return member;
    }
  }
  /// One of the last `among`.
  std::size_t recent_record(std::size_t among) {
    return records_.size() - 1 - sim_.random().below(std::min(records_.size(), among));
  }

  void begin_event() {
    const auto owner = any_member();
    EventRecord record;
    record.owner = owner;
    record.owner_place = owner->place;
    const std::uint64_t draw = sim_.random().below(100);
    record.at = sim_.now() + std::chrono::milliseconds(sim_.random().below(3'000));
    if (draw >= 92 && records_.size() > 10) {
      merge(*owner, record);
    } else {
      make(*owner, record, draw);
    }
    if (!failure_.empty()) return;
    records_.push_back(std::move(record));
    begin_awaiter(records_.size() - 1);
    // Further ones, and ones that come late.
    if (sim_.random().below(8) == 0) begin_awaiter(records_.size() - 1);
    if (sim_.random().below(8) == 0) begin_awaiter(recent_record(2'000));
  }

  void make(EventMember& owner, EventRecord& record, std::uint64_t draw) {
    auto made = owner.events->new_event();
    if (!made) return fail("no event: " + made.error().to_string());
    record.handle = made->handle();
    record.way = draw < 45   ? EventWay::trigger
                 : draw < 60 ? EventWay::poison
                 : draw < 67 ? EventWay::drop
                 : draw < 82 ? EventWay::remote_trigger
                             : EventWay::remote_poison;
    record.reason = record.way == EventWay::drop ? "event dropped without being triggered"
                                                 : fmt::format("reason {}", records_.size());
    if (record.way == EventWay::remote_trigger || record.way == EventWay::remote_poison) {
      (void)std::move(*made).into_handle();
    } else {
      record.event = std::move(*made);
    }
  }

  /// Of plain and of merged ones, wherever they are.
  void merge(EventMember& owner, EventRecord& record) {
    std::vector<EventHandle> inputs;
    const std::uint64_t count = 1 + sim_.random().below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::size_t input = recent_record(50);
      record.inputs.push_back(input);
      inputs.push_back(records_[input].handle);
    }
    record.way = EventWay::merged;
    record.any = sim_.random().below(2) == 0;
    const auto merged =
        record.any ? owner.events->any_of(inputs) : owner.events->merge_events(inputs);
    if (!merged) return fail("no merged event: " + merged.error().to_string());
    record.handle = *merged;
  }

  void begin_awaiter(std::size_t record) {
    // A quarter is at the owner itself.
    const auto owner = records_[record].owner.lock();
    const bool here = owner != nullptr && sim_.random().below(4) == 0;
    const auto where = here ? owner : any_member();
    Awaiter& awaiter = awaiters_.emplace_back();
    awaiter.record = record;
    awaiter.place = where->place;
    awaiter.where = where;
    where->events->awaiter(records_[record].handle)
        .then(where->node->pool(),
              [this, &awaiter](const Result<void>& ended) { on_end(awaiter, ended); });
  }

  void complete_due(TimePoint now) {
    for (; next_due_ < records_.size(); ++next_due_) {
      const EventRecord& record = records_[next_due_];
      if (!record.attempted && record.way != EventWay::merged) break;
    }
    for (std::size_t i = next_due_; i < records_.size(); ++i) {
      EventRecord& record = records_[i];
      if (record.way == EventWay::merged || record.attempted || record.at > now) continue;
      record.attempted = true;
      if (!record.owner.expired()) complete(record);
      record.event.reset();
    }
  }

  void complete(EventRecord& record) {
    switch (record.way) {
      case EventWay::trigger: (void)std::move(*record.event).trigger(); break;
      case EventWay::poison: (void)std::move(*record.event).poison(record.reason); break;
      case EventWay::remote_trigger:
      case EventWay::remote_poison: complete_by_handle(*any_member(), record); break;
      default: break;  // it is dropped
    }
  }

  /// Nothing may hear of it; what counts is how awaiters end.
  void complete_by_handle(const EventMember& from, const EventRecord& record) {
    auto op = record.well() ? from.events->trigger(record.handle)
                            : from.events->poison(record.handle, record.reason);
    std::move(op).then(from.node->pool(), [](const Result<void>&) {});
  }

  void on_end(Awaiter& awaiter, const Result<void>& ended) {
    if (awaiter.where.expired()) return;  // with its machine
    if (++awaiter.ends != 1) return fail("an awaiter ended twice");
    const EventRecord& record = records_[awaiter.record];
    std::string wrong = judge_.judge(record, awaiter.place, ended, sim_.now());
    if (!wrong.empty()) return fail(std::move(wrong));
    if (ended) {
      ++ready_;
    } else if (EventPoison::of(ended.error())->owner_lost) {
      ++lost_;
    } else {
      ++poisoned_;
      if (record.way == EventWay::merged) ++merged_poisoned_;
    }
  }

  /// Owners complete what no request from afar reached; then every awaiter ends.
  void settle() {
    sim_.run_for(35s);  // no request is on its way any more
    for (const EventRecord& record : records_) {
      const auto owner = record.owner.lock();
      if (owner == nullptr || record.way == EventWay::merged) continue;
      complete_by_handle(*owner, record);
    }
    expect([this] { return all_ended(); }, "an awaiter never ended");
    expect([this] { return nothing_left(); }, "something is left behind");
    for (const Awaiter& awaiter : awaiters_) gone_ += awaiter.ends == 0 ? 1 : 0;
  }

  template <class P>
  void expect(P reached, const char* otherwise) {
    if (!failure_.empty()) return;
    for (int i = 0; i < 240 && failure_.empty() && !reached(); ++i) sim_.run_for(1s);
    if (failure_.empty() && !reached()) fail(otherwise);
  }

  bool all_ended() const {
    return std::ranges::all_of(awaiters_, [](const Awaiter& awaiter) {
      return awaiter.ends == 1 || awaiter.where.expired();
    });
  }

  bool nothing_left() const {
    return std::ranges::all_of(members_, [](const std::weak_ptr<EventMember>& weak) {
      const auto member = weak.lock();
      if (member == nullptr) return true;
      const EventCounts counts = member->events->counts();
      return counts.pending + counts.remote_awaits + counts.subscriptions + counts.unacknowledged ==
             0;
    });
  }

  void fail(std::string sentence) {
    if (failure_.empty()) failure_ = std::move(sentence);
  }

  sim::Simulation sim_;
  const sim::FaultPlan plan_;
  std::vector<std::weak_ptr<EventMember>> members_;
  std::deque<EventRecord> records_;
  std::deque<Awaiter> awaiters_;
  const EventJudge judge_{records_, plan_};
  std::size_t next_due_ = 0;
  std::uint64_t ready_ = 0;
  std::uint64_t poisoned_ = 0;
  std::uint64_t merged_poisoned_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t gone_ = 0;
  std::string failure_;
};

class EventsScenario final : public sim::Scenario {
 public:
  std::string_view name() const noexcept override { return "events"; }
  std::string_view description() const noexcept override {
    return "50 machines make, await, trigger, poison and merge 12,500 events while machines crash "
           "and the network breaks; each awaiter ends once, as its event did";
  }
  sim::FaultPlan plan(std::uint64_t seed) const override {
    sim::FaultPlanOptions options;
    options.nodes = machines;
    options.faults = 30;
    options.span = 20s;
    options.duration_max = fault_time_max;
    options.kinds = {sim::FaultKind::reset,     sim::FaultKind::reset_one,
                     sim::FaultKind::partition, sim::FaultKind::partition_one_way,
                     sim::FaultKind::split,     sim::FaultKind::pause,
                     sim::FaultKind::crash,     sim::FaultKind::power_off};
    return sim::random_fault_plan(seed, options);
  }
  sim::ScenarioOutcome run(std::uint64_t seed, const sim::FaultPlan& plan) const override {
    Run run(seed, plan);
    run.drive();
    return run.outcome();
  }
};

}  // namespace events_scenario_detail

std::unique_ptr<sim::Scenario> events() {
  return std::make_unique<events_scenario_detail::EventsScenario>();
}

}  // namespace velo::scenarios
