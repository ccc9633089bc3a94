// SPDX-License-Identifier: Apache-2.0
// What a connection knows of its other end, and of who else can read along. A transport states it;
// what follows from it (who may call what) is the messenger's.
// Threading: immutable once the connection was handed over.
#pragma once

#include <velo/base/network.hpp>
#include <velo/crypto/trust.hpp>

#include <memory>
#include <optional>
#include <string>

namespace velo::transport {

struct ConnectionSecurity {
  /// Nobody on the way can read or change what passes.
  bool is_private = false;
  /// The other end is on this host: loopback, Unix socket, shared memory, this process.
  bool same_host = false;
  /// The other end's process, as the system says; Unix sockets and shared memory.
  std::optional<PeerCredentials> user;
  /// The other end's certificate, which the transport has verified; null if it showed none.
  std::shared_ptr<const crypto::PeerIdentity> peer;
  /// The SubjectPublicKeyInfo of the certificate that this end has shown; empty if it showed none.
  Bytes own_public_key;
  /// "TLS 1.3, TLS_AES_128_GCM_SHA256"; empty without encryption.
  std::string protocol;

  bool authenticated() const noexcept { return peer != nullptr; }
};

}  // namespace velo::transport
