// SPDX-License-Identifier: Apache-2.0
// Ends the process on a failed VELO_CHECK.

#include <velo/base/check.hpp>

#include <cstdio>
#include <cstdlib>

namespace velo::base_detail {

void check_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "velo: check failed: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace velo::base_detail
