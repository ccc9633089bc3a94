// SPDX-License-Identifier: Apache-2.0
// The program `velo`: parses the command line and runs the command that it names.

#include "commands.hpp"
#include "soak.hpp"

#include <velo/base/log.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <csignal>
#include <exception>
#include <memory>

namespace velo::cli {

namespace main_detail {

/// Reads "5s" into a Duration.
static CLI::Option* duration_option(CLI::App* app, const std::string& name, Duration& value,
                                    const std::string& what) {
  return app
      ->add_option_function<std::string>(
          name,
          [&value](const std::string& text) {
            auto parsed = parse_duration(text);
            if (!parsed) throw CLI::ValidationError(parsed.error().context());
            value = *parsed;
          },
          what)
      ->type_name("DURATION");
}

static void rendezvous_options(CLI::App* app, Rendezvous& where, bool required) {
  auto* directory = app->add_option(
      "-d,--discovery", where.directory,
      "Where the peers announce themselves: a folder, multicast://, or etcd://ADDRESS:PORT");
  directory->type_name("DIR")->envname("VELO_DISCOVERY")->required(required);
  app->add_option("--cluster", where.cluster, "Name of the cluster in that folder")
      ->envname("VELO_CLUSTER")
      ->capture_default_str();
}

static CLI::App* command(CLI::App& app, const std::string& name, const std::string& what,
                         const std::string& examples) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->fallthrough();
  sub->footer("Examples:\n" + examples);
  return sub;
}

static void add_info(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App* sub = command(app, "info", "This build and host; with --discovery, who is announced",
                          "  velo info -o json\n  velo info --discovery /run/myapp\n"
                          "  velo info --discovery /run/myapp --balance 3f2a 91c0");
  rendezvous_options(sub, options->where, false);
  sub->add_option("INSTANCE", options->instances, "First digits of instance ids");
  add_node_options(*sub, globals.node, false);
  sub->add_flag("--balance", options->balance,
                "Compare what these nodes say they sent and received; 1 when it does not add up");
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_info(globals, *options); };
  });
}

static void add_handlers(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<HandlersOptions>();
  CLI::App* sub = command(app, "handlers", "What a peer can be asked",
                          "  velo handlers --discovery /run/myapp --peer 3f2a");
  rendezvous_options(sub, options->where, true);
  sub->add_option("-p,--peer", options->peer,
                  "First digits of its instance id; not needed if only one is announced");
  add_node_options(*sub, globals.node, false);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_handlers(globals, *options); };
  });
}

static void add_call(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<CallOptions>();
  CLI::App* sub = command(app, "call", "Sends one message to a handler and prints the answer",
                          "  velo call add  --discovery /run/myapp --json '{\"a\": 1, \"b\": 2}'\n"
                          "  velo call echo --discovery /run/myapp --peer 3f2a --raw hello\n"
                          "  velo call notify --discovery /run/myapp --kind fire --file event.bin");
  sub->add_option("HANDLER", options->handler, "Its name")->required();
  rendezvous_options(sub, options->where, true);
  sub->add_option("-p,--peer", options->peer,
                  "First digits of its instance id; not needed if only one is announced");
  add_node_options(*sub, globals.node, false);
  auto* payload = sub->add_option_group("payload", "At most one; without any, an empty message");
  payload->add_option("--json", options->json, "A typed message; the peer gets MessagePack")
      ->type_name("TEXT");
  payload->add_option("--raw", options->raw, "Bytes as they are")->type_name("TEXT");
  payload->add_option("--file", options->file, "The bytes of a file; - is standard input")
      ->type_name("PATH");
  payload->require_option(0, 1);
  sub->add_option("-k,--kind", options->kind,
                  "unary: with an answer; sync: acknowledged; fire: only sent")
      ->check(CLI::IsMember({"unary", "sync", "fire"}))
      ->capture_default_str();
  duration_option(sub, "-t,--timeout", options->timeout, "Time for all of it [5s]");
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_call(globals, *options); };
  });
}

static void add_echo(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<EchoOptions>();
  auto duration = std::make_shared<Duration>(0);
  CLI::App* sub =
      command(app, "echo", "A node with the handlers echo, add and notify, to try calls on",
              "  velo echo --discovery /tmp/here &\n"
              "  velo echo --discovery /srv/cluster --identity me --transport quic --bind 0.0.0.0\n"
              "  velo call add --discovery /tmp/here --json '{\"a\": 1, \"b\": 2}'");
  rendezvous_options(sub, options->where, true);
  add_node_options(*sub, globals.node, true);
  sub->add_option("--memory", options->memory_mib, "MiB that the node may hold for others [256]")
      ->check(CLI::Range(1, 1 << 20));
  auto* limit = duration_option(sub, "--for", *duration, "End after this time [on a signal]");
  sub->callback([&globals, options, duration, limit] {
    if (limit->count() > 0) options->duration = *duration;
    globals.action = [&globals, options] { return run_echo(globals, *options); };
  });
}

