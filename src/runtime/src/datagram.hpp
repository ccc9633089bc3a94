// SPDX-License-Identifier: Apache-2.0
// A bound UDP socket, IPv4 or IPv6.
// Threading: made on any thread; try_send from any thread; destroyed on the shard's thread, or after the World stopped.
#pragma once

#include <velo/base/network.hpp>

#include <memory>

#include "epoll_shard.hpp"

namespace velo::runtime {

Result<std::unique_ptr<DatagramSocket>> open_udp(EpollShard& shard, const Endpoint& local,
                                                 const DatagramOptions& options,
                                                 DatagramEvents& events);

}  // namespace velo::runtime
