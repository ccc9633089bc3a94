// SPDX-License-Identifier: Apache-2.0
// Streams between machines that crash: every one ends once on both sides, as what happened to it
// says.

#include <velo/scenarios/streams.hpp>

#include "stream_flow.hpp"

#include <velo/transport/backends/tcp.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <string_view>
#include <utility>

namespace velo::scenarios {
namespace streams_scenario_detail {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr std::size_t machines = 5;
constexpr std::size_t streams_per_run = 120;
constexpr std::uint64_t items_max = 150;
constexpr Duration step_time = 100ms;
constexpr Duration fault_time_max = 8s;
constexpr std::uint16_t port = 7000;

/// How a stream may end for who reads it, and a sender for who writes.
static const std::set<std::string_view> reader_ends = {
    "finalized", "cancelled", "streaming.sender_dropped", "streaming.transport_error",
    "streaming.nobody_attached"};
static bool may_end_a_writer(const std::string& error) {
  static const std::set<std::string_view> streaming = {
      "", "streaming.channel_closed", "streaming.anchor_not_found", "streaming.already_attached"};
  // Attaching is a call, and ends as one.
  return streaming.contains(error) || error.starts_with("messenger.") ||
         error.starts_with("transport.");
}

/// A stream, and where its ends are.
struct Flow {
  StreamRecord record;
  std::weak_ptr<StreamMember> consumer;
  StreamAnchorHandle handle;
  struct End {
    std::weak_ptr<StreamMember> where;
    bool over = false;
  };
  std::deque<End> writers;
};

class Run {
 public:
  Run(std::uint64_t seed, const sim::FaultPlan& plan) : sim_(seed), calm_(plan.empty()) {
    members_.resize(machines);
    for (std::size_t i = 0; i < machines; ++i) {
      sim_.add_node("machine" + std::to_string(i), sim::NodeOptions(),
                    [this, i](sim::SimNode& node) { return boot(i, node); });
    }
    sim_.apply(plan);
  }
  Run(const Run&) = delete;

  void drive() {
    while (flows_.size() < streams_per_run && failure_.empty()) {
      begin();
      sim_.run_for(step_time);
    }
    sim_.run_for(fault_time_max);
    sim_.heal();
    for (std::size_t i = 0; i < machines; ++i) {
      if (sim_.node(i).alive()) sim_.resume(sim_.node(i));
    }
    expect([this] { return all_over(); }, "a stream never ended");
    if (!failure_.empty() && !all_over()) failure_ += ": " + open_ones();
    expect([this] { return nothing_left(); }, "something is left behind");
    judge();
    close();
  }

  sim::ScenarioOutcome outcome() {
    sim::ScenarioOutcome outcome;
    outcome.failure = failure_;
    outcome.trace_hash = sim_.trace_hash();
    outcome.events = sim_.event_count();
    outcome.virtual_time = sim_.now().since_origin();
    auto& figures = outcome.figures;
    figures["streams"] = flows_.size();
    for (const Flow& flow : flows_) {
      figures["items"] += flow.record.read;
      figures["handed over"] += flow.record.detachments;
      const bool gone = flow.record.ends == 0;
      ++figures[gone ? "lost with their machine" : "ended " + flow.record.end];
    }
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
    auto member = std::make_shared<StreamMember>();
    member->place = place;
    member->node = &node;
    member->random = &sim_.random();
    member->messenger = std::move(*built);
    auto streams = Streams::of(*member->messenger);
    if (!streams) {
      fail("no streams: " + streams.error().to_string());
      return nullptr;
    }
    member->streams.emplace(std::move(*streams));
    for (const auto& weak : members_) {
      const auto other = weak.lock();
      if (other == nullptr) continue;
      (void)member->messenger->register_peer(other->messenger->peer_info());
      (void)other->messenger->register_peer(member->messenger->peer_info());
    }
    members_[place] = member;
    return member;
  }

  std::shared_ptr<StreamMember> any_member() {
    std::vector<std::shared_ptr<StreamMember>> alive;
    for (const auto& weak : members_) {
      if (auto member = weak.lock()) alive.push_back(std::move(member));
    }
    return alive.empty() ? nullptr : alive[sim_.random().below(alive.size())];
  }

  void begin() {
    const auto consumer = any_member();
    if (consumer == nullptr) return;
    Flow& flow = flows_.emplace_back();
    StreamRecord& record = flow.record;
    record.id = flows_.size();
    record.way = static_cast<StreamWay>(sim_.random().below(stream_ways));
    record.items = 2 + sim_.random().below(items_max);
    record.cancel_after = 1 + sim_.random().below(record.items);
    flow.consumer = consumer;
    StreamReader& reader = consumer->readers.emplace_back(
        *consumer, record, [this](std::string why) { fail(std::move(why)); });
    auto handle = reader.open();
    if (!handle) return fail("no anchor: " + handle.error().to_string());
    flow.handle = *handle;
    const bool halves = record.way == StreamWay::hand_over;
    const std::uint64_t senders =
        record.way == StreamWay::many_to_one ? 1 + sim_.random().below(4) : 1;
    for (std::uint64_t i = 0; i < senders; ++i) {
      start_writer(flow, i, 0, halves ? record.items / 2 : record.items);
    }
  }

