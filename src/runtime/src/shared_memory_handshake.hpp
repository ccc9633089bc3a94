// SPDX-License-Identifier: Apache-2.0
// How two processes come to share memory: who connects makes the region and both bells and sends
// them over the Unix socket with a greeting of 16 bytes; who listens checks all of it, maps the
// region, and answers with 8 bytes. Whatever does not fit ends the handshake, as does its time.
// Layout: docs/protocols/shm.md.
// Threading: on the shard's thread, but for the beginning of connecting.
#pragma once

#include <velo/base/shared_memory.hpp>

#include <memory>

#include "epoll_shard.hpp"
#include "network.hpp"

namespace velo::runtime {

Result<std::unique_ptr<Listener>> listen_for_links(KernelNetwork& network, EpollShard& shard,
                                                   const Endpoint& local,
                                                   const SharedMemoryOptions& options,
                                                   SharedMemoryHandler on_accept);

std::unique_ptr<Connecting> connect_link(KernelNetwork& network, EpollShard& shard,
                                         const Endpoint& remote, const SharedMemoryOptions& options,
                                         SharedMemoryHandler done);

}  // namespace velo::runtime
