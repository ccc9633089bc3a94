// SPDX-License-Identifier: Apache-2.0
// What the nodes of netns_test.py print, a line of JSON each.
// Threading: values.
#pragma once

#include <velo/codec/describe.hpp>

#include <cstdint>
#include <string>

namespace velo::netns {

/// How calls ended, as the caller saw it.
struct LoadReport {
  std::uint64_t succeeded = 0;  ///< with the bytes that were sent
  std::uint64_t wrong = 0;      ///< with other bytes
  std::uint64_t expired = 0;
  std::uint64_t failed = 0;  ///< otherwise
  std::string first_failure;
  std::uint64_t slowest_ms = 0;
};
VELO_DESCRIBE(LoadReport, succeeded, wrong, expired, failed, first_failure, slowest_ms);

/// What the handler saw of their numbers.
struct SeenReport {
  std::uint64_t distinct = 0;
  std::uint64_t repeated = 0;
};
VELO_DESCRIBE(SeenReport, distinct, repeated);

struct BalanceReport {
  bool ok = false;
  std::string complaint;
};
VELO_DESCRIBE(BalanceReport, ok, complaint);

}  // namespace velo::netns
