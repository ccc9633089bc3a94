// SPDX-License-Identifier: Apache-2.0
// A service of one's own in simulation: an account that takes deposits, and a client that repeats
// one until it is confirmed. Fifty seeds of faults in one thread; then the same with a defect,
// whose fault plan is shrunk to what matters.

#include <velo/base/log.hpp>
#include <velo/sim/seeds.hpp>
#include <velo/sim/shrink.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/velo.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace simulated_service {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int deposits = 40;

static velo::Result<std::unique_ptr<velo::Messenger>> make_messenger(velo::sim::SimNode& node) {
  velo::transport::TcpOptions options;
  options.bind = node.endpoint(7000);
  options.allow_plaintext_beyond_loopback = true;  // between simulated machines
  auto builder = velo::Messenger::builder(node);
  builder.add_transport(velo::transport::make_tcp(options));
  return builder.build();
}

/// The service under test. It takes a Messenger, so it cannot tell in which world it is.
class Account {
 public:
  Account(velo::Messenger& messenger, bool knows_repeats) {
    auto deposit =
        velo::Handler::unary_handler("deposit",
                                     [this, knows_repeats](velo::Context& context) {
                                       const int number =
                                           std::stoi(std::string(velo::as_text(context.payload())));
                                       if (!knows_repeats || number > last_) ++balance_;
                                       last_ = number;
                                       return velo::Bytes::own(std::to_string(balance_));
                                     })
            .inline_()
            .build();
    if (!messenger.register_handler(std::move(deposit))) std::abort();
  }
  int balance() const { return balance_; }

 private:
  int balance_ = 0;
  int last_ = 0;
};

/// Repeats each deposit until it is confirmed.
class Client {
 public:
  Client(velo::Messenger& messenger, velo::InstanceId account, velo::Executor& executor)
      : messenger_(messenger), account_(account), executor_(executor) {}

  void deposit() {
    if (confirmed_ == deposits) return;
    messenger_.unary("deposit")
        .raw_payload(std::to_string(confirmed_ + 1))
        .instance(account_)
        .timeout(seconds(2))
        .send()
        .then(executor_, [this](velo::Result<velo::Bytes> balance) {
          if (balance) ++confirmed_;
          deposit();
        });
  }
  int confirmed() const { return confirmed_; }

 private:
  velo::Messenger& messenger_;
  velo::InstanceId account_;
  velo::Executor& executor_;
  int confirmed_ = 0;
};

class Deposits final : public velo::sim::Scenario {
 public:
  explicit Deposits(bool account_knows_repeats) : knows_repeats_(account_knows_repeats) {}

  std::string_view name() const noexcept override { return "deposits"; }
  std::string_view description() const noexcept override {
    return "every confirmed deposit is counted once, and all are confirmed in the end";
  }
  velo::sim::FaultPlan plan(std::uint64_t seed) const override {
    using enum velo::sim::FaultKind;
    velo::sim::FaultPlanOptions options;
    options.nodes = 2;
    options.faults = 8;
    options.span = seconds(10);
    options.duration_max = seconds(4);
    options.kinds = {reset, partition, partition_one_way, delay, loss};
    return velo::sim::random_fault_plan(seed, options);
  }
  velo::sim::ScenarioOutcome run(std::uint64_t seed,
                                 const velo::sim::FaultPlan& plan) const override {
    velo::sim::SimOptions world;
    world.link.latency = velo::sim::Latency(milliseconds(20), milliseconds(300));
    velo::sim::Simulation sim(seed, world);
    velo::sim::SimNode& server_node = sim.add_node("server");
    velo::sim::SimNode& client_node = sim.add_node("client");
    velo::sim::ScenarioOutcome outcome;
    const auto server = make_messenger(server_node);
    const auto caller = make_messenger(client_node);
    if (!server || !caller || !(*caller)->register_peer((*server)->peer_info())) {
      outcome.failure = "no messengers";
      return outcome;
    }
    Account account(**server, knows_repeats_);
    Client client(**caller, (*server)->instance_id(), client_node.shard(0));
    client_node.post([&client] { client.deposit(); });
    sim.apply(plan);
    const bool all =
        sim.run_until([&client] { return client.confirmed() == deposits; }, minutes(10));
    if (!all) outcome.failure = "a deposit was never confirmed";
    if (all && account.balance() != deposits) {
      outcome.failure = "the balance is wrong after " + std::to_string(deposits) + " deposits";
    }
    outcome.trace_hash = sim.trace_hash();
    outcome.events = sim.event_count();
    outcome.virtual_time = sim.now() - velo::TimePoint();
    return outcome;
  }

 private:
  bool knows_repeats_;
};

static int run() {
  velo::log::set_level(velo::Room::transport, velo::log::Level::error);  // it warns of plain text
  const auto good = velo::sim::run_seeds(Deposits(true), 1, 50);
  std::printf("with numbers that are looked at: %d of %d seeds failed\n",
              static_cast<int>(good.failures), static_cast<int>(good.runs));

  const Deposits planted(false);
  const auto bad = velo::sim::run_seeds(planted, 1, 50);
  if (!bad.lowest_failure) return 1;
  const std::uint64_t seed = bad.lowest_failure->seed;
  const auto shrunk = velo::sim::shrink_plan(planted.plan(seed), [&](const auto& plan) {
    return !velo::sim::run_once(planted, seed, &plan).ok();
  });
  std::printf("without: %s\n", bad.lowest_failure->sentence.c_str());
  std::printf("one fault is enough: %s", velo::sim::to_string(shrunk.plan).c_str());
  return good.failures == 0 ? 0 : 1;
}

}  // namespace simulated_service

int main() { return simulated_service::run(); }
