// SPDX-License-Identifier: Apache-2.0
// Files in memory for tests, of a process that can be made to die between any two operations.
// Threading: one thread.
#pragma once

#include <velo/base/files.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::crypto::testing {

class MemoryFiles final : public Files {
 public:
  std::map<std::string, std::string> files;
  bool owner_only = true;
  /// Changes that are still made; afterwards the process is dead for the disk.
  std::size_t changes_left = SIZE_MAX;
  /// Runs before each read: what another process does meanwhile.
  std::function<void()> before_read;

  Result<Bytes> read(const std::string& path, std::size_t bytes_max) override {
    if (before_read) before_read();
    const auto found = files.find(path);
    if (found == files.end()) return make_error(velo::Errc::not_found, path);
    if (found->second.size() > bytes_max) return make_error(velo::Errc::overloaded, path);
    return Bytes::copy(found->second);
  }
  Result<SecretFile> read_secret(const std::string& path, std::size_t bytes_max) override {
    const auto contents = read(path, bytes_max);
    if (!contents.has_value()) return contents.error();
    return SecretFile{std::vector<std::byte>(contents->begin(), contents->end()), owner_only};
  }
  Result<void> write_atomic(const std::string& path, ByteSpan contents) override {
    if (dies()) return make_error(velo::Errc::io, "dead");
    files[path] = std::string(as_text(contents));
    return {};
  }
  Result<void> append(const std::string& path, ByteSpan contents) override {
    if (dies()) return make_error(velo::Errc::io, "dead");
    files[path] += as_text(contents);
    return {};
  }
  Result<void> remove(const std::string& path) override {
    if (dies()) return make_error(velo::Errc::io, "dead");
    files.erase(path);
    return {};
  }
  Result<void> create_directories(const std::string&) override { return {}; }
  Result<std::vector<FileInfo>> list(const std::string& path) override {
    std::vector<FileInfo> found;
    for (const auto& [name, contents] : files) {
      if (!name.starts_with(path + "/")) continue;
      FileInfo info;
      info.name = name.substr(path.size() + 1);
      info.size = contents.size();
      found.push_back(std::move(info));
    }
    return found;
  }
  Result<std::unique_ptr<FileLock>> try_lock(const std::string& path) override {
    if (*locked_) return make_error(velo::Errc::overloaded, path);
    *locked_ = true;
    return std::unique_ptr<FileLock>(std::make_unique<Lock>(locked_));
  }

 private:
  struct Lock final : FileLock {
    explicit Lock(std::shared_ptr<bool> flag) : locked(std::move(flag)) {}
    ~Lock() override { *locked = false; }
    std::shared_ptr<bool> locked;
  };

  bool dies() {
    if (changes_left == 0) return true;
    if (changes_left != SIZE_MAX) --changes_left;
    return false;
  }

  std::shared_ptr<bool> locked_ = std::make_shared<bool>(false);
};

}  // namespace velo::crypto::testing
