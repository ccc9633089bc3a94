// SPDX-License-Identifier: Apache-2.0
// Starting, stopping and freezing the server's process.

#include <velo/queue/testing/real_nats.hpp>

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

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

namespace velo::queue::testing {
namespace real_nats_detail {

static std::string find_program() {
  const char* path = std::getenv("PATH");
  // Debian has it where only root looks.
  std::istringstream folders(std::string(path != nullptr ? path : "/usr/bin") + ":/usr/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string program = folder + "/nats-server";
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
      ::access("/dev/shm", W_OK) == 0 ? "/dev/shm/velo_nats_XXXXXX" : "/tmp/velo_nats_XXXXXX";
  VELO_CHECK(::mkdtemp(path.data()) != nullptr);
  return path;
}

}  // namespace real_nats_detail

std::string RealNats::missing() {
  return real_nats_detail::find_program().empty() ? "there is no nats-server in PATH" : "";
}

RealNats::RealNats(const RealNatsOptions& options)
    : options_(options),
      folder_(real_nats_detail::make_folder()),
      port_(real_nats_detail::free_port()) {
  if (options_.tls) make_certificate();
  write_configuration();
  start();
}

RealNats::~RealNats() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string RealNats::address() const { return fmt::format("127.0.0.1:{}", port_); }

std::string RealNats::certificate_file() const {
  const std::string path = folder_ + "/certificate.pem";
  return options_.tls && ::access(path.c_str(), R_OK) == 0 ? path : std::string();
}

void RealNats::make_certificate() const {
  const std::string command = fmt::format(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
      "-subj /CN=velo-test -addext subjectAltName=IP:127.0.0.1 -keyout {0}/key.pem "
      "-out {0}/certificate.pem >{0}/openssl.log 2>&1",
      folder_);
  [[maybe_unused]] const int ended = std::system(command.c_str());
}

void RealNats::write_configuration() const {
  std::ofstream file(folder_ + "/nats.conf");
  file << "listen: 127.0.0.1:" << port_ << "\n";
  if (options_.jetstream) {
    file << "jetstream { store_dir: \"" << folder_
         << "/store\", max_mem: 256M, max_file: " << options_.store_mib_max << "M }\n";
  }
  if (options_.payload_bytes_max > 0) file << "max_payload: " << options_.payload_bytes_max << "\n";
  if (!certificate_file().empty()) {
    file << "tls { cert_file: \"" << folder_ << "/certificate.pem\", key_file: \"" << folder_
         << "/key.pem\" }\n";
  }
  if (!options_.token.empty()) file << "authorization { token: \"" << options_.token << "\" }\n";
  if (!options_.user.empty()) {
    file << "authorization { user: \"" << options_.user << "\", password: \"" << options_.password
         << "\" }\n";
  }
}

void RealNats::set_store_mib_max(std::size_t mib) {
  options_.store_mib_max = mib;
  write_configuration();
}

void RealNats::start() {
  VELO_CHECK(process_ < 0);
  std::string program = real_nats_detail::find_program();
  std::string flag = "-c";
  std::string configuration = folder_ + "/nats.conf";
  char* arguments[] = {program.data(), flag.data(), configuration.data(), nullptr};
  const std::string log = folder_ + "/log";
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::execv(arguments[0], arguments);
    ::_exit(127);
  }
  VELO_CHECK(process_ > 0);
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0));
  VELO_CHECK(handle >= 0);
  constexpr int tries = 1500;
  constexpr int wait_milliseconds = 20;
  bool up = false;
  for (int i = 0; i < tries && !up; ++i) {
    up = real_nats_detail::accepts(port_);
    pollfd ended{handle, POLLIN, 0};
    if (!up && ::poll(&ended, 1, wait_milliseconds) == 1) break;
  }
  ::close(handle);
  VELO_CHECK(up);
}

void RealNats::kill() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(std::exchange(process_, -1), nullptr, 0);
}

void RealNats::freeze() {
  ::kill(process_, SIGSTOP);
  // Its threads stop one by one; only then does none of them answer any longer.
  ::waitpid(process_, nullptr, WUNTRACED);
}
void RealNats::thaw() { ::kill(process_, SIGCONT); }

}  // namespace velo::queue::testing
