// SPDX-License-Identifier: Apache-2.0
// Walks a directory and reads files.

#include "demo_files.hpp"

#include "demo_protocol.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace velo::cli {

namespace fs = std::filesystem;

namespace demo_files_detail {

static bool is_repository(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path / "CMakeLists.txt", ignored) &&
         fs::is_directory(path / "src" / "messenger", ignored) &&
         fs::is_directory(path / "src" / "velo", ignored);
}

static std::optional<std::string> repository_above(fs::path path) {
  for (; !path.empty(); path = path.parent_path()) {
    if (is_repository(path)) return path.string();
    if (path == path.root_path()) break;
  }
  return std::nullopt;
}

class Walk {
 public:
  Walk(const std::string& root, bool sources_only, const std::function<bool()>& stop)
      : sources_only_(sources_only), stop_(stop) {
    list_.root = root;
  }

  FileList run() {
    std::vector<std::string> directories = {""};
    while (!directories.empty() && !stop_()) {
      const std::string directory = std::move(directories.back());
      directories.pop_back();
      visit(directory, directories);
    }
    std::sort(list_.paths.begin(), list_.paths.end());
    return std::move(list_);
  }

 private:
  void visit(const std::string& directory, std::vector<std::string>& directories) {
    std::error_code failure;
    const std::string prefix = directory.empty() ? "" : directory + "/";
    fs::directory_iterator entries(fs::path(list_.root) / directory, failure);
    for (; !failure && entries != fs::directory_iterator(); entries.increment(failure)) {
      const std::string name = entries->path().filename().string();
      std::error_code unknown;  // then the type is `none`
      sort_in(entries->symlink_status(unknown), name, prefix + name, directories);
    }
    if (failure) ++list_.skipped.unreadable_directories;
  }

  void sort_in(fs::file_status status, const std::string& name, std::string path,
               std::vector<std::string>& directories) {
    switch (status.type()) {
      case fs::file_type::regular: return list_.paths.push_back(std::move(path));
      case fs::file_type::directory:
        if (!sources_only_ || (name != ".git" && name != "build")) {
          directories.push_back(std::move(path));
        }
        return;
      case fs::file_type::symlink: ++list_.skipped.symbolic_links; return;
      case fs::file_type::none:
      case fs::file_type::not_found: ++list_.skipped.unreadable_files; return;
      default: ++list_.skipped.special_files; return;
    }
  }

  FileList list_;
  bool sources_only_;
  const std::function<bool()>& stop_;
};

static Error system_error() { return make_error(Errc::io, std::strerror(errno)); }

}  // namespace demo_files_detail

std::optional<std::string> find_repository() {
  std::error_code failure;
  const fs::path program = fs::read_symlink("/proc/self/exe", failure);
  if (!failure) {
    if (auto found = demo_files_detail::repository_above(program.parent_path())) return found;
  }
  const fs::path here = fs::current_path(failure);
  if (failure) return std::nullopt;
  return demo_files_detail::repository_above(here);
}

FileList list_files(const std::string& root, bool sources_only, const std::function<bool()>& stop) {
  return demo_files_detail::Walk(root, sources_only, stop).run();
}

Result<OpenFile> OpenFile::open(const std::string& path) {
  // Not blocking: a FIFO that took a file's place must not hold up the demo.
  const int descriptor =
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) {
    if (errno == ELOOP) return make_error(Errc::unsupported, "a symbolic link");
    return demo_files_detail::system_error();
  }
  struct stat before;
  if (::fstat(descriptor, &before) != 0 || !S_ISREG(before.st_mode)) {
    ::close(descriptor);
    return make_error(Errc::unsupported, "not a regular file");
  }
  return OpenFile(descriptor, before);
}

// The size of files in /proc is 0 whatever they hold: then one part is all that is asked for.
OpenFile::OpenFile(int descriptor, const struct stat& before) noexcept
    : descriptor_(descriptor),
      before_(before),
      left_(before.st_size > 0 ? static_cast<std::uint64_t>(before.st_size) : part_bytes) {}

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<Bytes> OpenFile::read(std::size_t bytes_max) {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(bytes_max, left_));
  if (wanted == 0) return Bytes();
  BytesBuilder builder(wanted);
  while (builder.size() < wanted) {
    const auto space = builder.free_space();
    const ssize_t got =
        ::read(descriptor_, space.data(), std::min(space.size(), wanted - builder.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return demo_files_detail::system_error();
    if (got == 0) {
      left_ = builder.size();
      break;
    }
    builder.commit(static_cast<std::size_t>(got));
  }
  left_ -= builder.size();
  return std::move(builder).take();
}

bool OpenFile::changed() const {
  struct stat now;
  return ::fstat(descriptor_, &now) != 0 || now.st_size != before_.st_size ||
         now.st_mtim.tv_sec != before_.st_mtim.tv_sec ||
         now.st_mtim.tv_nsec != before_.st_mtim.tv_nsec;
}

}  // namespace velo::cli
