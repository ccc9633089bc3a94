// SPDX-License-Identifier: Apache-2.0
// The command line of `velo bench`.

#include "bench_options.hpp"
#include "commands.hpp"
#include "soak.hpp"

#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace velo::cli {

namespace bench_command_detail {

using Options = std::shared_ptr<BenchOptions>;

/// Rounds are short and many rather than long: what else runs on the machine then hits both sides.
constexpr double seconds_min = 0.01;
constexpr double seconds_max = 30;
constexpr int rounds_max = 1000;

/// Two flags for one choice that has a default of its own.
static void add_choice(CLI::App& command, const std::string& yes, const std::string& no,
                       std::optional<bool>& choice, const std::string& about_yes,
                       const std::string& about_no) {
  auto* first = command.add_flag_callback(yes, [&choice] { choice = true; }, about_yes);
  command.add_flag_callback(no, [&choice] { choice = false; }, about_no)->excludes(first);
}

/// The options of every measurement.
static CLI::App* add_common(CLI::App& bench, const Options& options, const char* name,
                            const char* about, const std::vector<std::string>& transports) {
  CLI::App* command = bench.add_subcommand(name, about);
  command->fallthrough();
  command
      ->add_option("--transport", options->transport,
                   fmt::format("{}", fmt::join(transports, ", ")))
      ->check(CLI::IsMember(transports))
      ->capture_default_str();
  command->add_option("--size", options->payload_bytes, "Payload in bytes; 64k is 65536")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  command->add_option("--rounds", options->rounds, "How often floor and ours take turns")
      ->check(CLI::Range(1, rounds_max))
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "Length of each measurement")
      ->check(CLI::Range(seconds_min, seconds_max))
      ->capture_default_str();
  command
      ->add_option("--samples", options->samples,
                   "File for the raw samples, one JSON object a line")
      ->type_name("PATH");
  return command;
}

static CLI::App* add(CLI::App& bench, Globals& globals, const Options& options, const char* name,
                     const char* about) {
  CLI::App* command = add_common(bench, options, name, about, {"tcp", "uds", "inproc"});
  add_choice(*command, "--two-process", "--one-process", options->two_processes,
             "Both ends in processes of their own [where there are sockets]",
             "The other end is a thread of the same process");
  add_choice(*command, "--pin", "--no-pin", options->pin,
             "Both ends on one processor [for round trips]", "Wherever the scheduler puts them");
  command->callback([options, &globals] {
    globals.action = [options, &globals] { return run_bench(globals, *options); };
  });
  return command;
}

static void add_load(CLI::App& command, const Options& options) {
  command.add_option("--outstanding", options->outstanding,
                     "Calls in flight (64); with --one-way messages in a burst (256)");
  command.add_flag("--one-way", options->one_way,
                   "Fire-and-forget messages that the receiver counts");
}

static Options options_for(BenchCommand command) {
  auto options = std::make_shared<BenchOptions>();
  options->command = command;
  return options;
}

}  // namespace bench_command_detail

void add_bench_command(CLI::App& app, Globals& globals) {
  using namespace bench_command_detail;
  CLI::App* bench = app.add_subcommand(
      "bench", "Measure this machine: messages against plain sockets, in the same run; or soak it");
  bench->require_subcommand(1);
  bench->fallthrough();

  const Options latency = options_for(BenchCommand::latency);
  CLI::App* command =
      add(*bench, globals, latency, "latency", "Round trip times of one call at a time");
  command->footer(
      "Examples:\n  velo bench latency --transport uds --size 64\n"
      "  velo bench latency --blocking --rounds 9 --samples raw.jsonl -o json");
  command->add_flag("--blocking", latency->blocking,
                    "The caller is a thread that waits, not a continuation on the I/O thread");
  command->add_flag("--spawn", latency->spawn,
                    "The handler runs on the worker pool, not on the I/O thread");

  const Options throughput = options_for(BenchCommand::throughput);
  command = add(*bench, globals, throughput, "throughput", "Messages a second");
  command->footer(
      "Examples:\n  velo bench throughput --outstanding 256\n"
      "  velo bench throughput --one-way --size 1k");
  add_load(*command, throughput);
  command->add_flag("--spawn", throughput->spawn,
                    "The handler runs on the worker pool, not on the I/O thread");

  const Options ladder = options_for(BenchCommand::ladder);
  command =
      add_common(*bench, ladder, "ladder",
                 "Round trips with one layer more each: what each layer costs", {"tcp", "uds"});
  command->footer("Example:\n  velo bench ladder --rounds 9 -o json");
  command->callback([ladder, &globals] {
    globals.action = [ladder, &globals] { return run_bench_ladder(globals, *ladder); };
  });

  const Options floor = options_for(BenchCommand::floor);
  command = add(*bench, globals, floor, "floor",
                "Plain sockets alone: round trips, or with --outstanding or --one-way messages");
  command->footer(
      "Examples:\n  velo bench floor --transport uds\n  velo bench floor --outstanding 256");
  add_load(*command, floor);

  add_soak_command(*bench, globals);
}

}  // namespace velo::cli
