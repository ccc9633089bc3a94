// SPDX-License-Identifier: Apache-2.0
// The transport over Unix domain sockets, key "uds": peers on the same host that see the same
// files.
// Threading: options are values; see Transport for the rest.
#pragma once

#include <velo/base/time.hpp>
#include <velo/transport/gate.hpp>
#include <velo/transport/transport.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace velo::transport {

struct UdsOptions {
  /// A private folder (mode 0700) in which the socket "<instance id>.sock" is made; at most 60
  /// bytes long. Used when `path` is empty.
  std::string folder;
  /// The socket's path, at most 100 bytes, or "@name" for an abstract one. Removed at stop().
  std::string path;
  /// False: only connects.
  bool listen = true;
  unsigned mode = 0600;  ///< of the socket file
  Duration connect_timeout = std::chrono::seconds(5);
  std::size_t socket_buffer_bytes = 0;  ///< 0: the system's default
  /// Whose processes may be at the other end, in both directions; the system says who is. Empty:
  /// the user of this process, and root.
  std::vector<std::uint32_t> allowed_users;
  bool allow_any_user = false;
  /// How many connections are accepted; what the gate has for handshakes and sources does not
  /// matter.
  GateOptions gate;

  UdsOptions() = default;
};

std::unique_ptr<Transport> make_uds(UdsOptions options);

}  // namespace velo::transport