static void add_demo(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App* sub = command(
      app, "demo", "Hashes a directory with worker processes, one of which is killed halfway",
      "  velo demo\n  velo demo /usr/include\n"
      "  velo demo /usr/include --kill-worker 2 --kill-at 0.9 -o json\n"
      "  velo demo . --results sums.txt && sha256sum --quiet -c sums.txt");
  sub->add_option("DIR", options->directory, "What to hash [the sources of this repository]");
  sub->add_option("-w,--workers", options->workers, "Worker processes")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  sub->add_option("--transport", options->transport, "tcp (on loopback), uds or shm")
      ->check(CLI::IsMember({"tcp", "uds", "shm"}))
      ->capture_default_str();
  sub->add_option("--outstanding", options->outstanding, "Calls in flight per worker")
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  auto* spare =
      sub->add_flag_callback("--no-kill", [options] { options->kill = false; }, "Kill nobody");
  sub->add_option("--kill-worker", options->kill_worker, "Which one is killed, from 0")
      ->excludes(spare)
      ->capture_default_str();
  sub->add_option("--kill-at", options->kill_at, "When: the part of the files that is done")
      ->check(CLI::Range(0.0, 0.999))
      ->excludes(spare)
      ->capture_default_str();
  duration_option(sub, "-t,--timeout", options->timeout, "Deadline of one call [30s]");
  sub->add_option("--results", options->results, "Write the sums here, as sha256sum does")
      ->type_name("PATH");
  sub->add_option("--spoil", options->spoil)->group("");
  sub->add_option("--spoil-books", options->spoil_books)->group("");
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_demo(globals, *options); };
  });
}

/// Not for people: run_demo() starts it.
static void add_demo_worker(CLI::App& app, Globals& globals) {
  auto options = std::make_shared<DemoWorkerOptions>();
  CLI::App* sub = app.add_subcommand("demo-worker");
  sub->group("");
  rendezvous_options(sub, options->where, true);
  sub->add_option("--transport", options->transport);
  sub->add_option("--coordinator", options->coordinator)->required();
  sub->add_option("--index", options->index);
  sub->add_option("--parent", options->parent);
  sub->add_option("--spoil", options->spoil);
  sub->callback(
      [&globals, options] { globals.action = [options] { return run_demo_worker(*options); }; });
}

static void fill(CLI::App& app, Globals& globals) {
  app.name("velo");
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", "velo " VELO_VERSION);
  app.footer(
      "Data goes to standard output, everything else to standard error.\n"
      "Exit codes: 0 done, 1 failed, 2 usage, 3 unreachable or too late, 4 verification failed,\n"
      "128+n ended by signal n.");
  app.add_option_function<std::string>(
         "-o,--output",
         [&globals](const std::string& format) {
           globals.output = format == "json" ? OutputFormat::json : OutputFormat::table;
         },
         "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->envname("VELO_OUTPUT");
  app.add_flag_callback(
      "--no-progress", [&globals] { globals.progress = false; }, "No progress bar");
  add_demo(app, globals);
  add_bench_command(app, globals);
  add_sim_command(app, globals);
  add_info(app, globals);
  add_handlers(app, globals);
  add_call(app, globals);
  add_echo(app, globals);
  add_watch_commands(app, globals);
  add_explain_command(app, globals);
  add_why_command(app, globals);
  add_identity_command(app, globals);
  add_completion_command(app, globals);
  add_demo_worker(app, globals);
  add_soak_node_command(app, globals);
}

static std::string help_hint(const CLI::App& app) {
  for (const CLI::App* sub : app.get_subcommands()) {
    return fmt::format("see `velo {} --help`", sub->get_name());
  }
  return "see `velo --help`";
}

static int run(int argc, char** argv) {
  CLI::App app("velo: messaging between instances");
  Globals globals;
  fill(app, globals);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked) == 0 ? exit_ok : exit_failed;
  } catch (const CLI::ParseError& wrong) {
    return fail(exit_usage, wrong.what(), help_hint(app));
  }
  if (auto configured = log::configure_from_environment(); !configured) {
    return fail(exit_usage, configured.error().to_string(),
                "VELO_LOG is like info,messenger=debug; VELO_LOG_FORMAT is text or json");
  }
  if (!globals.action) return fail(exit_usage, "no command", "see `velo --help`");
  const int code = globals.action();
  if (!flush_output() && code == exit_ok) {
    return fail(exit_failed, "cannot write to standard output",
                "is the disk full, the pipe closed?");
  }
  return code;
}

}  // namespace main_detail

}  // namespace velo::cli

int main(int argc, char** argv) {
  // A closed pipe is an error of the write, so that commands clean up.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return velo::cli::main_detail::run(argc, argv);
  } catch (const std::exception& unexpected) {
    return velo::cli::fail(velo::cli::exit_failed, unexpected.what(),
                           "this is a defect: report it");
  }
}
