// SPDX-License-Identifier: Apache-2.0
// ConnectionIdentity: who is at the other end of one connection: what the transport has verified of
// it, and the instance that it greeted as. What follows from it is said by access rules
// (access.hpp) and by handlers (Context::peer_identity()).
// Threading: value type; what a messenger hands out is immutable.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/base/network.hpp>
#include <velo/crypto/node_id.hpp>
#include <velo/crypto/trust.hpp>

#include <memory>
#include <optional>
#include <string>

namespace velo {

struct ConnectionIdentity {
  /// As its greeting says; nil before it. A claim, unless instance_proven.
  InstanceId instance;
  /// It holds the key that the instance id is made from (docs/protocols/messenger.md).
  bool instance_proven = false;
  /// The certificate that the transport has verified; null without one.
  std::shared_ptr<const crypto::PeerIdentity> certificate;
  /// The other end's process, as the system says: Unix sockets and shared memory.
  std::optional<PeerCredentials> user;
  bool is_private = false;  ///< nobody on the way can read or change what passes
  bool same_host = false;   ///< loopback, Unix socket, shared memory, this process
  bool self = false;        ///< the messenger calls itself
  std::string transport;    ///< "tcp", "uds", ...
  std::string protocol;     ///< "TLS 1.3, ..."; empty without encryption

  bool authenticated() const noexcept { return certificate != nullptr; }
  /// Of the certificate's key; not valid() without one.
  NodeId node() const { return certificate != nullptr ? certificate->node : NodeId(); }
  /// The instance is proven, and nobody on the way could have played back the proof.
  bool authentic() const noexcept { return instance_proven && (authenticated() || same_host); }
};

}  // namespace velo
