// SPDX-License-Identifier: Apache-2.0
// Keeps an object alive that nobody refers to any more, until it has said goodbye or its time is
// over. If its World ends before, it stays allocated (and reachable) until the process ends.
// Threading: on its shard's thread only.
#pragma once

#include <velo/base/shard_timer.hpp>
#include <velo/base/world.hpp>

#include <list>
#include <memory>
#include <optional>

namespace velo::discovery::etcd {

class Linger {
 public:
  explicit Linger(Shard& shard) : shard_(shard), timer_(shard) {}

  /// Holds `object`, which contains this, for at most `limit`.
  void begin(std::shared_ptr<void> object, Duration limit);
  /// Lets go of it, soon.
  void end();

 private:
  using Held = std::list<std::shared_ptr<void>>;

  Shard& shard_;
  ShardTimer timer_;
  std::optional<Held::iterator> held_;
};

}  // namespace velo::discovery::etcd
