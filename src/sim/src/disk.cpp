// SPDX-License-Identifier: Apache-2.0
// The simulated file system.

#include "disk.hpp"

#include "node_impl.hpp"

#include <algorithm>
#include <utility>

namespace velo::sim::detail {

namespace disk_detail {

class LockHandle final : public FileLock {
 public:
  explicit LockHandle(Ref<LockState> state) noexcept : state_(std::move(state)) {}
  ~LockHandle() override { state_->unlock(); }

 private:
  Ref<LockState> state_;
};

/// Absolute, without empty or "." parts; ".." goes up as text.
static std::string normalize(const std::string& path) {
  std::string out;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t slash = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, slash - begin);
    begin = slash + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      out.resize(std::min(out.size(), out.rfind('/')));
    } else {
      out += '/';
      out += part;
    }
  }
  return out.empty() ? "/" : out;
}

static std::string parent(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

static bool is_folder(const Disk& disk, const std::string& path) {
  return path == "/" || path == "/tmp" || disk.folders.contains(path);
}

/// What was appended until then is on the disk.
static void flush(Disk::File& file, std::int64_t until) {
  while (!file.unflushed.empty() && file.unflushed.front().at <= until) file.unflushed.pop_front();
}

/// Sectors that did not reach the disk read as zeros; what was flushed stays.
static void empty_sectors(Disk::File& file, std::size_t flushed, SimRandom& random) {
  constexpr std::size_t sector_bytes = 512;
  constexpr std::uint32_t lost_per_million = 250'000;
  for (std::size_t begin = flushed; begin < file.contents.size();) {
    const std::size_t end =
        std::min((begin / sector_bytes + 1) * sector_bytes, file.contents.size());
    if (random.chance(lost_per_million)) {
      std::fill(file.contents.begin() + static_cast<std::ptrdiff_t>(begin),
                file.contents.begin() + static_cast<std::ptrdiff_t>(end), std::byte{0});
    }
    begin = end;
  }
}

/// Reads the file as it is at the time, as if it were open: one that was removed is at its end.
class PieceReader final : public FileReader {
 public:
  PieceReader(Files& files, std::string path, std::uint64_t size) noexcept
      : files_(files), path_(std::move(path)), size_(size) {}
  std::uint64_t size() const noexcept override { return size_; }
  Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    const Result<Bytes> contents = files_.read(path_, SIZE_MAX);
    if (!contents) return contents.error();
    if (offset > contents->size() || out.size() > contents->size() - offset) {
      return make_error(Errc::io, path_ + ": has become shorter");
    }
    std::copy_n(contents->begin() + offset, out.size(), out.begin());
    return {};
  }

 private:
  Files& files_;
  std::string path_;
  std::uint64_t size_;
};

