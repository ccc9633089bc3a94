// SPDX-License-Identifier: Apache-2.0
// One measurement of one side, in processes of its own: a client that is forked from the caller,
// and a server that the client forks. The sides are `ours` (messenger over a transport) and `floor`
// (plain sockets and epoll doing the same work); a ratio is only fair between two that ran directly
// after each other. Over inproc both ends are in the client's process, and the floor is a call
// through std::function.
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

enum class Medium : std::uint8_t { tcp, uds, inproc, tls, quic, shm };
enum class Shape : std::uint8_t {
  rtt,         ///< one call at a time, issued on the I/O thread (inproc: on the calling thread)
  rtt_caller,  ///< one call at a time, issued by a thread that blocks for the reply
  pipeline,    ///< `outstanding` calls at a time, issued on the I/O thread
  one_way,     ///< fire-and-forget in bursts of `outstanding`, counted by the receiver
};

/// How much of ours is measured: each rung of the ladder adds one layer to the one before. The
/// floor is the rung below the first.
enum class Rung : std::uint8_t {
  framing,    ///< plain sockets that carry our frames; round trips only
  transport,  ///< our transport on our World, without a messenger; round trips only
  messenger,  ///< unary calls of raw bytes
  typed,      ///< typed unary calls of a struct with a number and a text of `payload_bytes`
};

struct Spec {
  Medium medium = Medium::tcp;
  Shape shape = Shape::rtt;
  std::size_t payload_bytes = 64;
  std::size_t outstanding = 1;
  double seconds = 0.4;
  double warm_up_seconds = 0.1;
  bool one_core = true;       ///< both ends on one processor; else wherever the scheduler puts them
  bool two_processes = true;  ///< else the server is a thread, or a World, of the client's process
  /// Shm only: who waits looks again and again, without sleeping; each end on a processor of its
  /// own.
  bool spin = false;
  bool spawn = false;           ///< ours only: the handler runs on the worker pool
  Rung rung = Rung::messenger;  ///< ours only

  Spec() = default;
};

/// Round trips give samples; the other shapes give a count and a time.
struct Measurement {
  std::vector<std::uint32_t> samples_ns;  ///< each of `calls_per_sample` calls together
  std::uint32_t calls_per_sample = 1;     ///< over 1 where a call is not longer than a clock read
  double messages = 0;
  double seconds = 0;

  double rate() const noexcept { return seconds > 0 ? messages / seconds : 0; }
};

/// Nanoseconds of one call below which `fraction` of all samples lie; 0 when there are none. Sorts
/// a copy.
double percentile_ns(const Measurement& measurement, double fraction);

enum class Side : std::uint8_t { floor, ours };

/// Runs one side in a child process and brings its measurement back; an error when the child failed
/// or took ten times too long.
Result<Measurement> measure(Side side, const Spec& spec);
/// The same with something else to run; `spec` says on which processors and for how long.
Result<Measurement> measure(const Spec& spec, const std::function<Measurement()>& run);

// ---- what the child runs; public for the tools that have their own process already

Measurement run_floor(const Spec& spec);
/// The floor of Medium::quic: ngtcp2 written directly.
Measurement run_quic_floor(const Spec& spec);
Measurement run_ours(const Spec& spec);
/// Rung::framing and Rung::transport.
Measurement run_rung(const Spec& spec);
Measurement run_inproc_floor(const Spec& spec);
Measurement run_inproc_ours(const Spec& spec);

std::int64_t now_ns() noexcept;
/// The first that this process may use, or another; none if there are not as many.
void pin_to_one_processor(std::size_t index = 0);
/// Starts a server that lives until this process ends: a process, or without `two_processes` a
/// thread. `serve` gets a descriptor to write one line to when it can be reached, and does not
/// return. Returns that line.
std::string start_server(const Spec& spec, std::function<void(int ready)> serve);

}  // namespace velo::bench
