// SPDX-License-Identifier: Apache-2.0
// `velo echo`: a small node to try `velo call` and `velo handlers` on.

#include "client.hpp"
#include "commands.hpp"
#include "mailbox.hpp"
#include "node_setup.hpp"
#include "signals.hpp"
#include "temporary_directory.hpp"

#include <velo/velo.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>

namespace velo::cli {

struct AddRequest {
  std::int64_t a = 0;
  std::int64_t b = 0;
};
VELO_DESCRIBE(AddRequest, a, b);

struct AddReply {
  std::int64_t sum = 0;
};
VELO_DESCRIBE(AddReply, sum);

struct EchoShown {
  std::string serving;
  std::vector<std::string> handlers;
  std::string metrics;  ///< a URL; empty: not served
};
VELO_DESCRIBE(EchoShown, serving, handlers, metrics);

struct EchoEnded {
  std::uint64_t requests = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t rejected = 0;
};
VELO_DESCRIBE(EchoEnded, requests, succeeded, failed, rejected);

namespace echo_detail {

static Result<AddReply> add(TypedContext<AddRequest>& context) {
  AddReply reply;
  if (__builtin_add_overflow(context.input.a, context.input.b, &reply.sum)) {
    return make_error(messenger::Errc::failed, "the sum does not fit into 64 bits");
  }
  return reply;
}

static Result<void> register_handlers(Velo& node) {
  std::vector<Handler> handlers;
  handlers.push_back(Handler::unary_handler("echo", [](Context& context) {
                       context.set_response_header("echoed-bytes",
                                                   std::to_string(context.payload().size()));
                       return context.payload_bytes();
                     }).build());
  handlers.push_back(Handler::typed_unary("add", &add).build());
  handlers.push_back(Handler::am_handler("notify", [](Context&) {}).build());
  for (Handler& handler : handlers) {
    auto registered = node.register_handler(std::move(handler));
    if (!registered) return registered;
  }
  return {};
}

/// Nothing: asked once more to end, before it was done.
static std::optional<Result<void>> drain(Velo& node, Signals& signals) {
  // The continuation may come when nobody waits any longer.
  auto over = std::make_shared<Mailbox<Result<void>>>();
  signals.asked_to_end();
  const int asked_before = signals.times_asked();
  node.shutdown().then([over](Result<void> ended) { over->put(std::move(ended)); });
  for (;;) {
    auto ended = over->take();
    if (!ended.empty()) return std::move(ended.front());
    signals.asked_to_end();
    if (signals.times_asked() > asked_before) return std::nullopt;
    over->wait(signals, std::chrono::minutes(1));
  }
}

/// Until a signal, or for that long; true: somebody else has drained the node (`velo drain`).
static bool wait_for_the_end(Velo& node, Signals& signals, std::optional<Duration> duration) {
  auto closed = std::make_shared<Mailbox<Result<void>>>();
  node.messenger().closed().then([closed](Result<void> over) { closed->put(std::move(over)); });
  Clock& clock = node.world().clock();
  const TimePoint until = duration ? clock.now() + *duration : TimePoint::never();
  for (;;) {
    if (!closed->take().empty()) return true;
    const TimePoint now = clock.now();
    if (signals.asked_to_end() || now >= until) return false;
    closed->wait(signals, std::min<Duration>(until - now, std::chrono::minutes(1)));
  }
}

/// What is cut off is not waited for: the destructors would flush first.
[[noreturn]] static void end_now(const Velo& node, const std::string& sockets, int number) {
  const DrainState left = node.drain_state();
  fail(exit_failed,
       fmt::format("ended by a second signal; {} requests were still running, {} of replies queued",
                   left.running, show_bytes(left.bytes_queued)),
       "one signal drains");
  flush_output();
  std::error_code ignored;
  std::filesystem::remove_all(sockets, ignored);
  std::_Exit(exit_signal + number);
}

static std::string metrics_url(const Velo& node) {
  const auto where = node.metrics_endpoint();
  if (!where) return {};
  constexpr std::string_view scheme = "tcp://";
  return "http://" + where->to_string().substr(scheme.size()) + "/metrics";
}

static int serve(const Globals& globals, const EchoOptions& options, Signals& signals,
                 const std::string& sockets) {
  VeloBuilder builder;
  if (auto added = add_discovery(builder, options.where); !added) {
    return fail("cannot use the discovery", added.error());
  }
  if (auto ready = set_up(builder, globals.node, sockets, Listening::yes); !ready) {
    return fail("cannot set up the node", ready.error());
  }
  if (options.memory_mib != 0) builder.memory_budget(options.memory_mib << 20U);
  auto built = builder.build();
  if (!built) return fail("cannot start", built.error());
  Velo& node = **built;
  if (auto registered = register_handlers(node); !registered) {
    return fail("cannot register the handlers", registered.error());
  }
  const std::string self = node.instance_id().to_string();
  const std::string metrics = metrics_url(node);
  if (globals.output == OutputFormat::json) {
    print_line(to_json(EchoShown{self, {"add", "echo", "notify"}, metrics}));
  } else {
    print_line(fmt::format("serving {} (handlers add, echo, notify); ends on Ctrl-C", self));
    if (!metrics.empty()) print_line("metrics at " + metrics);
  }
  flush_output();
  if (!wait_for_the_end(node, signals, options.duration)) {
    const auto drained = drain(node, signals);
    if (!drained) end_now(node, sockets, signals.asked_to_end().value_or(SIGTERM));
    if (!*drained) return fail("the drain did not end well", drained->error());
  }
  const ReceivedBooks books = node.books().received;
  if (globals.output == OutputFormat::json) {
    print_line(to_json(EchoEnded{books.requests, books.succeeded, books.failed, books.rejected}));
  } else {
    print_line(fmt::format("served {} requests: {} succeeded, {} failed, {} rejected",
                           books.requests, books.succeeded, books.failed, books.rejected));
  }
  return exit_ok;
}

}  // namespace echo_detail

int run_echo(const Globals& globals, const EchoOptions& options) {
  Signals signals;
  auto sockets = TemporaryDirectory::create("velo-echo-");
  if (!sockets) return fail("cannot make a temporary directory", sockets.error());
  return echo_detail::serve(globals, options, signals, sockets->path());
}

}  // namespace velo::cli
