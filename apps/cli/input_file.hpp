// SPDX-License-Identifier: Apache-2.0
// Reading what the user names on the command line.
// Threading: any thread.
#pragma once

#include <velo/base/error.hpp>

#include <cstddef>
#include <string>

namespace velo::cli {

/// The whole file; "-" is standard input. Errc::not_found if it cannot be opened, Errc::overloaded
/// beyond `bytes_max`.
Result<std::string> read_input(const std::string& path, std::size_t bytes_max);

}  // namespace velo::cli
