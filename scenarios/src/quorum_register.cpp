// SPDX-License-Identifier: Apache-2.0
// Replicas, clients, and the record of what was promised.

#include <velo/scenarios/quorum_register.hpp>

#include <velo/base/check.hpp>
#include <velo/base/files.hpp>
#include <velo/sim/simulation.hpp>

#include "line_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::scenarios {

namespace quorum_register_detail {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint16_t port = 7000;
constexpr auto kept_at = "/register";
constexpr Duration faults_span = seconds(20);
constexpr Duration fault_duration_max = seconds(4);
constexpr Duration operations_begin_within = seconds(30);
constexpr Duration all_end_within = minutes(5);
constexpr Duration look_after = milliseconds(500);  ///< how often a client looks after its links
constexpr Duration patience = seconds(2);           ///< then a silent link is replaced
constexpr Duration pause_max = milliseconds(200);   ///< between two operations of a client

/// The higher version wins. Its low four bits are the writer's number, so that no two are equal.
struct Versioned {
  std::uint64_t version = 0;
  std::uint64_t value = 0;
};

/// "12 3 45" as three numbers; what is no number is 0.
static std::array<std::uint64_t, 3> numbers(std::string_view text) {
  std::array<std::uint64_t, 3> out{};
  for (std::uint64_t& number : out) {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc()) break;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty()) text.remove_prefix(1);
  }
  return out;
}

/// The omniscient observer: what is complete, and the first promise that was broken.
class Record {
 public:
  /// Of an operation that begins now: what it must not fall behind.
  std::uint64_t floor() const noexcept { return complete_; }

  void ended(std::uint32_t client, bool wrote, const Versioned& what, std::uint64_t floor) {
    ++(wrote ? writes : reads);
    if (what.version < floor || (wrote && what.version == floor)) {
      fail(fmt::format("client {} {} version {} although version {} was complete before it began",
                       client, wrote ? "wrote" : "read", what.version, floor));
    }
    complete_ = std::max(complete_, what.version);
  }
  void fail(std::string sentence) {
    if (failure.empty()) failure = std::move(sentence);
  }

  std::string failure;
  std::uint64_t writes = 0;
  std::uint64_t reads = 0;
  std::uint64_t links_replaced = 0;

 private:
  std::uint64_t complete_ = 0;
};

/// Answers "REQUEST" with what it keeps, and "REQUEST VERSION VALUE" by keeping that if it is
/// newer; either answer is "REQUEST VERSION VALUE" of what it keeps then, and is on the disk before
/// it leaves.
class Replica {
 public:
  Replica(World& world, const Endpoint& at, bool use_disk, Record& record)
      : world_(world), record_(record), use_disk_(use_disk) {
    if (const auto file = world.files().read(kept_at, 100); file && use_disk_) {
      const auto [version, value, nothing] = numbers(file->text());
      kept_ = {version, value};
    }
    auto listening = world.network().listen(world.shard(0), at, ListenOptions(),
                                            [this](Result<std::unique_ptr<ByteStream>> stream) {
                                              if (stream) serve(std::move(*stream));
                                            });
    if (listening) {
      listener_ = std::move(*listening);
    } else {
      record_.fail("a replica cannot listen");
    }
  }

 private:
  void serve(std::unique_ptr<ByteStream> stream) {
    std::erase_if(clients_, [](const auto& client) { return client->over(); });
    const auto self = std::make_shared<LineStream*>(nullptr);
    clients_.push_back(std::make_unique<LineStream>(
        std::move(stream), [this, self](std::string_view line) { answer(**self, line); }));
    *self = clients_.back().get();
  }
  void answer(LineStream& client, std::string_view line) {
    const auto [request, version, value] = numbers(line);
    if (version > kept_.version) {
      kept_ = {version, value};
      const std::string text = fmt::format("{} {}", version, value);
      if (use_disk_ && !world_.files().write_atomic(kept_at, as_bytes(text))) {
        record_.fail("the disk of a replica refused");
      }
    }
    client.say(fmt::format("{} {} {}", request, kept_.version, kept_.value));
  }

  World& world_;
  Record& record_;
  bool use_disk_;
  Versioned kept_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<LineStream>> clients_;
};

/// One operation after the other: asks a majority, then tells a majority.
class Client {
 public:
  Client(World& world, std::uint32_t number, const std::vector<Endpoint>& replicas, Record& record)
      : world_(world),
        record_(record),
        number_(number),
        last_begin_(world.clock().now() + operations_begin_within) {
    for (const Endpoint& replica : replicas) links_.emplace_back(replica);
    look_after_links();
    begin();
  }
  bool done() const noexcept { return done_; }

 private:
  struct Link {
    explicit Link(Endpoint replica) : to(std::move(replica)) {}
    Endpoint to;
    std::unique_ptr<Connecting> connecting;
    std::unique_ptr<LineStream> stream;
    TimePoint asked;
    bool answered = true;
  };

