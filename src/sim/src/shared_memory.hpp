// SPDX-License-Identifier: Apache-2.0
// Shared memory between simulated nodes of one machine: plain memory that both ends point to. What
// they meet over, ring with, and notice each other's end by is a simulated stream of a Unix socket,
// so that latencies, crashes and pauses are what they are for streams. What is written into the
// memory is there at once.
// Threading: the simulation's thread only.
#pragma once

#include <velo/base/shared_memory.hpp>

#include "node_impl.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace velo::sim::detail {

using Region = std::vector<std::byte>;

/// During the handshake it reads the greeting or the answer; afterwards each byte is a ring.
class SimLink final : public SharedMemoryLink, private StreamEvents {
 public:
  /// Told once: `bytes` bytes of the handshake are there, or (false) the stream ended.
  using Greeted = std::move_only_function<void(bool)>;

  SimLink(std::unique_ptr<ByteStream> stream, bool maker) noexcept
      : stream_(std::move(stream)), is_maker_(maker) {}
  ~SimLink() override;

  /// Attaches the stream. `greeted` may destroy the link.
  void await(std::size_t bytes, Greeted greeted);
  /// The number at `index` of what was awaited.
  std::uint64_t greeting_number(std::size_t index) const noexcept {
    std::uint64_t number = 0;
    std::memcpy(&number, greeting_.data() + index * sizeof number, sizeof number);
    return number;
  }
  void set_peer(PeerCredentials peer) noexcept { peer_ = peer; }
  void share(std::shared_ptr<Region> region) noexcept { region_ = std::move(region); }
  /// False if not all of it could be written.
  bool say(std::span<const std::byte> bytes) noexcept;

  void attach(SharedMemoryEvents& events) override;
  std::span<std::byte> memory() noexcept override { return *region_; }
  void ring() noexcept override;
  void wake() noexcept override;
  void close() noexcept override;
  bool is_maker() const noexcept override { return is_maker_; }
  Shard& shard() noexcept override { return stream_->shard(); }
  Endpoint remote() const override { return stream_->remote(); }
  PeerCredentials peer_credentials() const noexcept override { return peer_; }

 private:
  void on_readable() override;
  void on_writable() override {}
  /// Reads everything; how many bytes that was.
  std::size_t drain();
  void tell(bool rang);

  std::unique_ptr<ByteStream> stream_;
  PeerCredentials peer_;
  const bool is_maker_;
  std::shared_ptr<Region> region_;
  std::vector<std::byte> greeting_;
  std::size_t awaited_ = 0;
  Greeted greeted_;
  SharedMemoryEvents* events_ = nullptr;
  bool closed_ = false;
  bool hung_up_ = false;
  bool told_hangup_ = false;
  /// Null once this is gone; for what was posted.
  std::shared_ptr<SimLink*> self_ = std::make_shared<SimLink*>(this);
};

Result<std::unique_ptr<Listener>> listen_for_links(NodeImpl& node, Shard& shard,
                                                   const Endpoint& local,
                                                   const SharedMemoryOptions& options,
                                                   SharedMemoryHandler on_accept);
std::unique_ptr<Connecting> connect_link(NodeImpl& node, Shard& shard, const Endpoint& remote,
                                         const SharedMemoryOptions& options,
                                         SharedMemoryHandler done);

}  // namespace velo::sim::detail
