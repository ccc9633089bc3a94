// SPDX-License-Identifier: Apache-2.0
// One measurement of one side, in processes of its own: a client that is forked from the caller,
// and a server that the client forks. The sides are `ours` (messenger over a transport) and `floor`
// (plain sockets and epoll doing the same work); a ratio is only fair between two that ran directly
// after each other.
// Threading: call from a process that has no threads yet, since it forks.
#pragma once

#include <velo/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::bench {

enum class Medium : std::uint8_t { tcp, uds };
enum class Shape : std::uint8_t {
  rtt,         ///< one call at a time, issued on the I/O thread
  rtt_caller,  ///< one call at a time, issued by a thread that blocks for the reply
  pipeline,    ///< `outstanding` calls at a time, issued on the I/O thread
  one_way,     ///< fire-and-forget, counted by the receiver
};

struct Spec {
  Medium medium = Medium::tcp;
  Shape shape = Shape::rtt;
  std::size_t payload_bytes = 64;
  std::size_t outstanding = 1;
  double seconds = 0.4;
  double warm_up_seconds = 0.1;
  bool one_core =
      true;            ///< client and server on processor 0; else wherever the scheduler puts them
  bool spawn = false;  ///< ours only: the handler runs on the worker pool

  Spec() = default;
};

/// Round trips give one sample each; the other shapes give a count and a time.
struct Measurement {
  std::vector<std::uint32_t> samples_ns;
  double messages = 0;
  double seconds = 0;

  double rate() const noexcept { return seconds > 0 ? messages / seconds : 0; }
};

/// The sample below which `fraction` of all lie; 0 when there are none. Sorts a copy.
double percentile_ns(const Measurement& measurement, double fraction);

enum class Side : std::uint8_t { floor, ours };

/// Runs one side in a child process and brings its measurement back; an error when the child failed
/// or took ten times too long.
Result<Measurement> measure(Side side, const Spec& spec);

// ---- what the child runs; public for the tools that have their own process already

Measurement run_floor(const Spec& spec);
Measurement run_ours(const Spec& spec);

std::int64_t now_ns() noexcept;
void pin_to_first_processor();
/// Forks a server that lives until this process ends; `serve` gets a descriptor to write one line
/// to when it can be reached. Returns that line.
std::string fork_server(const std::function<void(int ready)>& serve);

}  // namespace velo::bench
