// SPDX-License-Identifier: Apache-2.0
// Eight threads that begin at once: how the tests of this folder share what says it may be shared.
// Threading: the test's own thread calls; the function runs on the eight.
#pragma once

#include <latch>
#include <thread>
#include <vector>

namespace velo::threads_test {

constexpr int crew_size = 8;

/// Calls `work(thread)` on eight threads at once and returns when all are done.
template <class F>
void in_eight_threads(const F& work) {
  std::latch ready(crew_size);
  std::vector<std::jthread> threads;
  threads.reserve(crew_size);
  for (int thread = 0; thread < crew_size; ++thread) {
    threads.emplace_back([&work, &ready, thread] {
      ready.arrive_and_wait();
      work(thread);
    });
  }
}

}  // namespace velo::threads_test
