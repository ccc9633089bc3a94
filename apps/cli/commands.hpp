// SPDX-License-Identifier: Apache-2.0
// The commands of the program: what the command line fills in, and what then runs. main.cpp parses
// (with *_command.cpp the only sources that pay for CLI11); each command lives in a source of its
// own and returns the exit code.
// Threading: the main thread.
#pragma once

#include "console.hpp"

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): as that library calls it
class App;
}

namespace velo::cli {

/// Who a node of this program is, and over what it talks.
struct NodeSetup {
  /// In order of preference, of transport_names(); empty: all that can be had.
  std::vector<std::string> transports;
  std::string identity;         ///< a folder of `velo identity new`; empty: none
  std::string passphrase_file;  ///< of the identity's key; empty: VELO_PASSPHRASE, or none
  std::string bind = "127.0.0.1";
  bool plaintext = false;  ///< tcp beyond loopback
  std::string access;      ///< a file with an access policy in JSON; empty: the default
  std::string metrics;     ///< "ADDRESS:PORT" where they are served; empty: nowhere
};

/// What holds for every command.
struct Globals {
  OutputFormat output = OutputFormat::table;
  bool progress = true;
  NodeSetup node;
  /// Set by the chosen command's callback; run after parsing.
  std::function<int()> action;
};

/// Where other nodes are found.
struct Rendezvous {
  std::string directory;  ///< a folder, or a URL as node_setup.hpp has them
  std::string cluster = "velo";
};

struct InfoOptions {
  Rendezvous where;
  std::vector<std::string> instances;  ///< prefixes; empty: all
  bool balance = false;
};
int run_info(const Globals& globals, const InfoOptions& options);
/// The part of run_info() that compares books.
int run_balance(const Globals& globals, const InfoOptions& options);

struct HandlersOptions {
  Rendezvous where;
  std::string peer;  ///< a prefix of an instance id; empty: the only one
};
int run_handlers(const Globals& globals, const HandlersOptions& options);

struct ExplainOptions {
  Rendezvous where;
  std::string from;  ///< a prefix of an instance id, or "me"
  std::string to;
  Duration timeout = std::chrono::seconds(5);
};
int run_explain_path(const Globals& globals, const ExplainOptions& options);
/// Adds `velo explain` with its subcommands. Defined in explain_command.cpp.
void add_explain_command(CLI::App& app, Globals& globals);

struct WhyOptions {
  Rendezvous where;
  std::string event;  ///< a handle, as text or as a number
};
int run_why(const Globals& globals, const WhyOptions& options);
/// Adds `velo why`. Defined in explain_command.cpp.
void add_why_command(CLI::App& app, Globals& globals);

struct TopOptions {
  Rendezvous where;
  std::vector<std::string> instances;  ///< prefixes; empty: all
  Duration interval = std::chrono::seconds(1);
  std::optional<std::size_t> samples;  ///< nothing: until a signal, in JSON one
};
int run_top(const Globals& globals, const TopOptions& options);

struct DrainOptions {
  Rendezvous where;
  std::string peer;  ///< a prefix of an instance id; empty: the only one
  Duration patience = std::chrono::seconds(10);
  bool own_calls = false;
};
int run_drain(const Globals& globals, const DrainOptions& options);

/// Adds `velo top` and `velo drain`. Defined in watch_command.cpp.
void add_watch_commands(CLI::App& app, Globals& globals);

struct CallOptions {
  Rendezvous where;
  std::string peer;
  std::string handler;
  std::optional<std::string> json;
  std::optional<std::string> raw;
  std::optional<std::string> file;  ///< "-" is standard input
  std::string kind = "unary";       ///< unary, sync, fire
  Duration timeout = std::chrono::seconds(5);
};
int run_call(const Globals& globals, const CallOptions& options);

struct EchoOptions {
  Rendezvous where;
  std::optional<Duration> duration;  ///< nothing: until a signal
  std::size_t memory_mib = 0;        ///< of the memory budget; 0: the default
};
int run_echo(const Globals& globals, const EchoOptions& options);

struct DemoOptions {
  std::optional<std::string> directory;
  std::size_t workers = 3;
  std::string transport = "tcp";  ///< tcp, uds
  std::size_t outstanding = 16;   ///< calls in flight per worker
  bool kill = true;
  std::size_t kill_worker = 0;
  double kill_at = 0.5;  ///< of the files
  Duration timeout = std::chrono::seconds(30);
  std::string results;  ///< file to write "<sha256>  <path>" lines to; empty: none
  std::string spoil;    ///< for tests: the workers lie about this path
  std::optional<std::size_t> spoil_books;  ///< for tests: this worker counts one request too many
};
int run_demo(const Globals& globals, const DemoOptions& options);

struct DemoWorkerOptions {
  Rendezvous where;
  std::string transport = "tcp";
  std::string coordinator;  ///< its instance id
  std::size_t index = 0;
  int parent = 0;
  std::string spoil;
};
int run_demo_worker(const DemoWorkerOptions& options);

int run_sim_list(const Globals& globals);

struct SimRunOptions {
  std::string scenario;
  std::uint64_t first = 1;
  std::uint64_t seeds = 100;
  std::size_t jobs = 1;
  std::optional<std::uint64_t> seed;  ///< only this one
  std::optional<std::string> plan;    ///< a file of faults, with `seed`; "-" is standard input
  bool shrink = true;
  bool trace = false;  ///< with `seed`
  bool fail_fast = false;
};
int run_sim(const Globals& globals, const SimRunOptions& options);

/// Adds --transport, --identity and what else a node is set up with; a node that others call gets
/// --bind and --access as well. Defined in node_command.cpp.
void add_node_options(CLI::App& command, NodeSetup& setup, bool serves);

/// Adds `velo identity` with its subcommands (identity.hpp). Defined in identity_command.cpp.
void add_identity_command(CLI::App& app, Globals& globals);

/// Adds `velo sim` with its subcommands. Defined in sim_command.cpp.
void add_sim_command(CLI::App& app, Globals& globals);

/// Adds `velo bench` with its subcommands; their callbacks set globals.action. Defined in
/// bench_*.cpp.
void add_bench_command(CLI::App& app, Globals& globals);
/// Adds `velo completion`, which knows every command of `app`. Defined in completion_command.cpp.
void add_completion_command(CLI::App& app, Globals& globals);

}  // namespace velo::cli
