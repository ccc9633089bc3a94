// SPDX-License-Identifier: Apache-2.0
// The command line of `velo sim`.

#include "commands.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <limits>
#include <memory>
#include <thread>

namespace velo::cli {

void add_sim_command(CLI::App& app, Globals& globals) {
  constexpr std::size_t jobs_max = 256;
  CLI::App* sim = app.add_subcommand(
      "sim", "Run simulated systems under many seeds of faults; replay and shrink what fails");
  sim->require_subcommand(1);
  sim->fallthrough();

  CLI::App* list = sim->add_subcommand("list", "The scenarios, and what each promises");
  list->fallthrough();
  list->callback([&globals] { globals.action = [&globals] { return run_sim_list(globals); }; });

  auto options = std::make_shared<SimRunOptions>();
  options->jobs = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, jobs_max);
  CLI::App* run = sim->add_subcommand("run", "Runs one, and exits with 1 if a promise was broken");
  run->fallthrough();
  run->footer(
      "Examples:\n  velo sim run quorum-register --seeds 1000 --jobs 2\n"
      "  velo sim run quorum-register --seed 17 --trace\n"
      "  velo sim run quorum-register --seed 17 --plan plan.txt");
  run->add_option("SCENARIO", options->scenario, "Its name, as in `velo sim list`")->required();
  auto* seed = run->add_option("--seed", options->seed, "Only this one");
  run->add_option("--seeds", options->seeds, "How many seeds")
      ->check(CLI::Range(std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max()))
      ->excludes(seed)
      ->capture_default_str();
  run->add_option("--first", options->first, "The first of them")
      ->excludes(seed)
      ->capture_default_str();
  run->add_option("-j,--jobs", options->jobs, "Threads")
      ->check(CLI::Range(std::size_t{1}, jobs_max))
      ->capture_default_str();
  run->add_flag("--fail-fast", options->fail_fast, "Begin no seed after one has failed")
      ->excludes(seed);
  run->add_option("--plan", options->plan,
                  "These faults instead of the seed's own, one per line; - is standard input")
      ->type_name("PATH")
      ->needs(seed);
  run->add_flag("--trace", options->trace, "Print every event of the run")->needs(seed);
  run->add_flag_callback(
      "--no-shrink", [options] { options->shrink = false; }, "Leave a failing plan as it is");
  run->callback([options, &globals] {
    globals.action = [options, &globals] { return run_sim(globals, *options); };
  });
}

}  // namespace velo::cli
