// SPDX-License-Identifier: Apache-2.0
// Peers to announce.

#include "ground.hpp"

namespace velo::discovery::conformance {

PeerInfo make_peer(World& world, std::string_view address) {
  PeerInfo peer;
  peer.instance_id = InstanceId::random(world.random());
  peer.address.emplace("tcp", Bytes::copy(address));
  return peer;
}

}  // namespace velo::discovery::conformance
