// SPDX-License-Identifier: Apache-2.0
// An attempt to connect a TCP or Unix socket, with a time limit.
// Not a retry: one attempt, except that a full backlog of a Unix socket is waited for, as TCP does
// by itself.
// Threading: started on any thread; everything else happens on the shard's thread.
#pragma once

#include <velo/base/network.hpp>

#include <memory>

#include "epoll_shard.hpp"

namespace velo::runtime {

std::unique_ptr<Connecting> start_connecting(EpollShard& shard, const Endpoint& remote,
                                             const ConnectOptions& options, StreamHandler done);

}  // namespace velo::runtime
