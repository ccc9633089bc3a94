// SPDX-License-Identifier: Apache-2.0
// `velo sim`: lists scenarios, runs one under many seeds or one, and makes a failing plan small.

#include "commands.hpp"
#include "console.hpp"
#include "input_file.hpp"
#include "sim_report.hpp"
#include "sim_scenarios.hpp"

#include <velo/base/log.hpp>
#include <velo/codec/json.hpp>
#include <velo/sim/limits.hpp>
#include <velo/sim/shrink.hpp>
#include <velo/sim/simulation.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace velo::cli {

struct SimScenarioShown {
  std::string name;
  std::string description;
};
VELO_DESCRIBE(SimScenarioShown, name, description);

namespace sim_run_detail {

using SteadyClock = std::chrono::steady_clock;

static double seconds_since(SteadyClock::time_point began) {
  return std::chrono::duration<double>(SteadyClock::now() - began).count();
}

static std::vector<std::string> lines_of(const sim::FaultPlan& plan) {
  std::vector<std::string> lines;
  lines.reserve(plan.size());
  for (const sim::Fault& fault : plan) lines.push_back(sim::to_string(fault));
  return lines;
}

/// Works the range off with `jobs` threads; this one shows how far it is.
static void work(sim::SeedRange& range, std::uint64_t count, std::size_t jobs, bool show) {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t working = jobs;
  std::vector<std::jthread> workers;
  for (std::size_t i = 0; i < jobs; ++i) {
    workers.emplace_back([&] {
      range.work();
      const std::lock_guard lock(mutex);
      --working;
      changed.notify_one();
    });
  }
  Progress progress(show);
  std::unique_lock lock(mutex);
  while (!changed.wait_for(lock, std::chrono::milliseconds(200), [&] { return working == 0; })) {
    const sim::SeedTotals totals = range.totals();
    progress.draw(totals.runs, count, fmt::format("seeds, {} failed", totals.failures));
  }
}

/// Of the plan in the file, or of the scenario's own.
static int choose_plan(const sim::Scenario& scenario, const SimRunOptions& options,
                       sim::FaultPlan& plan) {
  if (!options.plan) {
    plan = scenario.plan(*options.seed);
    return exit_ok;
  }
  const auto text = read_input(*options.plan, sim::limits::plan_bytes_max);
  if (!text) {
    return fail(exit_usage, fmt::format("--plan: {}", text.error().context()),
                "--plan - reads standard input");
  }
  auto parsed = sim::parse_fault_plan(*text);
  if (!parsed) {
    return fail(exit_usage, fmt::format("--plan: {}", parsed.error().to_string()),
                "a line is like '1.5s partition 0 3 for 2s', or '0s loss any any amount 1000'");
  }
  plan = std::move(*parsed);
  return exit_ok;
}

static std::string command_for(const sim::Scenario& scenario, std::uint64_t seed,
                               const sim::FaultPlan* plan) {
  std::string command = fmt::format("velo sim run {} --seed {}", scenario.name(), seed);
  if (plan == nullptr) return command;
  std::string faults;
  for (const std::string& line : lines_of(*plan)) faults += " '" + line + "'";
  if (faults.empty()) return command + " --plan /dev/null";
  return "printf '%s\\n'" + faults + " | " + command + " --plan -";
}

/// Replays, and makes the plan small unless told not to.
static SimFailureFound examine(const sim::Scenario& scenario, const SimRunOptions& options,
                               const sim::SeedFailure& failure, const sim::FaultPlan& plan) {
  SimFailureFound found;
  found.seed = failure.seed;
  found.failure = failure.sentence;
  found.trace_hash = show_hash(failure.trace_hash);
  found.plan = lines_of(plan);
  found.command = command_for(scenario, failure.seed, options.plan ? &plan : nullptr);
  const sim::ScenarioOutcome again = sim::run_once(scenario, failure.seed, &plan);
  found.replayed = again.failure == failure.sentence && again.trace_hash == failure.trace_hash;
  if (!found.replayed || !options.shrink) return found;
  std::string sentence = failure.sentence;
  const sim::ShrinkResult shrunk = sim::shrink_plan(plan, [&](const sim::FaultPlan& tried) {
    const sim::ScenarioOutcome outcome = sim::run_once(scenario, failure.seed, &tried);
    if (!outcome.ok()) sentence = outcome.failure;
    return !outcome.ok();
  });
  found.shrunk = lines_of(shrunk.plan);
  found.shrunk_failure = sentence;
  found.shrink_runs = shrunk.runs;
  found.shrink_finished = shrunk.finished;
  found.command = command_for(scenario, failure.seed, &shrunk.plan);
  return found;
}

static int finish(const Globals& globals, const SimReport& report) {
  print_report(globals, report);
  if (!report.lowest_failure) return exit_ok;
  const SimFailureFound& found = *report.lowest_failure;
  const std::string what =
      fmt::format("{}, seed {}: {}", report.scenario, found.seed, found.failure);
  if (!found.replayed) {
    return fail(
        exit_unverified, what + "; but not when it was run again",
        "something outside the seed decides: a real clock, an address, an uninitialised value");
  }
  return fail(exit_failed, what, "again: " + found.command);
}

static int run_range(const Globals& globals, const SimRunOptions& options,
                     const sim::Scenario& scenario) {
  SimReport report;
  report.scenario = scenario.name();
  report.first_seed = options.first;
  report.seeds = options.seeds;
  report.jobs = std::min<std::uint64_t>(options.jobs, std::max<std::uint64_t>(options.seeds, 1));
  sim::SeedRangeOptions range_options;
  range_options.stop_at_failure = options.fail_fast;
  sim::SeedRange range(scenario, options.first, options.seeds, range_options);
  const auto began = SteadyClock::now();
  work(range, options.seeds, report.jobs, globals.progress);
  report.seconds = seconds_since(began);
  const sim::SeedTotals totals = range.totals();
  add_totals(report, totals);
  if (const auto& failure = totals.lowest_failure) {
    report.lowest_failure = examine(scenario, options, *failure, scenario.plan(failure->seed));
  }
  return finish(globals, report);
}

static int run_one(const Globals& globals, const SimRunOptions& options,
                   const sim::Scenario& scenario) {
  sim::FaultPlan plan;
  if (const int code = choose_plan(scenario, options, plan); code != exit_ok) return code;
  SimReport report;
  report.scenario = scenario.name();
  report.first_seed = *options.seed;
  report.seeds = 1;
  const auto began = SteadyClock::now();
  sim::ScenarioOutcome outcome;
  {
    std::optional<sim::TraceListener> listener;
    if (options.trace) {
      listener.emplace([](const sim::Simulation& sim, const sim::TraceRecord& record) {
        print_line(sim.describe(record));
      });
    }
    outcome = sim::run_once(scenario, *options.seed, &plan);
  }
  report.seconds = seconds_since(began);
  sim::SeedTotals totals;
  totals.runs = 1;
  totals.failures = outcome.ok() ? 0 : 1;
  totals.combined_hash = outcome.trace_hash;
  totals.events = outcome.events;
  totals.virtual_time = outcome.virtual_time;
  totals.figures = outcome.figures;
  add_totals(report, totals);
  if (!outcome.ok()) {
    const sim::SeedFailure failure{*options.seed, outcome.failure, outcome.trace_hash};
    report.lowest_failure = examine(scenario, options, failure, plan);
  }
  return finish(globals, report);
}

}  // namespace sim_run_detail

