// SPDX-License-Identifier: Apache-2.0
// The transport over TCP, key "tcp". Unencrypted: it listens on loopback unless the options say
// otherwise, and connects within this host only.
// Threading: options are values; see Transport for the rest.
#pragma once

#include <velo/base/network.hpp>
#include <velo/base/time.hpp>
#include <velo/transport/gate.hpp>
#include <velo/transport/interfaces.hpp>
#include <velo/transport/transport.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace velo::transport {

struct TcpOptions {
  /// Where to listen; nothing: only connects, and peers must reply on the connection that brought
  /// the request.
  std::optional<Endpoint> bind = Endpoint::tcp("127.0.0.1", 0);
  /// Without it start() refuses a `bind` that is not loopback, and connecting to an address that is
  /// not this host's own is velo::Errc::permission_denied, since anybody on the way could read and
  /// forge messages.
  bool allow_plaintext_beyond_loopback = false;
  InterfaceFilter advertise;
  /// The NUMA node whose network devices are preferred when a peer offers several.
  std::optional<std::int32_t> numa_hint;
  Duration connect_timeout = std::chrono::seconds(5);
  /// 0 leaves sizing to the system, which adapts it to the connection.
  std::size_t socket_buffer_bytes = 0;
  /// How many connections are accepted; TCP asks nobody who he is, so what the gate has for
  /// handshakes does not matter.
  GateOptions gate;

  TcpOptions() = default;
};

std::unique_ptr<Transport> make_tcp(TcpOptions options = TcpOptions());

}  // namespace velo::transport
