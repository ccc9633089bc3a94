// SPDX-License-Identifier: Apache-2.0
// The file of a listening Unix socket: published only once it listens, taken over from a dead
// owner, never from a live one, and removed with its owner if it is still the owner's.
// Threading: a value; not shared. Takes a lock on the folder for moments, against other processes that do the same.
#pragma once

#include <velo/base/error.hpp>

#include <sys/types.h>

#include <string>

#include "descriptor.hpp"

namespace velo::runtime {

/// A socket file that is removed when this goes away, unless another socket has taken its place.
/// Empty: none.
class UnixPath {
 public:
  UnixPath() noexcept = default;
  UnixPath(std::string path, dev_t device, ino_t inode) noexcept
      : path_(std::move(path)), device_(device), inode_(inode) {}
  UnixPath(UnixPath&& other) noexcept
      : path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}
  UnixPath& operator=(UnixPath&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(device_, other.device_);
    std::swap(inode_, other.inode_);
    return *this;
  }
  ~UnixPath();

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

/// Binds `socket` and listens on it at `path`. Errc::already_exists if another process listens
/// there, or if the file is no socket; Errc::overloaded if another process is taking over a socket
/// of the same folder just now.
Result<UnixPath> listen_at_path(const Descriptor& socket, const std::string& path, unsigned mode,
                                int backlog);

}  // namespace velo::runtime
