// SPDX-License-Identifier: Apache-2.0
// The outgoing connections of one shard that calls made there use without a lock.
// Threading: the shard's thread only.
#pragma once

#include <velo/base/ids.hpp>

#include <unordered_map>

namespace velo::messenger {

class Link;

struct alignas(64) ReadyLinks {
  std::unordered_map<InstanceId, Link*> ready;
  /// The link found last; most calls in a row go to one peer.
  InstanceId last_id;
  Link* last_link = nullptr;
};

}  // namespace velo::messenger
