// SPDX-License-Identifier: Apache-2.0
// From the options of `velo bench` to a specification, or to what is wrong with them.

#include "bench_options.hpp"

#include <velo/base/limits.hpp>
#include <velo/messenger/limits.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace velo::cli {

namespace bench_options_detail {

/// What a message carries besides its payload: a name, a header or two, the fixed parts.
constexpr std::uint64_t frame_overhead_bytes = 1024;
constexpr std::uint64_t payload_bytes_max = velo::limits::frame_bytes_max - frame_overhead_bytes;
/// Half of what a connection queues: requests and replies of all calls fit at once.
constexpr std::uint64_t in_flight_bytes_max = velo::limits::peer_memory_bytes_default / 2;

constexpr std::size_t outstanding_default = 64;
constexpr std::size_t burst_default = 256;
/// A shorter warm-up does for the shortest measurements.
constexpr double warm_up_seconds_max = 0.1;

static int check_sizes(const BenchOptions& options, std::size_t outstanding) {
  if (options.payload_bytes > payload_bytes_max) {
    return fail(exit_usage, "--size does not fit a message",
                fmt::format("at most {} bytes: a message has 16 MiB, less what names it",
                            payload_bytes_max));
  }
  if (outstanding < 1 || outstanding > messenger::limits::calls_max) {
    return fail(exit_usage, fmt::format("--outstanding {} is out of range", outstanding),
                fmt::format("1 to {}", messenger::limits::calls_max));
  }
  const std::uint64_t each = options.payload_bytes + frame_overhead_bytes;
  if (outstanding * each > in_flight_bytes_max) {
    return fail(exit_usage,
                fmt::format("{} messages of {} bytes are more than a connection takes", outstanding,
                            options.payload_bytes),
                fmt::format("with this --size at most --outstanding {}",
                            std::max<std::uint64_t>(1, in_flight_bytes_max / each)));
  }
  return exit_ok;
}

static bench::Shape shape_of(const BenchOptions& options) {
  if (options.one_way) return bench::Shape::one_way;
  if (options.command == BenchCommand::throughput || options.outstanding) {
    return bench::Shape::pipeline;
  }
  return options.blocking ? bench::Shape::rtt_caller : bench::Shape::rtt;
}

static bench::Medium medium_of(const std::string& transport) {
  if (transport == "uds") return bench::Medium::uds;
  if (transport == "inproc") return bench::Medium::inproc;
  return bench::Medium::tcp;
}

}  // namespace bench_options_detail

int make_spec(const BenchOptions& options, bench::Spec& spec) {
  using namespace bench_options_detail;
  spec.medium = medium_of(options.transport);
  spec.shape = shape_of(options);
  if (spec.medium == bench::Medium::inproc && options.two_processes.value_or(false)) {
    return fail(exit_usage, "inproc lives within one process",
                "leave --two-process out, or choose --transport tcp or uds");
  }
  if (options.one_way && options.spawn) {
    return fail(exit_usage, "--spawn does not go with --one-way",
                "one-way messages are counted on the I/O thread: leave one of the two out");
  }
  const bool one_by_one = spec.shape == bench::Shape::rtt || spec.shape == bench::Shape::rtt_caller;
  spec.outstanding = 1;
  if (!one_by_one) {
    spec.outstanding =
        options.outstanding.value_or(options.one_way ? burst_default : outstanding_default);
    if (!options.outstanding) {
      // Only what was asked for is worth an error; a default gives way.
      const std::uint64_t each = options.payload_bytes + frame_overhead_bytes;
      const std::uint64_t fitting = std::max<std::uint64_t>(1, in_flight_bytes_max / each);
      spec.outstanding = std::min<std::uint64_t>(spec.outstanding, fitting);
    }
  }
  if (const int code = check_sizes(options, spec.outstanding); code != exit_ok) return code;
  spec.payload_bytes = options.payload_bytes;
  spec.seconds = options.seconds;
  spec.warm_up_seconds = std::min(warm_up_seconds_max, options.seconds);
  spec.one_core = options.pin.value_or(one_by_one);
  spec.two_processes = spec.medium != bench::Medium::inproc && options.two_processes.value_or(true);
  spec.spawn = options.spawn;
  return exit_ok;
}

std::string transport_name(bench::Medium medium) {
  switch (medium) {
    case bench::Medium::tcp: return "tcp";
    case bench::Medium::uds: return "uds";
    case bench::Medium::inproc: return "inproc";
    case bench::Medium::tls: return "tls";
    case bench::Medium::quic: return "quic";
    case bench::Medium::shm: return "shm";
  }
  return "tcp";
}

std::string describe_floor(const bench::Spec& spec) {
  if (spec.medium == bench::Medium::inproc) {
    return "a call through std::function that hands the payload back";
  }
  const std::string sockets = spec.medium == bench::Medium::uds ? "Unix sockets" : "TCP sockets";
  if (spec.shape == bench::Shape::one_way) {
    return fmt::format("frames written in batches to plain {}, read with epoll and counted",
                       sockets);
  }
  return fmt::format("an echo over plain {} and epoll, one thread at each end", sockets);
}

std::string describe_spec(const bench::Spec& spec) {
  const bool inproc = spec.medium == bench::Medium::inproc;
  std::string text = fmt::format("{}, {} B", transport_name(spec.medium), spec.payload_bytes);
  if (spec.shape == bench::Shape::pipeline) {
    text += fmt::format(", {} calls in flight", spec.outstanding);
  }
  if (spec.shape == bench::Shape::one_way) {
    text += fmt::format(", bursts of {}", spec.outstanding);
  }
  if (spec.shape == bench::Shape::rtt_caller && !inproc) text += ", blocking caller";
  if (spec.spawn) text += ", handler on the pool";
  text += spec.two_processes ? ", two processes" : ", one process";
  text += spec.one_core ? " on one processor" : ", not pinned";
  return text;
}

}  // namespace velo::cli
