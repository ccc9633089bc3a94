// SPDX-License-Identifier: Apache-2.0
// Processes and pipes around a measurement.

#include <velo/bench/measure.hpp>

#include "floor_shm.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace velo::bench {
namespace measure_detail {

/// 400 MB; half a minute of the shortest round trips.
constexpr std::uint64_t samples_max = 100'000'000;

static void write_all(int fd, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t count = ::write(fd, at, size);
    if (count <= 0) ::_exit(3);
    at += count;
    size -= static_cast<std::size_t>(count);
  }
}

static bool read_all(int fd, void* data, std::size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t count = ::read(fd, at, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

static Error child_failed(std::string what) { return make_error(Errc::internal, std::move(what)); }

static Error ended_early(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    if (number == SIGALRM) return child_failed("the measuring process took ten times too long");
    return child_failed("the measuring process died of signal " + std::to_string(number));
  }
  return child_failed("the measuring process ended with status " +
                      std::to_string(WEXITSTATUS(status)));
}

static Measurement run_side(Side side, const Spec& spec) {
  if (spec.medium == Medium::inproc) {
    return side == Side::floor ? run_inproc_floor(spec) : run_inproc_ours(spec);
  }
  if (side == Side::floor) {
    return spec.medium == Medium::shm ? run_shm_floor(spec) : run_floor(spec);
  }
  return spec.rung < Rung::messenger ? run_rung(spec) : run_ours(spec);
}

[[noreturn]] static void run_child(const Spec& spec, const std::function<Measurement()>& run,
                                   int to) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_IGN);
  ::alarm(static_cast<unsigned>(10 + 10 * (spec.seconds + spec.warm_up_seconds)));
  if (spec.one_core) pin_to_one_processor();
  const Measurement done = run();
  const std::uint64_t count = done.samples_ns.size();
  write_all(to, &done.messages, sizeof done.messages);
  write_all(to, &done.seconds, sizeof done.seconds);
  write_all(to, &done.calls_per_sample, sizeof done.calls_per_sample);
  write_all(to, &count, sizeof count);
  write_all(to, done.samples_ns.data(), count * sizeof(std::uint32_t));
  ::_exit(0);
}

static bool read_measurement(int from, Measurement& into) {
  std::uint64_t count = 0;
  if (!read_all(from, &into.messages, sizeof into.messages) ||
      !read_all(from, &into.seconds, sizeof into.seconds) ||
      !read_all(from, &into.calls_per_sample, sizeof into.calls_per_sample) ||
      !read_all(from, &count, sizeof count) || count > samples_max) {
    return false;
  }
  into.samples_ns.resize(count);
  return read_all(from, into.samples_ns.data(), count * sizeof(std::uint32_t));
}

}  // namespace measure_detail

std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void pin_to_one_processor(std::size_t index) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (std::size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &allowed) || index-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(i, &one);
    (void)::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

double percentile_ns(const Measurement& measurement, double fraction) {
  if (measurement.samples_ns.empty()) return 0;
  std::vector<std::uint32_t> sorted = measurement.samples_ns;
  const auto index = std::min(
      sorted.size() - 1, static_cast<std::size_t>(fraction * static_cast<double>(sorted.size())));
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(index),
                   sorted.end());
  return static_cast<double>(sorted[index]) / measurement.calls_per_sample;
}

std::string start_server(const Spec& spec, std::function<void(int ready)> serve) {
  int ends[2];
  if (::pipe(ends) != 0) ::_exit(3);
  if (spec.two_processes) {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) ::_exit(3);
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(0);
      ::close(ends[0]);
      if (spec.spin) pin_to_one_processor(1);
      serve(ends[1]);
      ::_exit(0);
    }
    ::close(ends[1]);
    // Two that spin on one processor would wait for each other's time to be over.
    if (spec.spin) pin_to_one_processor(0);
  } else {
    std::thread([serve = std::move(serve), ready = ends[1]] { serve(ready); }).detach();
  }
  std::string line;
  char letter = 0;
  while (::read(ends[0], &letter, 1) == 1 && letter != '\n') line += letter;
  ::close(ends[0]);
  return line;
}

Result<Measurement> measure(Side side, const Spec& spec) {
  return measure(spec, [&] { return measure_detail::run_side(side, spec); });
}

Result<Measurement> measure(const Spec& spec, const std::function<Measurement()>& run) {
  int ends[2];
  if (::pipe(ends) != 0) return measure_detail::child_failed("no pipe for the measuring process");
  const pid_t child = ::fork();
  if (child < 0) {
    ::close(ends[0]);
    ::close(ends[1]);
    return measure_detail::child_failed("cannot fork a measuring process");
  }
  if (child == 0) {
    ::close(ends[0]);
    measure_detail::run_child(spec, run, ends[1]);
  }
  ::close(ends[1]);
  Measurement measurement;
  const bool whole = measure_detail::read_measurement(ends[0], measurement);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!whole) return measure_detail::ended_early(status);
  return measurement;
}

}  // namespace velo::bench
