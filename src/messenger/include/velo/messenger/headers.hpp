// SPDX-License-Identifier: Apache-2.0
// Headers of a message: text to text, at most 1,024 bytes a value and 16,384 bytes in all. Names
// starting with "velo-" are ours.
// Threading: value type.
#pragma once

#include <functional>
#include <map>
#include <string>

namespace velo {

using Headers = std::map<std::string, std::string, std::less<>>;

}  // namespace velo
