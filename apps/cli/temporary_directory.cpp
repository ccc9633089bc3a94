// SPDX-License-Identifier: Apache-2.0
// Makes and removes a private directory.

#include "temporary_directory.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace velo::cli {

Result<TemporaryDirectory> TemporaryDirectory::create(const std::string& prefix) {
  const char* parent = std::getenv("TMPDIR");
  std::string path = parent != nullptr && *parent != '\0' ? parent : "/tmp";
  path += "/" + prefix + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return make_error(Errc::io, path + ": " + std::strerror(errno));
  }
  return TemporaryDirectory(std::move(path));
}

TemporaryDirectory::~TemporaryDirectory() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace velo::cli
