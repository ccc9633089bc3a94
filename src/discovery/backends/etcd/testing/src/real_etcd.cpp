// SPDX-License-Identifier: Apache-2.0
// Starting, stopping and freezing the server's process.

#include <velo/discovery/testing/real_etcd.hpp>

#include <velo/base/check.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <utility>
#include <vector>

namespace velo::discovery::testing {
namespace real_etcd_detail {

static std::string find_program() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string program = folder + "/etcd";
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

static sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  VELO_CHECK(::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0);
  VELO_CHECK(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(socket);
  return ntohs(address.sin_port);
}

static bool accepts(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const bool connected =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return connected;
}

static std::string make_folder() {
  // Without a disk where there is one in memory: nothing here has to survive.
  std::string path =
      ::access("/dev/shm", W_OK) == 0 ? "/dev/shm/velo_etcd_XXXXXX" : "/tmp/velo_etcd_XXXXXX";
  VELO_CHECK(::mkdtemp(path.data()) != nullptr);
  return path;
}

}  // namespace real_etcd_detail

std::string RealEtcd::missing() {
  return real_etcd_detail::find_program().empty() ? "there is no etcd in PATH" : "";
}

RealEtcd::RealEtcd() : folder_(real_etcd_detail::make_folder()) {
  client_port_ = real_etcd_detail::free_port();
  do {
    peer_port_ = real_etcd_detail::free_port();
  } while (peer_port_ == client_port_);
  start();
}

RealEtcd::~RealEtcd() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void RealEtcd::start() {
  VELO_CHECK(process_ < 0);
  const std::string client = fmt::format("http://127.0.0.1:{}", client_port_);
  const std::string peer = fmt::format("http://127.0.0.1:{}", peer_port_);
  std::vector<std::string> words{
      real_etcd_detail::find_program(),    "--data-dir=" + folder_ + "/data",
      "--listen-client-urls=" + client,    "--advertise-client-urls=" + client,
      "--listen-peer-urls=" + peer,        "--initial-advertise-peer-urls=" + peer,
      "--initial-cluster=default=" + peer, "--log-level=error"};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string log = folder_ + "/log";
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  VELO_CHECK(process_ > 0);
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0));
  VELO_CHECK(handle >= 0);
  constexpr int tries = 1500;
  constexpr int wait_milliseconds = 20;
  bool up = false;
  for (int i = 0; i < tries && !up; ++i) {
    up = real_etcd_detail::accepts(client_port_);
    pollfd ended{handle, POLLIN, 0};
    if (!up && ::poll(&ended, 1, wait_milliseconds) == 1) break;
  }
  ::close(handle);
  VELO_CHECK(up);
}

void RealEtcd::kill() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(std::exchange(process_, -1), nullptr, 0);
}

void RealEtcd::wipe() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_ + "/data", ignored);
}

void RealEtcd::freeze() {
  ::kill(process_, SIGSTOP);
  // Its threads stop one by one; only then does none of them answer any longer.
  ::waitpid(process_, nullptr, WUNTRACED);
}
void RealEtcd::thaw() { ::kill(process_, SIGCONT); }

}  // namespace velo::discovery::testing
