// SPDX-License-Identifier: Apache-2.0
// Breaking connections by what /proc says of them.

#include "path_breaks.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace velo::path_breaks {

static std::vector<int> open_descriptors() {
  std::vector<int> all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    all.push_back(std::stoi(entry.path().filename().string()));
  }
  return all;
}

static bool is_listening(int descriptor) {
  int listening = 0;
  socklen_t size = sizeof listening;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
         listening != 0;
}

using Name = int(int, sockaddr*, socklen_t*);

static std::optional<std::uint16_t> port_of(int descriptor, Name* name) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (name(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  if (address.sin_family != AF_INET) return std::nullopt;
  return ntohs(address.sin_port);
}

std::size_t reset_tcp(End end) {
  std::set<std::uint16_t> ours;
  const std::vector<int> descriptors = open_descriptors();
  for (const int each : descriptors) {
    const auto port = is_listening(each) ? port_of(each, ::getsockname) : std::nullopt;
    if (port) ours.insert(*port);
  }
  std::size_t count = 0;
  for (const int each : descriptors) {
    if (is_listening(each)) continue;
    const auto remote = port_of(each, ::getpeername);
    const auto local = port_of(each, ::getsockname);
    const auto& listener = end == End::dialled ? remote : local;
    if (!remote || !local || !ours.contains(*listener)) continue;
    sockaddr nothing{};
    nothing.sa_family = AF_UNSPEC;  // ends it with RST
    if (::connect(each, &nothing, sizeof nothing) == 0) ++count;
  }
  return count;
}

std::size_t break_shared_memory() {
  // docs/protocols/shm.md: written and read, of the ring from the maker and of that to it.
  constexpr std::array<std::uint64_t, 4> positions{0, 128, 512, 640};
  constexpr std::uint64_t nonsense = INT64_MAX;
  // Not through the mappings, which their owners may take away meanwhile.
  const int memory = ::open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  if (memory < 0) return 0;
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("velo-shm") == std::string::npos) continue;
    const std::uint64_t begin = std::stoull(line, nullptr, 16);
    bool broken = true;
    for (const std::uint64_t position : positions) {
      const auto at = static_cast<off_t>(begin + position);
      broken = ::pwrite(memory, &nonsense, sizeof nonsense, at) == sizeof nonsense && broken;
    }
    if (broken) ++count;
  }
  ::close(memory);
  return count;
}

}  // namespace velo::path_breaks
