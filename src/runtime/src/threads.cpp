// SPDX-License-Identifier: Apache-2.0
// Signal masks, names and processors of threads.

#include "threads.hpp"

#include <pthread.h>
#include <sched.h>

namespace velo::runtime {

BlockedSignals::BlockedSignals() noexcept : previous_() {
  sigset_t all;
  sigfillset(&all);
  // A thread has to see its own faults.
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
    sigdelset(&all, fault);
  }
  ::pthread_sigmask(SIG_BLOCK, &all, &previous_);
}

BlockedSignals::~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }

void name_this_thread(const std::string& name) noexcept {
  ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
}

void pin_this_thread(std::size_t index) noexcept {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const auto count = static_cast<std::size_t>(CPU_COUNT(&allowed));
  if (count == 0) return;
  std::size_t left = index % count;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || left-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

}  // namespace velo::runtime
