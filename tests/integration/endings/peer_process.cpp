// SPDX-License-Identifier: Apache-2.0
// Starting, commanding, freezing and killing the other process.

#include "peer_process.hpp"

#include <velo/base/check.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/transport/interfaces.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <system_error>

extern char** environ;

namespace velo::endings_test {
namespace peer_process_detail {

static std::string program() {
  const char* const folder = std::getenv("VELO_BIN_DIR");
  if (folder != nullptr) return std::string(folder) + "/velo_endings_peer";
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "velo_endings_peer";
}

static std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  VELO_CHECK(pipe2(ends.data(), O_CLOEXEC) == 0);
  return ends;
}

}  // namespace peer_process_detail

PeerProcess::PeerProcess(const std::string& kind, const std::string& folder) {
  const std::array<int, 2> input = peer_process_detail::make_pipe();
  const std::array<int, 2> output = peer_process_detail::make_pipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  std::array<std::string, 3> words = {peer_process_detail::program(), kind, folder};
  std::array<char*, 4> arguments = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  VELO_CHECK(posix_spawn(&child_, arguments[0], &actions, nullptr, arguments.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(input[0]);
  ::close(output[1]);
  to_ = ::fdopen(input[1], "w");
  from_ = ::fdopen(output[0], "r");
  auto info = codec::from_json<PeerInfo>(answer());
  VELO_CHECK(info.has_value());
  info_ = std::move(*info);
}

PeerProcess::~PeerProcess() {
  kill();
  std::fclose(to_);
  std::fclose(from_);
}

void PeerProcess::tell(const std::string& order) {
  const std::string line = order + '\n';
  std::fwrite(line.data(), 1, line.size(), to_);
  std::fflush(to_);
}

std::string PeerProcess::answer() {
  std::string line;
  for (int c = 0; (c = std::fgetc(from_)) != EOF && c != '\n';) line += static_cast<char>(c);
  return line;
}

std::string PeerProcess::ask(const std::string& order) {
  tell(order);
  return answer();
}

bool PeerProcess::ask_until(const std::string& order, const std::string& wanted) {
  for (int i = 0; i < 200'000; ++i) {
    const std::string answered = ask(order);
    if (answered == wanted) return true;
    if (answered.empty()) return false;
  }
  return false;
}

void PeerProcess::kill() {
  if (child_ < 0) return;
  ::kill(child_, SIGKILL);
  int status = 0;
  ::waitpid(child_, &status, 0);
  child_ = -1;
}

void PeerProcess::freeze() {
  ::kill(child_, SIGSTOP);
  int status = 0;
  ::waitpid(child_, &status, WUNTRACED);
}

void PeerProcess::thaw() { ::kill(child_, SIGCONT); }

Stranger::Stranger(Manner manner) : manner_(manner) {
  listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  VELO_CHECK(::bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  VELO_CHECK(::listen(listening_, 16) == 0);
  socklen_t size = sizeof address;
  VELO_CHECK(::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  std::array<std::byte, 16> id{};
  id.fill(static_cast<std::byte>(0x40 + static_cast<int>(manner)));
  auto made = InstanceId::parse("0000000" + std::to_string(static_cast<int>(manner) + 1) +
                                "-0000-4000-8000-000000000001");
  VELO_CHECK(made.has_value());
  info_.instance_id = *made;
  const transport::InterfaceEndpoint self("", "127.0.0.1", ntohs(address.sin_port), 0);
  info_.address.emplace("tcp", transport::encode_interface_endpoints(std::span(&self, 1)));
}

Stranger::~Stranger() {
  if (accepted_ >= 0) ::close(accepted_);
  ::close(listening_);
}

void Stranger::receive() {
  if (manner_ == Manner::never_accepts) return;
  accepted_ = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
  VELO_CHECK(accepted_ >= 0);
  switch (manner_) {
    case Manner::never_accepts:
    case Manner::silent: break;
    case Manner::babbles: {
      constexpr std::string_view babble = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
      VELO_CHECK(::send(accepted_, babble.data(), babble.size(), MSG_NOSIGNAL) > 0);
      break;
    }
    case Manner::half_closes: ::shutdown(accepted_, SHUT_WR); break;
    case Manner::hangs_up:
      ::close(accepted_);
      accepted_ = -1;
      break;
  }
}

Folder::Folder() {
  std::string path = std::filesystem::temp_directory_path() / "velo-endings-XXXXXX";
  VELO_CHECK(::mkdtemp(path.data()) != nullptr);
  path_ = path;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace velo::endings_test
