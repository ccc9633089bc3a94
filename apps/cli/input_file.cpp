// SPDX-License-Identifier: Apache-2.0
// Files and standard input, with a bound.

#include "input_file.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iostream>

namespace velo::cli {

Result<std::string> read_input(const std::string& path, std::size_t bytes_max) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) return make_error(Errc::not_found, fmt::format("cannot open '{}'", path));
  }
  std::istream& in = path == "-" ? std::cin : file;
  std::string contents;
  char part[64 << 10];
  while (in.read(part, sizeof part) || in.gcount() > 0) {
    contents.append(part, static_cast<std::size_t>(in.gcount()));
    if (contents.size() > bytes_max) {
      return make_error(Errc::overloaded,
                        fmt::format("'{}' is over {} MiB", path, bytes_max >> 20));
    }
  }
  if (in.bad()) return make_error(Errc::io, fmt::format("cannot read '{}'", path));
  return contents;
}

}  // namespace velo::cli
