// SPDX-License-Identifier: Apache-2.0
// A listening socket as a Listener: accepts until destroyed, pauses when descriptors run out.
// Not the making of the address: see listening.hpp.
// Threading: made on any thread; destroyed on the shard's thread, or after the World stopped.
#pragma once

#include <velo/base/network.hpp>

#include <memory>

#include "descriptor.hpp"
#include "epoll_shard.hpp"
#include "unix_path.hpp"

namespace velo::runtime {

/// Starts to accept. `path` is held while the listener lives.
Result<std::unique_ptr<Listener>> start_accepting(EpollShard& shard, Descriptor socket,
                                                  Endpoint local, UnixPath path,
                                                  StreamHandler on_accept);

}  // namespace velo::runtime
