// SPDX-License-Identifier: Apache-2.0
// The command lines of `velo top` and `velo drain`.

#include "commands.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace velo::cli {
namespace watch_command_detail {

static CLI::Option* duration(CLI::App& app, const std::string& name, Duration& value,
                             const std::string& what) {
  return app
      .add_option_function<std::string>(
          name,
          [&value](const std::string& text) {
            auto parsed = parse_duration(text);
            if (!parsed) throw CLI::ValidationError(parsed.error().context());
            value = *parsed;
          },
          what)
      ->type_name("DURATION");
}

static void where(CLI::App& app, Rendezvous& rendezvous) {
  app.add_option("-d,--discovery", rendezvous.directory,
                 "Where the peers announce themselves: a folder, multicast://, or "
                 "etcd://ADDRESS:PORT")
      ->type_name("DIR")
      ->envname("VELO_DISCOVERY")
      ->required();
  app.add_option("--cluster", rendezvous.cluster, "Name of the cluster in that folder")
      ->envname("VELO_CLUSTER")
      ->capture_default_str();
}

static void add_top(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* sub = app.add_subcommand(
      "top", "Watches running instances: calls, latencies, what is queued and for how long");
  sub->fallthrough();
  sub->footer(
      "Examples:\n"
      "  velo top --discovery /run/myapp\n"
      "  velo top --discovery /run/myapp 3f2a --interval 5s\n"
      "  velo top --discovery /run/myapp -o json\n"
      "Instances tell this host; others if their access rules open _watch.");
  where(*sub, options->where);
  sub->add_option("INSTANCE", options->instances, "First digits of instance ids [all]");
  duration(*sub, "-i,--interval", options->interval, "Between two looks [1s]");
  sub->add_option("-n,--samples", options->samples,
                  "End after so many [until a signal; with -o json 1]")
      ->check(CLI::Range(1, 1 << 30));
  add_node_options(*sub, globals.node, false);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_top(globals, *options); };
  });
}

static void add_drain(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<DrainOptions>();
  CLI::App* sub = app.add_subcommand(
      "drain", "Asks an instance to refuse new requests, finish what it has, and close");
  sub->fallthrough();
  sub->footer(
      "Examples:\n"
      "  velo drain --discovery /run/myapp --peer 3f2a\n"
      "  velo drain --discovery /run/myapp --peer 3f2a --patience 1m --own-calls\n"
      "1 when something was cut off. Instances heed this host; others if their access rules open "
      "_drain.");
  where(*sub, options->where);
  sub->add_option("-p,--peer", options->peer,
                  "First digits of its instance id; not needed if only one is announced");
  duration(*sub, "--patience", options->patience, "Time for what runs; then it is cut off [10s]");
  sub->add_flag("--own-calls", options->own_calls, "Wait for the calls it has made itself, too");
  add_node_options(*sub, globals.node, false);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_drain(globals, *options); };
  });
}

}  // namespace watch_command_detail

void add_watch_commands(CLI::App& app, Globals& globals) {
  watch_command_detail::add_top(app, globals);
  watch_command_detail::add_drain(app, globals);
}

}  // namespace velo::cli
