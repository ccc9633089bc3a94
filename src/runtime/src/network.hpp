// SPDX-License-Identifier: Apache-2.0
// The kernel's network as a World's Network: finds the part that serves each kind of endpoint.
// Threading: as Network says.
#pragma once

#include <velo/base/network.hpp>

#include <memory>
#include <string>
#include <vector>

namespace velo::runtime {

class KernelNetwork final : public Network {
 public:
  Result<std::unique_ptr<Listener>> listen(Shard& shard, const Endpoint& local,
                                           const ListenOptions& options,
                                           StreamHandler on_accept) override;
  std::unique_ptr<Connecting> connect(Shard& shard, const Endpoint& remote,
                                      const ConnectOptions& options, StreamHandler done) override;
  Result<std::unique_ptr<DatagramSocket>> open_datagram(Shard& shard, const Endpoint& local,
                                                        const DatagramOptions& options,
                                                        DatagramEvents& events) override;
  std::vector<InterfaceAddress> interfaces() override;
  PeerCredentials own_credentials() const override;
  bool unix_socket_visible(const std::string& path) override;
  std::string unix_socket_identity(const std::string& path) override;
  Result<std::unique_ptr<Listener>> listen_shared_memory(Shard& shard, const Endpoint& local,
                                                         const SharedMemoryOptions& options,
                                                         SharedMemoryHandler on_accept) override;
  std::unique_ptr<Connecting> connect_shared_memory(Shard& shard, const Endpoint& remote,
                                                    const SharedMemoryOptions& options,
                                                    SharedMemoryHandler done) override;
};

}  // namespace velo::runtime