  void start_writer(Flow& flow, std::uint64_t number, std::uint64_t first, std::uint64_t count) {
    const auto where = any_member();
    if (where == nullptr) return;
    Flow::End& end = flow.writers.emplace_back();
    end.where = where;
    where->writers.emplace_back(
        *where, flow.record, number, first, count,
        [this](std::string why) { fail(std::move(why)); },
        [this, &flow, &end, first, count](const StreamWriter& writer) {
          end.over = true;
          if (!may_end_a_writer(writer.error())) {
            fail(fmt::format("a sender of stream {} ended as {}", flow.record.id, writer.error()));
          }
          if (calm_ && !writer.error().empty() && flow.record.way != StreamWay::cancel) {
            fail(fmt::format("without a fault a sender ended as {}", writer.error()));
          }
          if (writer.handed_over()) {
            start_writer(flow, 1, first + count, flow.record.items - count);
          }
        });
    where->writers.back().attach(flow.handle);
  }

  bool over(const Flow& flow) const {
    if (flow.record.ends == 0 && !flow.consumer.expired()) return false;
    return std::ranges::all_of(flow.writers, [](const Flow::End& writer) {
      return writer.over || writer.where.expired();
    });
  }
  bool all_over() const {
    return std::ranges::all_of(flows_, [this](const Flow& flow) { return over(flow); });
  }

  /// For people: the streams that are not over.
  std::string open_ones() const {
    std::string text;
    for (const Flow& flow : flows_) {
      if (over(flow)) continue;
      const StreamRecord& record = flow.record;
      text += fmt::format("{} (way {}, {} of {} items, {} ends, consumer {}; senders:", record.id,
                          static_cast<int>(record.way), record.read, record.items, record.ends,
                          flow.consumer.expired() ? "gone" : "there");
      for (const Flow::End& end : flow.writers) {
        text += end.over ? " over" : end.where.expired() ? " gone" : " open";
      }
      text += ") ";
    }
    return text;
  }

  bool nothing_left() const {
    return std::ranges::all_of(members_, [](const std::weak_ptr<StreamMember>& weak) {
      const auto member = weak.lock();
      if (member == nullptr) return true;
      const streaming::StreamCounts counts = member->streams->counts();
      return counts.streams_in + counts.streams_out + counts.waiting + counts.held_bytes +
                 counts.outstanding_bytes ==
             0;
    });
  }

  void judge() {
    for (const Flow& flow : flows_) {
      const StreamRecord& record = flow.record;
      if (record.ends == 0) continue;  // with its machine
      if (!reader_ends.contains(record.end)) {
        return fail(fmt::format("stream {} ended as {}", record.id, record.end));
      }
      if (calm_) judge_calm(record);
    }
  }
  /// Without a fault everything ends as it was meant to.
  void judge_calm(const StreamRecord& record) {
    static constexpr std::array<std::string_view, stream_ways> wanted = {
        "finalized", "streaming.sender_dropped", "finalized", "cancelled",
        "streaming.nobody_attached"};
    if (record.end != wanted[static_cast<std::size_t>(record.way)]) {
      return fail(fmt::format("without a fault stream {} ended as {}", record.id, record.end));
    }
    for (const auto& [writer, next] : record.next) {
      if (record.way != StreamWay::cancel && next != record.items) {
        return fail(fmt::format("without a fault stream {} has {} of {} items", record.id, next,
                                record.items));
      }
    }
    for (const auto& [sender, end] : record.sender_ends) {
      if (end != "finalized") return fail("without a fault a sender ended as " + end);
    }
  }

  void close() {
    if (!failure_.empty()) return;
    for (const auto& weak : members_) {
      const auto member = weak.lock();
      if (member == nullptr) continue;
      member->writers.clear();
      member->readers.clear();
      member->messenger.reset();
      member->streams.reset();
    }
    if (!sim_.run_until_idle(5min)) {
      return fail("something is still to be done after all messengers are gone");
    }
    if (const std::uint64_t left = sim_.stats().connections_open; left != 0) {
      fail(fmt::format("{} connections are left after all messengers are gone", left));
    }
  }

  template <class P>
  void expect(P reached, const char* otherwise) {
    for (int i = 0; i < 300 && failure_.empty() && !reached(); ++i) sim_.run_for(1s);
    if (failure_.empty() && !reached()) fail(otherwise);
  }
  void fail(std::string sentence) {
    if (failure_.empty()) failure_ = std::move(sentence);
  }

  // What the machines report to outlives them.
  std::string failure_;
  std::deque<Flow> flows_;
  std::vector<std::weak_ptr<StreamMember>> members_;
  sim::Simulation sim_;
  const bool calm_;
};

class StreamsScenario final : public sim::Scenario {
 public:
  std::string_view name() const noexcept override { return "streams"; }
  std::string_view description() const noexcept override {
    return "5 machines open 120 streams of every kind while machines crash and the network breaks; "
           "items arrive in order, and every stream ends once on both sides, as it happened";
  }
  sim::FaultPlan plan(std::uint64_t seed) const override {
    if (seed % 4 == 0) return {};
    sim::FaultPlanOptions options;
    options.nodes = machines;
    options.faults = 12;
    options.span = 12s;
    options.duration_max = fault_time_max;
    options.kinds = {sim::FaultKind::reset,     sim::FaultKind::reset_one,
                     sim::FaultKind::partition, sim::FaultKind::partition_one_way,
                     sim::FaultKind::split,     sim::FaultKind::pause,
                     sim::FaultKind::delay,     sim::FaultKind::crash,
                     sim::FaultKind::power_off};
    return sim::random_fault_plan(seed, options);
  }
  sim::ScenarioOutcome run(std::uint64_t seed, const sim::FaultPlan& plan) const override {
    Run run(seed, plan);
    run.drive();
    return run.outcome();
  }
};

}  // namespace streams_scenario_detail

std::unique_ptr<sim::Scenario> streams() {
  return std::make_unique<streams_scenario_detail::StreamsScenario>();
}

}  // namespace velo::scenarios
