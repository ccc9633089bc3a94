// SPDX-License-Identifier: Apache-2.0
// The files of the demo: which there are, and reading each once. Symbolic links are not followed;
// what is no regular file, or cannot be read, is counted and left out.
// Threading: values; an OpenFile belongs to one thread.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/codec/describe.hpp>

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::cli {

struct Skipped {
  std::uint64_t symbolic_links = 0;
  std::uint64_t special_files = 0;
  std::uint64_t unreadable_files = 0;
  std::uint64_t unreadable_directories = 0;
};
VELO_DESCRIBE(Skipped, symbolic_links, special_files, unreadable_files, unreadable_directories);

struct FileList {
  std::string root;
  std::vector<std::string> paths;  ///< relative to root, sorted
  Skipped skipped;
};

/// The sources of this repository, found from the program's own path or the working directory;
/// nothing if neither is within it.
std::optional<std::string> find_repository();

/// Every regular file below `root`; without .git and build directories if `sources_only`. Ends
/// early, with what it has, when `stop` says so.
FileList list_files(const std::string& root, bool sources_only, const std::function<bool()>& stop);

/// A file being read, at most to the size it had when it was opened, so that one that grows ends.
class OpenFile {
 public:
  /// Errc::unsupported for what is no regular file (any more), Errc::io.
  static Result<OpenFile> open(const std::string& path);
  OpenFile(OpenFile&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        before_(other.before_),
        left_(other.left_) {}
  OpenFile& operator=(OpenFile&&) = delete;
  ~OpenFile();

  /// At most `bytes_max`; fewer, also none, only at the end.
  Result<Bytes> read(std::size_t bytes_max);
  /// Whether a read would return nothing for all that was known at open().
  bool at_end() const noexcept { return left_ == 0; }
  /// Whether somebody wrote to it since it was opened.
  bool changed() const;

 private:
  OpenFile(int descriptor, const struct stat& before) noexcept;

  int descriptor_;
  struct stat before_;
  std::uint64_t left_;
};

}  // namespace velo::cli
