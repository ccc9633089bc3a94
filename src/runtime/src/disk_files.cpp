// SPDX-License-Identifier: Apache-2.0
// Whole-file operations, atomic replacement and locks between processes.

#include "disk_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string_view>
#include <utility>

#include "clock.hpp"
#include "descriptor.hpp"
#include "system_error.hpp"

namespace velo::runtime {
namespace disk_files_detail {

/// Files being written carry this prefix, and are not listed. Their writers hold a lock on them, so
/// that those of killed writers can be told.
constexpr std::string_view aside_prefix = ".velo-aside-";
/// A writer locks its file as soon as it has made it; one of this age without a lock has none.
constexpr std::int64_t aside_age_nanoseconds = 60'000'000'000;

static Result<Descriptor> open_file(const std::string& path, int flags) {
  for (;;) {
    Descriptor file(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    if (file) return file;
    if (errno != EINTR) return system_error("open " + path, errno);
  }
}

static Result<void> write_all(const Descriptor& file, const std::string& path, ByteSpan contents) {
  while (!contents.empty()) {
    const ssize_t count = ::write(file.get(), contents.data(), contents.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("write " + path, errno);
    contents = contents.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

static std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// A crashed process may have left files of the same process number behind, so the clock takes
/// part.
static std::string path_aside(const std::string& folder) {
  static std::atomic<std::uint64_t> uses{0};
  const std::uint64_t use = uses.fetch_add(1, std::memory_order_relaxed);
  std::string path = folder + '/';
  path += aside_prefix;
  path += std::to_string(::getpid()) + '-' + std::to_string(use) + '-';
  path += std::to_string(monotonic_now().nanoseconds());
  return path;
}

static Result<void> sync_folder(const std::string& folder) {
  auto opened = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (!opened.has_value()) return opened.error();
  // Some file systems cannot sync a folder, and say so with EINVAL; the rename is atomic all the
  // same.
  if (::fsync(opened->get()) != 0 && errno != EINVAL) return system_error("fsync " + folder, errno);
  return {};
}

/// The file stays locked while it is open.
static Result<Descriptor> create_locked(const std::string& path) {
  auto file = open_file(path, O_WRONLY | O_CREAT | O_EXCL);
  // Where files cannot be locked, nobody else can lock this one either.
  if (file.has_value()) static_cast<void>(::flock(file->get(), LOCK_EX | LOCK_NB));
  return file;
}

static Result<Descriptor> write_and_sync(const std::string& path, ByteSpan contents) {
  auto file = create_locked(path);
  if (!file.has_value()) return file;
  if (auto written = write_all(*file, path, contents); !written.has_value()) return written.error();
  if (::fsync(file->get()) != 0) return system_error("fsync " + path, errno);
  return file;
}

static std::int64_t nanoseconds(const timespec& t) noexcept {
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

/// Removes what a writer that was killed left in the folder.
static void collect_aside(int folder, const char* name, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return;
  if (SystemClock().wall_now().unix_nanoseconds - nanoseconds(status.st_mtim) <
      aside_age_nanoseconds)
    return;
  const Descriptor file(::openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;
  ::unlinkat(folder, name, 0);
}

static Result<SecretFile> read_file(const std::string& path, std::size_t bytes_max) {
  // A pipe without a writer would block here for ever otherwise.
  auto file = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!file.has_value()) return file.error();
  struct stat status{};
  if (::fstat(file->get(), &status) != 0) return system_error("fstat " + path, errno);
  if (!S_ISREG(status.st_mode)) {
    return make_error(Errc::invalid_argument, path + " is not a regular file");
  }
  auto too_large = [&] {
    return make_error(Errc::overloaded,
                      path + " has more than " + std::to_string(bytes_max) + " bytes");
  };
  const auto expected = static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0));
  if (expected > bytes_max) return too_large();
  // One byte more than expected, so that the end is seen by the second read. Files of /proc say
  // zero and have more.
  std::vector<std::byte> contents(std::max<std::size_t>(expected, 4095) + 1);
  std::size_t size = 0;
  for (;;) {
    if (size > bytes_max) return too_large();
    if (size == contents.size()) contents.resize(size * 2);
    const ssize_t count = ::read(file->get(), contents.data() + size, contents.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("read " + path, errno);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  contents.resize(size);
  const bool owner_only = status.st_uid == ::geteuid() && (status.st_mode & 077U) == 0;
  return SecretFile{std::move(contents), owner_only};
}

class PieceReader final : public FileReader {
 public:
  PieceReader(Descriptor file, std::string path, std::uint64_t size) noexcept
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}
  std::uint64_t size() const noexcept override { return size_; }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    while (!out.empty()) {
      const ssize_t count =
          ::pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_error("read " + path_, errno);
      if (count == 0) return make_error(Errc::io, path_ + " has become shorter");
      offset += static_cast<std::uint64_t>(count);
      out = out.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }

 private:
  Descriptor file_;
  std::string path_;
  std::uint64_t size_;
};

class PieceWriter final : public FileWriter {
 public:
  PieceWriter(Descriptor file, std::string aside, std::string path) noexcept
      : file_(std::move(file)), aside_(std::move(aside)), path_(std::move(path)) {}
  ~PieceWriter() override {
    if (!aside_.empty()) ::unlink(aside_.c_str());
  }
  Result<void> write_at(std::uint64_t offset, ByteSpan contents) override {
    while (!contents.empty()) {
      const ssize_t count =
          ::pwrite(file_.get(), contents.data(), contents.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_error("write " + path_, errno);
      offset += static_cast<std::uint64_t>(count);
      contents = contents.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }
  Result<void> commit() override {
    if (::fsync(file_.get()) != 0) return system_error("fsync " + path_, errno);
    if (::rename(aside_.c_str(), path_.c_str()) != 0) return system_error("rename " + path_, errno);
    aside_.clear();
    return sync_folder(folder_of(path_));
  }

 private:
  Descriptor file_;
  std::string aside_;  ///< empty once it is in its place
  std::string path_;
};

class FlockLock final : public FileLock {
 public:
  explicit FlockLock(Descriptor file) noexcept : file_(std::move(file)) {}

 private:
  Descriptor file_;  ///< closing it releases the lock
};

}  // namespace disk_files_detail

Result<Bytes> DiskFiles::read(const std::string& path, std::size_t bytes_max) {
  auto file = disk_files_detail::read_file(path, bytes_max);
  if (!file.has_value()) return file.error();
  return Bytes::own(std::move(file->contents));
}

Result<SecretFile> DiskFiles::read_secret(const std::string& path, std::size_t bytes_max) {
  auto file = disk_files_detail::read_file(path, bytes_max);
  if (!file.has_value()) return file;
  // Who may change the folder may put another file in its place. Entering it opens no file.
  const std::string folder = disk_files_detail::folder_of(path);
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0) return system_error("stat " + folder, errno);
  const bool is_ours = status.st_uid == ::geteuid() || status.st_uid == 0;
  file->owner_only = file->owner_only && is_ours && (status.st_mode & 022U) == 0;
  return file;
}

Result<void> DiskFiles::write_atomic(const std::string& path, ByteSpan contents) {
  const std::string folder = disk_files_detail::folder_of(path);
  const std::string aside = disk_files_detail::path_aside(folder);
  auto file = disk_files_detail::write_and_sync(aside, contents);
  if (file.has_value() && ::rename(aside.c_str(), path.c_str()) != 0) {
    file = system_error("rename " + path, errno);
  }
  if (!file.has_value()) {
    ::unlink(aside.c_str());
    return file.error();
  }
  return disk_files_detail::sync_folder(folder);
}

Result<void> DiskFiles::append(const std::string& path, ByteSpan contents) {
  auto file = disk_files_detail::open_file(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK);
  if (!file.has_value()) return file.error();
  return disk_files_detail::write_all(*file, path, contents);
}

Result<std::unique_ptr<FileReader>> DiskFiles::open(const std::string& path) {
  auto file = disk_files_detail::open_file(path, O_RDONLY | O_NONBLOCK);
  if (!file.has_value()) return file.error();
  struct stat status{};
  if (::fstat(file->get(), &status) != 0) return system_error("fstat " + path, errno);
  if (!S_ISREG(status.st_mode)) {
    return make_error(Errc::invalid_argument, path + " is not a regular file");
  }
  return std::make_unique<disk_files_detail::PieceReader>(
      std::move(*file), path, static_cast<std::uint64_t>(status.st_size));
}

Result<std::unique_ptr<FileWriter>> DiskFiles::replace(const std::string& path) {
  std::string aside = disk_files_detail::path_aside(disk_files_detail::folder_of(path));
  auto file = disk_files_detail::create_locked(aside);
  if (!file.has_value()) return file.error();
  return std::make_unique<disk_files_detail::PieceWriter>(std::move(*file), std::move(aside), path);
}

Result<void> DiskFiles::remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return system_error("unlink " + path, errno);
}

Result<void> DiskFiles::create_directories(const std::string& path) {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), 0700) == 0) continue;
    // mkdir on a path that exists may name another reason first: a read-only file system, or no
    // permission.
    const int code = errno;
    struct stat status{};
    if (::stat(part.c_str(), &status) != 0) return system_error("mkdir " + part, code);
    if (!S_ISDIR(status.st_mode)) {
      return make_error(Errc::already_exists, part + " exists and is not a folder");
    }
  }
  return {};
}

Result<std::vector<FileInfo>> DiskFiles::list(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (folder == nullptr) return system_error("opendir " + path, errno);
  std::vector<FileInfo> found;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(folder.get());
    if (entry == nullptr && errno != 0) return system_error("readdir " + path, errno);
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status{};
    if (::fstatat(::dirfd(folder.get()), entry->d_name, &status, 0) != 0)
      continue;  // gone meanwhile
    if (name.starts_with(disk_files_detail::aside_prefix)) {
      disk_files_detail::collect_aside(::dirfd(folder.get()), entry->d_name, status);
      continue;
    }
    FileInfo info;
    info.name = name;
    info.is_directory = S_ISDIR(status.st_mode);
    info.size = static_cast<std::uint64_t>(status.st_size);
    info.modified_unix_nanoseconds = disk_files_detail::nanoseconds(status.st_mtim);
    found.push_back(std::move(info));
  }
  std::ranges::sort(found, {}, &FileInfo::name);
  return found;
}

Result<std::unique_ptr<FileLock>> DiskFiles::try_lock(const std::string& path) {
  auto file = disk_files_detail::open_file(path, O_RDWR | O_CREAT);
  if (!file.has_value()) return file.error();
  while (::flock(file->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return make_error(Errc::overloaded, path + " is locked");
    return system_error("flock " + path, errno);
  }
  return std::make_unique<disk_files_detail::FlockLock>(std::move(*file));
}

}  // namespace velo::runtime
