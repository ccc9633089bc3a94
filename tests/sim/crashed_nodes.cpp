// SPDX-License-Identifier: Apache-2.0
// Turns the search for leaks off where nodes crash: a crashed process frees nothing, so what its
// pending tasks owned stays allocated (src/sim/README.md). All other tests look for leaks.

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
