// SPDX-License-Identifier: Apache-2.0
// Processes and pipes around a measurement.

#include <velo/bench/measure.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace velo::bench {
namespace measure_detail {

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

static Error child_failed(const char* what) { return make_error(Errc::internal, what); }

}  // namespace measure_detail

std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void pin_to_first_processor() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  (void)::sched_setaffinity(0, sizeof set, &set);
}

double percentile_ns(const Measurement& measurement, double fraction) {
  if (measurement.samples_ns.empty()) return 0;
  std::vector<std::uint32_t> sorted = measurement.samples_ns;
  const auto index = std::min(
      sorted.size() - 1, static_cast<std::size_t>(fraction * static_cast<double>(sorted.size())));
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(index),
                   sorted.end());
  return sorted[index];
}

std::string fork_server(const std::function<void(int ready)>& serve) {
  int ends[2];
  if (::pipe(ends) != 0) ::_exit(3);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) ::_exit(3);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(0);
    ::close(ends[0]);
    serve(ends[1]);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string line;
  char letter = 0;
  while (::read(ends[0], &letter, 1) == 1 && letter != '\n') line += letter;
  ::close(ends[0]);
  return line;
}

Result<Measurement> measure(Side side, const Spec& spec) {
  int ends[2];
  if (::pipe(ends) != 0) return measure_detail::child_failed("no pipe for the measuring process");
  const pid_t child = ::fork();
  if (child < 0) return measure_detail::child_failed("cannot fork a measuring process");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(ends[0]);
    ::signal(SIGPIPE, SIG_IGN);
    ::alarm(static_cast<unsigned>(10 + 10 * (spec.seconds + spec.warm_up_seconds)));
    if (spec.one_core) pin_to_first_processor();
    const Measurement done = side == Side::floor ? run_floor(spec) : run_ours(spec);
    const std::uint64_t count = done.samples_ns.size();
    measure_detail::write_all(ends[1], &done.messages, sizeof done.messages);
    measure_detail::write_all(ends[1], &done.seconds, sizeof done.seconds);
    measure_detail::write_all(ends[1], &count, sizeof count);
    measure_detail::write_all(ends[1], done.samples_ns.data(), count * sizeof(std::uint32_t));
    ::_exit(0);
  }
  ::close(ends[1]);
  Measurement measurement;
  std::uint64_t count = 0;
  const int from = ends[0];
  bool whole = measure_detail::read_all(from, &measurement.messages, sizeof measurement.messages) &&
               measure_detail::read_all(from, &measurement.seconds, sizeof measurement.seconds) &&
               measure_detail::read_all(from, &count, sizeof count) && count < 100'000'000;
  if (whole) {
    measurement.samples_ns.resize(count);
    whole = measure_detail::read_all(from, measurement.samples_ns.data(),
                                     count * sizeof(std::uint32_t));
  }
  ::close(from);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!whole) return measure_detail::child_failed("the measuring process ended early");
  return measurement;
}

}  // namespace velo::bench
