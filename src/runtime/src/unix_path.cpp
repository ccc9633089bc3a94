// SPDX-License-Identifier: Apache-2.0
// Publishing and taking over the file of a listening Unix socket.

#include "unix_path.hpp"

#include <velo/base/network.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "clock.hpp"
#include "socket_address.hpp"
#include "sockets.hpp"
#include "system_error.hpp"

namespace velo::runtime {
namespace unix_path_detail {

/// How often, a millisecond apart, the folder's lock is tried. It is held for microseconds.
constexpr int lock_tries_max = 200;
constexpr int publish_tries_max = 16;
/// Leaves room for the name that the socket has while it is made.
constexpr std::size_t path_bytes_max = 100;

static std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Locks the folder against others who remove or replace a socket in it. No descriptor: not to be
/// had.
static Descriptor lock_folder(const std::string& path) {
  Descriptor folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return folder;
  for (int tries = 0; tries < lock_tries_max; ++tries) {
    if (::flock(folder.get(), LOCK_EX | LOCK_NB) == 0) return folder;
    if (errno != EWOULDBLOCK && errno != EINTR) break;
    ::poll(nullptr, 0, 1);
  }
  return {};
}

/// A name in the same folder and never longer than eight bytes, so that it fits wherever the path
/// itself does.
static std::string name_aside(const std::string& path) {
  static std::atomic<std::uint64_t> uses{0};
  constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::uint64_t bits =
      static_cast<std::uint64_t>(monotonic_now().nanoseconds()) * 0x9e3779b97f4a7c15 +
      static_cast<std::uint64_t>(::getpid()) * 0xbf58476d1ce4e5b9 +
      uses.fetch_add(1, std::memory_order_relaxed);
  bits ^= bits >> 29;
  std::string name = ".v";
  for (int i = 0; i < 6; ++i) {
    name += digits[bits % digits.size()];
    bits /= digits.size();
  }
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? name : path.substr(0, slash + 1) + name;
}

enum class Owner : std::uint8_t { live, dead, gone, not_a_socket };

static Owner probe(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT ? Owner::gone : Owner::live;
  if (!S_ISSOCK(status.st_mode)) return Owner::not_a_socket;
  auto address = to_socket_address(Endpoint::unix_socket(path));
  auto socket = make_stream_socket(AF_UNIX, 0);
  if (!address.has_value() || !socket.has_value()) return Owner::live;
  if (::connect(socket->get(), address->get(), address->size) == 0) return Owner::live;
  if (errno == ECONNREFUSED) return Owner::dead;
  return errno == ENOENT ? Owner::gone : Owner::live;  // EAGAIN: a full backlog is a live owner
}

/// Gives the listening socket at `aside` its public name. Nothing: the name is taken now, look
/// again.
static std::optional<Result<void>> publish(const std::string& aside, const std::string& path) {
  if (::link(aside.c_str(), path.c_str()) == 0) return Result<void>();
  if (errno != EEXIST) return Result<void>(system_error("link " + path, errno));
  switch (probe(path)) {
    case Owner::gone: return std::nullopt;
    case Owner::live:
      return Result<void>(make_error(Errc::already_exists, "a live process listens on " + path));
    case Owner::not_a_socket:
      return Result<void>(make_error(Errc::already_exists, path + " exists and is not a socket"));
    case Owner::dead: break;
  }
  const Descriptor lock = lock_folder(path);
  if (!lock) {
    return Result<void>(
        make_error(Errc::overloaded, "cannot lock the folder of " + path + " to take it over"));
  }
  if (probe(path) != Owner::dead) return std::nullopt;  // someone was faster
  if (::rename(aside.c_str(), path.c_str()) != 0) {
    return Result<void>(system_error("rename " + path, errno));
  }
  return Result<void>();
}

static Result<void> listen_aside(const Descriptor& socket, const std::string& aside, unsigned mode,
                                 int backlog) {
  auto address = to_socket_address(Endpoint::unix_socket(aside));
  if (!address.has_value()) return address.error();
  if (::bind(socket.get(), address->get(), address->size) != 0) {
    return system_error("bind " + aside, errno);
  }
  if (::chmod(aside.c_str(), mode) != 0) return system_error("chmod " + aside, errno);
  if (::listen(socket.get(), backlog) != 0) return system_error("listen " + aside, errno);
  return {};
}

}  // namespace unix_path_detail

UnixPath::~UnixPath() {
  if (path_.empty()) return;
  const Descriptor lock = unix_path_detail::lock_folder(path_);
  if (!lock) return;  // the file stays, and is taken over like a dead owner's
  struct stat status{};
  if (::lstat(path_.c_str(), &status) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) ::unlink(path_.c_str());
}

Result<UnixPath> listen_at_path(const Descriptor& socket, const std::string& path, unsigned mode,
                                int backlog) {
  using unix_path_detail::publish;
  if (path.size() > unix_path_detail::path_bytes_max) {
    return make_error(Errc::invalid_argument, "a listening path has at most 100 bytes: " + path);
  }
  const std::string aside = unix_path_detail::name_aside(path);
  if (auto listening = unix_path_detail::listen_aside(socket, aside, mode, backlog);
      !listening.has_value()) {
    ::unlink(aside.c_str());
    return listening.error();
  }
  struct stat status{};
  Result<void> published = make_error(Errc::overloaded, path + " is being contended for");
  if (::lstat(aside.c_str(), &status) != 0) {
    published = system_error("lstat " + aside, errno);
  } else {
    for (int tries = 0; tries < unix_path_detail::publish_tries_max; ++tries) {
      if (auto outcome = publish(aside, path); outcome.has_value()) {
        published = std::move(*outcome);
        break;
      }
    }
  }
  ::unlink(aside.c_str());
  if (!published.has_value()) return published.error();
  return UnixPath(path, status.st_dev, status.st_ino);
}

}  // namespace velo::runtime
