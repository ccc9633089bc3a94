// SPDX-License-Identifier: Apache-2.0
// The struct of typed measurements.
// Threading: a value type.
#pragma once

#include <velo/codec/describe.hpp>

#include <cstdint>
#include <string>

namespace velo::bench {

struct TypedEcho {
  std::uint64_t number = 0;
  std::string text;
};
VELO_DESCRIBE(TypedEcho, number, text);

}  // namespace velo::bench
