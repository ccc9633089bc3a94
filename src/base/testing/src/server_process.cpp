// SPDX-License-Identifier: Apache-2.0
// Starting, stopping and freezing a server's process.

#include <velo/testing/server_process.hpp>

#include <velo/base/check.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

namespace velo::testing {
namespace server_process_detail {

static sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static bool accepts(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const bool connected =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return connected;
}

static std::string make_folder(std::string_view program) {
  const std::string parent = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  std::string path = parent + "/velo_" + std::string(program) + "_XXXXXX";
  VELO_CHECK(::mkdtemp(path.data()) != nullptr);
  return path;
}

}  // namespace server_process_detail

std::string find_program(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(std::string(path != nullptr ? path : "/usr/bin") + ":/usr/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string program = folder + "/" + std::string(name);
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

std::uint16_t free_loopback_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = server_process_detail::loopback(0);
  socklen_t size = sizeof address;
  VELO_CHECK(::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0);
  VELO_CHECK(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(socket);
  return ntohs(address.sin_port);
}

ServerProcess::ServerProcess(std::string_view program)
    : program_(find_program(program)), folder_(server_process_detail::make_folder(program)) {}

ServerProcess::~ServerProcess() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string ServerProcess::path(std::string_view file) const {
  return folder_ + "/" + std::string(file);
}

void ServerProcess::start(std::vector<std::string> arguments, std::uint16_t port) {
  VELO_CHECK(process_ < 0);
  arguments.insert(arguments.begin(), program_);
  std::vector<char*> words;
  words.reserve(arguments.size() + 1);
  for (std::string& word : arguments) words.push_back(word.data());
  words.push_back(nullptr);
  const std::string log = path("log");
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  VELO_CHECK(process_ > 0);
  wait_until_it_accepts(port);
}

void ServerProcess::wait_until_it_accepts(std::uint16_t port) const {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0));
  VELO_CHECK(handle >= 0);
  constexpr int tries = 1500;
  constexpr int wait_milliseconds = 20;
  bool up = false;
  for (int i = 0; i < tries && !up; ++i) {
    up = server_process_detail::accepts(port);
    pollfd ended{handle, POLLIN, 0};
    if (!up && ::poll(&ended, 1, wait_milliseconds) == 1) break;
  }
  ::close(handle);
  VELO_CHECK(up);
}

void ServerProcess::kill() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(std::exchange(process_, -1), nullptr, 0);
}

void ServerProcess::freeze() {
  ::kill(process_, SIGSTOP);
  // Its threads stop one by one; only then does none of them answer any longer.
  ::waitpid(process_, nullptr, WUNTRACED);
}

void ServerProcess::thaw() { ::kill(process_, SIGCONT); }

}  // namespace velo::testing