  void begin() {
    const TimePoint now = world_.clock().now();
    done_ = now > last_begin_;
    if (done_) return;
    writes_ = world_.random().below(3) == 0;
    floor_ = record_.floor();
    newest_ = Versioned();
    telling_ = false;
    ask_all();
  }
  void ask_all() {
    ++request_;
    answers_ = 0;
    for (Link& link : links_) {
      link.answered = false;
      ask(link);
    }
  }
  void ask(Link& link) {
    link.asked = world_.clock().now();
    if (!link.stream) return;
    link.stream->say(telling_ ? fmt::format("{} {} {}", request_, newest_.version, newest_.value)
                              : std::to_string(request_));
  }
  void heard(Link& link, std::string_view line) {
    const auto [request, version, value] = numbers(line);
    if (request != request_ || link.answered) return;
    link.answered = true;
    if (!telling_ && version > newest_.version) newest_ = {version, value};
    if (++answers_ == links_.size() / 2 + 1) majority();
  }
  void majority() {
    if (telling_) {
      record_.ended(number_, writes_, newest_, floor_);
      ++request_;  // late answers are for nobody
      const auto pause = Duration(world_.random().below(Duration(pause_max).count()));
      world_.shard(0).start_timer(
          world_.clock().now() + pause,
          Task0{[](void* self) { static_cast<Client*>(self)->begin(); }, this});
      return;
    }
    telling_ = true;
    if (writes_) {
      newest_.version = ((newest_.version >> 4) + 1) << 4 | number_;
      newest_.value = world_.random().next();
    }
    ask_all();
  }

  void look_after_links() {
    for (Link& link : links_) {
      const bool silent = !link.answered && world_.clock().now() - link.asked > patience;
      if (link.stream && (link.stream->over() || silent)) {
        link.stream.reset();
        ++record_.links_replaced;
      }
      if (!link.stream && !link.connecting) connect(link);
    }
    world_.shard(0).start_timer(
        world_.clock().now() + look_after,
        Task0{[](void* self) { static_cast<Client*>(self)->look_after_links(); }, this});
  }
  void connect(Link& link) {
    link.connecting = world_.network().connect(
        world_.shard(0), link.to, ConnectOptions(),
        [this, &link](Result<std::unique_ptr<ByteStream>> stream) {
          link.connecting.reset();
          if (!stream) return;
          link.stream = std::make_unique<LineStream>(
              std::move(*stream), [this, &link](std::string_view line) { heard(link, line); });
          if (!link.answered) ask(link);
        });
  }

  World& world_;
  Record& record_;
  std::uint32_t number_;
  TimePoint last_begin_;
  std::vector<Link> links_;  ///< complete before anything refers to one
  std::uint64_t request_ = 0;
  std::size_t answers_ = 0;
  std::uint64_t floor_ = 0;
  Versioned newest_;
  bool writes_ = false;
  bool telling_ = false;
  bool done_ = false;
};

class QuorumRegister final : public sim::Scenario {
 public:
  explicit QuorumRegister(const QuorumRegisterOptions& options) : options_(options) {
    VELO_CHECK(options.replicas > 0 && options.clients > 0 && options.clients < 16);
  }

  std::string_view name() const noexcept override { return options_.name; }
  std::string_view description() const noexcept override {
    return "replicas with a disk keep one register; nobody sees it go back, and operations end";
  }
  sim::FaultPlan plan(std::uint64_t seed) const override {
    using enum sim::FaultKind;
    sim::FaultPlanOptions faults;
    faults.nodes = options_.replicas;
    faults.faults = 16;
    faults.span = faults_span;
    faults.duration_max = fault_duration_max;
    // Not crash_wiped: a majority that lost its disks has forgotten what it confirmed.
    faults.kinds = {crash, power_off, reset, partition,   partition_one_way,
                    split, pause,     delay, slow_reader, clock_drift};
    return sim::random_fault_plan(seed, faults);
  }
  sim::ScenarioOutcome run(std::uint64_t seed, const sim::FaultPlan& plan) const override;

 private:
  QuorumRegisterOptions options_;
};

sim::ScenarioOutcome QuorumRegister::run(std::uint64_t seed, const sim::FaultPlan& plan) const {
  sim::SimOptions world;
  world.link.latency =
      sim::Latency(milliseconds(1), milliseconds(60), sim::Latency::Shape::long_tail);
  Record record;
  sim::Simulation sim(seed, world);
  std::vector<Endpoint> replicas;
  for (std::uint32_t i = 0; i < options_.replicas; ++i) {
    const sim::SimNode& node = sim.add_node(
        fmt::format("replica{}", i), sim::NodeOptions(), [this, &record](sim::SimNode& booting) {
          return std::make_shared<Replica>(booting, booting.endpoint(port),
                                           options_.replicas_use_their_disk, record);
        });
    replicas.push_back(node.endpoint(port));
  }
  std::vector<std::unique_ptr<Client>> clients;
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    sim::SimNode& node = sim.add_node(fmt::format("client{}", i));
    clients.push_back(std::make_unique<Client>(node, i, replicas, record));
  }
  sim.apply(plan);
  const auto over = [&] {
    return !record.failure.empty() ||
           std::all_of(clients.begin(), clients.end(), [](const auto& c) { return c->done(); });
  };
  if (!sim.run_until(over, all_end_within)) {
    record.fail("an operation did not end within five minutes");
  }

  sim::ScenarioOutcome outcome;
  outcome.failure = record.failure;
  outcome.trace_hash = sim.trace_hash();
  outcome.events = sim.event_count();
  outcome.virtual_time = sim.now() - TimePoint();
  outcome.figures = {{"writes", record.writes},
                     {"reads", record.reads},
                     {"links replaced", record.links_replaced},
                     {"crashes", sim.stats().crashes},
                     {"resets", sim.stats().resets}};
  return outcome;
}

}  // namespace quorum_register_detail

std::unique_ptr<sim::Scenario> quorum_register(const QuorumRegisterOptions& options) {
  return std::make_unique<quorum_register_detail::QuorumRegister>(options);
}

}  // namespace velo::scenarios
