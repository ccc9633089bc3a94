// SPDX-License-Identifier: Apache-2.0
// A private directory (mode 0700) that goes, with all it holds, when the object does.
// Not removed when the process is killed: nothing that must not stay belongs into it.
// Threading: a value with one owner.
#pragma once

#include <velo/base/error.hpp>

#include <string>
#include <utility>

namespace velo::cli {

class TemporaryDirectory {
 public:
  /// In $TMPDIR, else /tmp.
  static Result<TemporaryDirectory> create(const std::string& prefix);
  TemporaryDirectory(TemporaryDirectory&& other) noexcept
      : path_(std::exchange(other.path_, std::string())) {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();

  const std::string& path() const noexcept { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace velo::cli
