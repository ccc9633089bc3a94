// SPDX-License-Identifier: Apache-2.0
// The transport over TLS 1.3 on TCP, key "tls": encrypted, and both ends prove who they are with a
// certificate that the other one's TrustStore accepts. No names are checked: who a peer is says its
// key (Connection::security()). What is negotiated: docs/protocols/tls.md.
// Threading: options are values; see Transport for the rest.
#pragma once

#include <velo/base/network.hpp>
#include <velo/base/time.hpp>
#include <velo/crypto/credentials.hpp>
#include <velo/transport/gate.hpp>
#include <velo/transport/interfaces.hpp>
#include <velo/transport/transport.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace velo::transport {

struct TlsOptions {
  /// What this end shows and believes; required. Replacing the credentials drops no connection: a
  /// handshake uses those that are current when it begins.
  std::shared_ptr<crypto::CredentialSource> credentials;
  /// Where to listen; nothing: only connects. Every interface ("0.0.0.0", "::") needs no further
  /// permission.
  std::optional<Endpoint> bind = Endpoint::tcp("127.0.0.1", 0);
  InterfaceFilter advertise;
  /// The NUMA node whose network devices are preferred when a peer offers several.
  std::optional<std::int32_t> numa_hint;
  /// For connecting and the handshake together; then Errc::connect_failed or handshake_failed.
  Duration connect_timeout = std::chrono::seconds(5);
  /// 0 leaves sizing to the system, which adapts it to the connection.
  std::size_t socket_buffer_bytes = 0;
  /// What the listener bears before anybody has proved who he is, and how many connections it takes
  /// in all. gate_counts() tells who was refused and why.
  GateOptions gate;

  TlsOptions() = default;
};

/// Connecting fails with Errc::not_authenticated when one end does not accept the other, the reason
/// in its context. start() is velo::Errc::invalid_argument without credentials.
std::unique_ptr<Transport> make_tls(TlsOptions options);

}  // namespace velo::transport
