// SPDX-License-Identifier: Apache-2.0
// The feed of a backend of peer discovery; finds peers by their worker's id, too.
// Threading: as feed.hpp.
#pragma once

#include <velo/discovery/feed.hpp>

#include <optional>

namespace velo::discovery {

class PeerFeed final : public Feed<PeerSubject> {
 public:
  using Feed::Feed;
  using Feed::find;

  std::optional<PeerInfo> find(WorkerId id) const {
    return read([id](const PeerTable& table) {
      const PeerInfo* peer = table.find(id);
      return peer != nullptr ? std::optional(*peer) : std::nullopt;
    });
  }
};

}  // namespace velo::discovery
