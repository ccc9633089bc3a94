// SPDX-License-Identifier: Apache-2.0
// `velo top`: what running instances do, looked at again and again.

#include "client.hpp"
#include "commands.hpp"
#include "signals.hpp"

#include <velo/velo.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>

namespace velo::cli {

/// Of an interval, in microseconds; from a sample of the calls, 0 when it has none.
struct LatencyShown {
  double p50_us = 0;
  double p99_us = 0;
};
VELO_DESCRIBE(LatencyShown, p50_us, p99_us);

struct TopShown {
  std::string instance;
  std::string error;  ///< why it could not be looked at; then the rest means nothing
  std::string phase;
  double interval_seconds = 0;
  double calls_per_second = 0;
  double requests_per_second = 0;
  LatencyShown calls;
  LatencyShown requests;
  std::uint64_t calls_in_flight = 0;
  std::uint64_t requests_running = 0;
  double oldest_call_ms = 0;
  double oldest_request_ms = 0;
  std::uint64_t queued_bytes = 0;
  std::uint64_t queued_sends = 0;
  std::uint64_t waiting_sends = 0;
  std::uint64_t memory_used = 0;
  std::uint64_t memory_max = 0;
  std::uint64_t memory_refused = 0;
  std::uint64_t connections = 0;
  std::map<std::string, std::uint64_t> fates;         ///< of its sends, since it started
  std::map<std::string, std::uint64_t> request_ends;  ///< of what it was asked, likewise
  std::vector<PeerWatch> peers;
};
VELO_DESCRIBE(TopShown, instance, error, phase, interval_seconds, calls_per_second,
              requests_per_second, calls, requests, calls_in_flight, requests_running,
              oldest_call_ms, oldest_request_ms, queued_bytes, queued_sends, waiting_sends,
              memory_used, memory_max, memory_refused, connections, fates, request_ends, peers);

struct TopSampleShown {
  std::vector<TopShown> instances;
};
VELO_DESCRIBE(TopSampleShown, instances);

namespace top_detail {

using Looks = std::map<InstanceId, Result<NodeWatch>>;

static std::uint64_t sent(const Books& books) {
  return books.fire.sent + books.sync.sent + books.unary.sent;
}

static double microseconds(Duration value) {
  return std::chrono::duration<double, std::micro>(value).count();
}

/// Of the interval; of all there is when it has none.
static LatencyShown latency(const LatencyBuckets& before, const LatencyBuckets& now) {
  LatencyBuckets fresh = latencies_since(before, now);
  const LatencyBuckets& shown = fresh.empty() ? now : fresh;
  return {microseconds(latency_percentile(shown, 50)), microseconds(latency_percentile(shown, 99))};
}

static double milliseconds(std::int64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e6;
}

static TopShown shown_of(const InstanceId& id, const Result<NodeWatch>& now,
                         const Result<NodeWatch>* before) {
  TopShown shown;
  shown.instance = id.to_string();
  if (!now) {
    shown.error = now.error().to_string();
    return shown;
  }
  const NodeWatch none;
  const NodeWatch& was = before != nullptr && *before ? **before : none;
  const Books& books = now->books;
  shown.phase = now->phase;
  if (before != nullptr && *before) {
    const double seconds = std::max(milliseconds(now->at_ns - was.at_ns) / 1e3, 1e-6);
    shown.interval_seconds = seconds;
    shown.calls_per_second = static_cast<double>(sent(books) - sent(was.books)) / seconds;
    shown.requests_per_second =
        static_cast<double>(books.received.requests - was.books.received.requests) / seconds;
  }
  shown.calls = latency(was.calls, now->calls);
  shown.requests = latency(was.requests, now->requests);
  shown.calls_in_flight = books.fire.in_flight + books.sync.in_flight + books.unary.in_flight;
  shown.requests_running = books.received.running;
  shown.oldest_call_ms = milliseconds(now->oldest_call_ns);
  shown.oldest_request_ms = milliseconds(now->oldest_request_ns);
  shown.queued_bytes = now->queued_bytes;
  for (const PeerWatch& peer : now->peers) shown.queued_sends += peer.queued_sends;
  shown.waiting_sends = now->waiting_sends;
  shown.memory_used = now->memory_used;
  shown.memory_max = now->memory_max;
  shown.memory_refused = now->memory_refused;
  shown.connections = now->connections;
  for (std::size_t i = 0; i < fate_count; ++i) {
    const auto fate = static_cast<Fate>(i);
    shown.fates[std::string(fate_name(fate))] =
        books.fire[fate] + books.sync[fate] + books.unary[fate];
  }
  shown.request_ends = {{"succeeded", books.received.succeeded},
                        {"failed", books.received.failed},
                        {"rejected", books.received.rejected},
                        {"abandoned", books.received.abandoned}};
  shown.peers = now->peers;
  return shown;
}

static std::string rate(double per_second) { return fmt::format("{:.0f}", per_second); }

static std::string span(double p50_us, double p99_us) {
  if (p99_us <= 0) return "-";
  const auto text = [](double us) {
    return show_duration(Duration(static_cast<std::int64_t>(std::min(us, 1e12) * 1e3)));
  };
  return text(p50_us) + " / " + text(p99_us);
}

static std::string age(double milliseconds) {
  if (milliseconds <= 0) return "-";
  return show_duration(Duration(static_cast<std::int64_t>(milliseconds * 1e6)));
}

static std::string counts(const std::map<std::string, std::uint64_t>& by_name) {
  std::string line;
  for (const auto& [name, count] : by_name) {
    if (count == 0) continue;
    if (!line.empty()) line += ", ";
    line += fmt::format("{} {}", name, show_count(count));
  }
  return line.empty() ? "none" : line;
}

static void print_peers(const TopShown& node) {
  std::vector<std::vector<std::string>> rows;
  for (const PeerWatch& peer : node.peers) {
    rows.push_back(
        {peer.peer.to_string().substr(0, 12),
         peer.transports.empty() ? "-" : plain(fmt::format("{}", fmt::join(peer.transports, ", "))),
         show_bytes(peer.queued_bytes), show_count(peer.queued_sends), show_count(peer.running)});
  }
  if (rows.empty()) return;
  print_line("");
  print_line(table({"PEER", "CONNECTED BY", "QUEUED", "SENDS QUEUED", "RUNNING"}, rows,
                   {false, false, true, true, true}));
}

static void print_table(const std::vector<TopShown>& nodes) {
  std::vector<std::vector<std::string>> rows;
  for (const TopShown& node : nodes) {
    const std::string id = node.instance.substr(0, 12);
    if (!node.error.empty()) {
      rows.push_back({id, "unreachable"});
      rows.back().resize(11, "-");
      continue;
    }
    rows.push_back({id, node.phase, show_count(node.peers.size()), rate(node.calls_per_second),
                    span(node.calls.p50_us, node.calls.p99_us), rate(node.requests_per_second),
                    span(node.requests.p50_us, node.requests.p99_us),
                    show_count(node.calls_in_flight + node.requests_running),
                    age(std::max(node.oldest_call_ms, node.oldest_request_ms)),
                    show_bytes(node.queued_bytes), show_bytes(node.memory_used)});
  }
  print_line(table({"INSTANCE", "PHASE", "PEERS", "CALLS/S", "P50 / P99", "SERVED/S", "P50 / P99",
                    "OPEN", "OLDEST", "QUEUED", "HELD"},
                   rows, {false, false, true, true, true, true, true, true, true, true, true}));
  for (const TopShown& node : nodes) {
    if (!node.error.empty()) {
      print_line(fmt::format("{}: {}", node.instance.substr(0, 12), plain(node.error)));
      continue;
    }
    if (nodes.size() > 1) continue;
    print_line("");
    print_line("sends    " + counts(node.fates));
    print_line("requests " + counts(node.request_ends));
    print_peers(node);
  }
}

static Looks look(Client& client, const TopOptions& options, const std::vector<PeerInfo>& peers) {
  std::vector<std::pair<InstanceId, Op<NodeWatch>>> asked;
  for (const PeerInfo& peer : peers) {
    const std::string id = peer.instance_id.to_string();
    const bool wanted = options.instances.empty() ||
                        std::ranges::any_of(options.instances, [&](const std::string& prefix) {
                          return id.starts_with(prefix);
                        });
    if (!wanted || !client.node().register_peer(peer)) continue;
    asked.emplace_back(peer.instance_id, client.node().messenger().watch_of(peer.instance_id));
  }
  Looks looks;
  for (auto& [id, op] : asked) looks.emplace(id, std::move(op).get());
  return looks;
}

static std::vector<TopShown> compare(const Looks& before, const Looks& now) {
  std::vector<TopShown> all;
  for (const auto& [id, watch] : now) {
    const auto was = before.find(id);
    all.push_back(shown_of(id, watch, was == before.end() ? nullptr : &was->second));
  }
  return all;
}

static void print(const Globals& globals, std::vector<TopShown> nodes, bool first) {
  if (globals.output == OutputFormat::json) {
    return print_line(to_json(TopSampleShown{std::move(nodes)}));
  }
  constexpr std::string_view home_and_clear = "\x1b[H\x1b[2J";
  if (::isatty(STDOUT_FILENO) == 1) {
    print_line(home_and_clear);
  } else if (!first) {
    print_line("");
  }
  print_table(nodes);
}

}  // namespace top_detail

int run_top(const Globals& globals, const TopOptions& options) {
  Signals signals;
  Client client(options.where, globals.node);
  if (const int code = client.join(); code != exit_ok) return code;
  const std::size_t once = globals.output == OutputFormat::json ? 1 : 0;
  const std::size_t samples = options.samples.value_or(once);
  top_detail::Looks before;
  for (std::size_t taken = 0; samples == 0 || taken <= samples; ++taken) {
    auto peers = client.announced();
    if (!peers) return fail("cannot read the discovery folder", peers.error());
    top_detail::Looks now = top_detail::look(client, options, *peers);
    if (now.empty() && taken == 0) {
      return fail(exit_unreachable, "nobody like that is announced there",
                  "list who is there with `velo info --discovery DIR [--cluster NAME]`");
    }
    const bool reached =
        std::ranges::any_of(now, [](const auto& each) { return each.second.has_value(); });
    if (!reached && taken == 0) {
      return fail("no instance could be looked at", now.begin()->second.error());
    }
    // The first look is what the others are compared with.
    if (taken > 0) top_detail::print(globals, top_detail::compare(before, now), taken == 1);
    if (!flush_output()) return exit_failed;
    before = std::move(now);
    if (taken == samples && samples != 0) break;
    if (signals.wait(options.interval)) return exit_ok;
  }
  return exit_ok;
}

}  // namespace velo::cli