class PieceWriter final : public FileWriter {
 public:
  PieceWriter(Files& files, std::string path) noexcept : files_(files), path_(std::move(path)) {}
  Result<void> write_at(std::uint64_t offset, ByteSpan contents) override {
    if (contents_.size() < offset + contents.size()) contents_.resize(offset + contents.size());
    std::copy(contents.begin(), contents.end(),
              contents_.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  Result<void> commit() override { return files_.write_atomic(path_, contents_); }

 private:
  Files& files_;
  std::string path_;
  std::vector<std::byte> contents_;
};

static Error missing(const std::string& path) {
  return make_error(Errc::not_found, path + ": no such file or directory");
}

}  // namespace disk_detail

void Disk::tear(std::int64_t now, const SimOptions& options, SimRandom& random) {
  for (auto& [path, file] : files) {
    disk_detail::flush(file, now - options.append_flush_delay.count());
    if (file.unflushed.empty()) continue;
    const std::size_t flushed = file.unflushed.front().bytes_before;
    file.contents.resize(flushed + random.pick(file.contents.size() - flushed + 1));
    if (options.torn_holes) disk_detail::empty_sectors(file, flushed, random);
    file.unflushed.clear();
  }
}

// ---- locks ----

LockState::LockState(Core& core, NodeImpl& node, std::string path)
    : Resource(core), node_(node), path_(std::move(path)) {
  node_.machine().disk.locks.emplace(path_, this);
}

void LockState::unlock() noexcept {
  if (std::exchange(locked_, false)) node_.machine().disk.locks.erase(path_);
}

void LockState::node_crashed(NodeImpl& node, bool) {
  if (&node == &node_) unlock();
}

// ---- a node's view ----

Disk& FilesImpl::disk() const noexcept { return node_.machine().disk; }

Result<std::string> FilesImpl::resolve(const std::string& path) const {
  if (!node_.alive()) return make_error(Errc::io, path + ": the simulated node is dead");
  if (path.empty() || path.find('\0') != std::string::npos) {
    return make_error(Errc::invalid_argument, "a path may not be empty or contain zeros");
  }
  return disk_detail::normalize(path);
}

Result<std::string> FilesImpl::resolve_for_writing(const std::string& path) const {
  Result<std::string> absolute = resolve(path);
  if (!absolute) return absolute;
  if (disk_detail::is_folder(disk(), *absolute)) {
    return make_error(Errc::invalid_argument, *absolute + ": is a directory");
  }
  const std::string folder = disk_detail::parent(*absolute);
  if (!disk_detail::is_folder(disk(), folder)) return disk_detail::missing(folder);
  return absolute;
}

void FilesImpl::changed(std::size_t bytes) {
  core_.trace(node_, TraceKind::file, disk().operations++, bytes);
}

Result<Bytes> FilesImpl::read(const std::string& path, std::size_t bytes_max) {
  const Result<std::string> absolute = resolve(path);
  if (!absolute) return absolute.error();
  const auto found = disk().files.find(*absolute);
  if (found == disk().files.end()) {
    if (!disk_detail::is_folder(disk(), *absolute)) return disk_detail::missing(*absolute);
    return make_error(Errc::invalid_argument, *absolute + ": is a directory");
  }
  if (found->second.contents.size() > bytes_max) {
    return make_error(Errc::overloaded, *absolute + ": larger than the limit");
  }
  return Bytes::copy(ByteSpan(found->second.contents));
}

Result<SecretFile> FilesImpl::read_secret(const std::string& path, std::size_t bytes_max) {
  const Result<Bytes> contents = read(path, bytes_max);
  if (!contents) return contents.error();
  // A simulated machine has one user.
  return SecretFile{std::vector<std::byte>(contents->begin(), contents->end()), true};
}

Result<void> FilesImpl::write_atomic(const std::string& path, ByteSpan contents) {
  const Result<std::string> absolute = resolve_for_writing(path);
  if (!absolute) return absolute.error();
  Disk::File& file = disk().files[*absolute];
  file.contents.assign(contents.begin(), contents.end());
  file.modified_unix_nanoseconds = node_.clock().wall_now().unix_nanoseconds;
  file.unflushed.clear();
  changed(contents.size());
  return {};
}

Result<void> FilesImpl::append(const std::string& path, ByteSpan contents) {
  const Result<std::string> absolute = resolve_for_writing(path);
  if (!absolute) return absolute.error();
  Disk::File& file = disk().files[*absolute];
  disk_detail::flush(file, core_.now - core_.options.append_flush_delay.count());
  file.unflushed.push_back(Disk::Append{core_.now, file.contents.size()});
  file.contents.insert(file.contents.end(), contents.begin(), contents.end());
  file.modified_unix_nanoseconds = node_.clock().wall_now().unix_nanoseconds;
  changed(contents.size());
  return {};
}

Result<std::unique_ptr<FileReader>> FilesImpl::open(const std::string& path) {
  const Result<Bytes> contents = read(path, SIZE_MAX);
  if (!contents) return contents.error();
  return std::make_unique<disk_detail::PieceReader>(*this, path, contents->size());
}

Result<std::unique_ptr<FileWriter>> FilesImpl::replace(const std::string& path) {
  const Result<std::string> absolute = resolve_for_writing(path);
  if (!absolute) return absolute.error();
  return std::make_unique<disk_detail::PieceWriter>(*this, *absolute);
}

Result<void> FilesImpl::remove(const std::string& path) {
  const Result<std::string> absolute = resolve(path);
  if (!absolute) return absolute.error();
  if (disk_detail::is_folder(disk(), *absolute)) {
    const Result<std::vector<FileInfo>> inside = list(path);
    if (!inside || !inside->empty()) {
      return make_error(Errc::io, *absolute + ": directory not empty");
    }
  }
  if (disk().files.erase(*absolute) + disk().folders.erase(*absolute) != 0) changed(0);
  return {};
}

Result<void> FilesImpl::create_directories(const std::string& path) {
  const Result<std::string> absolute = resolve(path);
  if (!absolute) return absolute.error();
  for (std::size_t end = 1; end != std::string::npos; ++end) {
    end = absolute->find('/', end);
    std::string folder = absolute->substr(0, end);
    if (disk().files.contains(folder))
      return make_error(Errc::already_exists, folder + ": not a directory");
    if (!disk_detail::is_folder(disk(), folder)) disk().folders.insert(std::move(folder));
    if (end == std::string::npos) break;
  }
  return {};
}

Result<std::vector<FileInfo>> FilesImpl::list(const std::string& path) {
  const Result<std::string> absolute = resolve(path);
  if (!absolute) return absolute.error();
  if (!disk_detail::is_folder(disk(), *absolute)) return disk_detail::missing(*absolute);
  const std::string prefix = *absolute == "/" ? "/" : *absolute + "/";
  auto inside = [&](const std::string& name) {
    return name.size() > prefix.size() && name.starts_with(prefix) &&
           name.find('/', prefix.size()) == std::string::npos;
  };
  std::vector<FileInfo> entries;
  for (auto it = disk().files.lower_bound(prefix); it != disk().files.end(); ++it) {
    if (!it->first.starts_with(prefix)) break;
    if (!inside(it->first)) continue;
    const Disk::File& file = it->second;
    entries.push_back(FileInfo{it->first.substr(prefix.size()), false, file.contents.size(),
                               file.modified_unix_nanoseconds});
  }
  for (auto it = disk().folders.lower_bound(prefix); it != disk().folders.end(); ++it) {
    if (!it->starts_with(prefix)) break;
    if (inside(*it)) entries.push_back(FileInfo{it->substr(prefix.size()), true, 0, 0});
  }
  std::sort(entries.begin(), entries.end(),
            [](const FileInfo& a, const FileInfo& b) { return a.name < b.name; });
  return entries;
}

Result<std::unique_ptr<FileLock>> FilesImpl::try_lock(const std::string& path) {
  const Result<std::string> absolute = resolve_for_writing(path);
  if (!absolute) return absolute.error();
  if (disk().locks.contains(*absolute)) {
    return make_error(Errc::overloaded, *absolute + ": locked by another holder");
  }
  disk().files.try_emplace(*absolute);
  Ref<LockState> state(new LockState(core_, node_, *absolute));
  return std::unique_ptr<FileLock>(std::make_unique<disk_detail::LockHandle>(std::move(state)));
}

}  // namespace velo::sim::detail