int run_sim_list(const Globals& globals) {
  std::vector<SimScenarioShown> shown;
  std::vector<std::vector<std::string>> rows;
  for (const auto& scenario : sim_scenarios()) {
    shown.push_back({std::string(scenario->name()), std::string(scenario->description())});
    rows.push_back({shown.back().name, shown.back().description});
  }
  print_line(globals.output == OutputFormat::json ? codec::to_json(shown)
                                                  : table({"SCENARIO", "PROMISE"}, rows));
  return exit_ok;
}

int run_sim(const Globals& globals, const SimRunOptions& options) {
  const auto scenarios = sim_scenarios();
  const auto found = std::find_if(scenarios.begin(), scenarios.end(), [&](const auto& scenario) {
    return scenario->name() == options.scenario;
  });
  if (found == scenarios.end()) {
    return fail(exit_usage, fmt::format("no scenario is called '{}'", options.scenario),
                "see `velo sim list`");
  }
  if (options.trace && globals.output == OutputFormat::json) {
    return fail(exit_usage, "--trace prints lines, not JSON", "leave -o json away");
  }
  // Simulated nodes warn of what is done to them on purpose.
  if (std::getenv("VELO_LOG") == nullptr) {
    if (auto quieter = log::configure("error"); !quieter) return fail("log", quieter.error());
  }
  return options.seed ? sim_run_detail::run_one(globals, options, **found)
                      : sim_run_detail::run_range(globals, options, **found);
}

}  // namespace velo::cli
