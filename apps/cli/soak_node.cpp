// SPDX-License-Identifier: Apache-2.0
// The hidden command `velo soak-node`: one process of the soak. It is told by letters on its
// standard input: c cuts all its connections, q makes it quiet; it ends with the input.

#include "soak_node.hpp"

#include "node_setup.hpp"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <system_error>
#include <vector>

namespace velo::cli {

namespace soak_node_detail {

/// What a cable that is pulled does, as far as a process can do it: whatever is connected is over,
/// and nobody was told before.
static void cut_connections() {
  std::vector<int> files;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", failed)) {
    const std::string name = entry.path().filename();
    int file = -1;
    std::from_chars(name.data(), name.data() + name.size(), file);
    files.push_back(file);
  }
  for (const int file : files) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(file, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.ss_family == AF_INET || peer.ss_family == AF_INET6) ::shutdown(file, SHUT_RDWR);
  }
}

/// Until the input ends.
static void obey(SoakPart& part, const SoakLog& log) {
  for (;;) {
    char letter = 0;
    const ssize_t got = ::read(STDIN_FILENO, &letter, 1);
    if (got == 0 || (got < 0 && errno != EINTR)) return;
    if (got < 0) continue;
    if (letter == 'c') cut_connections();
    if (letter == 'q') {
      part.become_quiet();
      log.write(SoakWord::quiet, SoakKind::call, 0);
    }
  }
}

}  // namespace soak_node_detail

Bytes soak_content(std::uint64_t id, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::uint64_t state = id * 0x9e3779b97f4a7c15U + 1;
  for (char& each : text) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    each = static_cast<char>(state >> 56U);
  }
  return Bytes::own(std::move(text));
}

int run_soak_node(const SoakNodeOptions& options) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (options.parent != 0 && ::getppid() != options.parent) return exit_failed;
  auto log = SoakLog::open(options.log);
  if (!log) return fail("a process of the soak cannot write its file", log.error());
  auto built = Velo::builder()
                   .add_transport(make_transport("tcp", options.where.directory))
                   .filesystem_discovery(options.where.directory, options.where.cluster)
                   .build();
  if (!built) return fail("a process of the soak cannot start", built.error());
  Velo& node = **built;
  std::unique_ptr<SoakPart> part;
  if (options.hub.empty()) {
    auto hub = start_soak_hub(node, *log);
    if (!hub) return fail("the soak's hub cannot start", hub.error());
    part = std::move(*hub);
  } else {
    const auto hub = InstanceId::parse(options.hub);
    if (!hub) return fail("a worker of the soak has no hub", hub.error());
    part = start_soak_worker(node, *log, *hub, options.number);
  }
  log->write(SoakWord::ready, SoakKind::call, 0, node.instance_id().to_string());
  soak_node_detail::obey(*part, *log);
  part->leave();
  auto drained = node.shutdown(ShutdownPolicy(std::chrono::seconds(1))).get();
  part = nullptr;
  built->reset();
  return drained ? exit_ok : exit_failed;
}

}  // namespace velo::cli
