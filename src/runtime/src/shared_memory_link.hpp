// SPDX-License-Identifier: Apache-2.0
// One end of shared memory between processes: the mapping, a bell each way (eventfd), and the Unix
// socket over which they met, which is kept open because its hangup tells that the other end died.
// Threading: as SharedMemoryLink says.
#pragma once

#include <velo/base/shared_memory.hpp>

#include <cstdint>
#include <span>
#include <utility>

#include "descriptor.hpp"
#include "epoll_shard.hpp"
#include "shared_region.hpp"

namespace velo::runtime {

struct LinkParts {
  Descriptor socket;
  Descriptor own_bell;    ///< this end listens to it
  Descriptor their_bell;  ///< this end rings it
  MappedRegion memory;
  Endpoint remote;
  PeerCredentials peer;
  bool is_maker = false;
};

class KernelLink final : public SharedMemoryLink {
 public:
  KernelLink(EpollShard& shard, LinkParts parts) noexcept
      : shard_(shard), parts_(std::move(parts)) {}
  ~KernelLink() override { close(); }

  void attach(SharedMemoryEvents& events) override;
  std::span<std::byte> memory() noexcept override { return parts_.memory.span(); }
  void ring() noexcept override { ring_bell(parts_.their_bell); }
  void wake() noexcept override { ring_bell(parts_.own_bell); }
  void close() noexcept override;
  bool is_maker() const noexcept override { return parts_.is_maker; }
  Shard& shard() noexcept override { return shard_; }
  Endpoint remote() const override { return parts_.remote; }
  PeerCredentials peer_credentials() const noexcept override { return parts_.peer; }

 private:
  struct BellSource final : EventSource {
    explicit BellSource(KernelLink& l) noexcept : link(l) {}
    void on_events(std::uint32_t /*events*/) override { link.events_->on_bell(); }
    KernelLink& link;
  };
  struct SocketSource final : EventSource {
    explicit SocketSource(KernelLink& l) noexcept : link(l) {}
    void on_events(std::uint32_t /*events*/) override { link.hung_up(); }
    KernelLink& link;
  };

  void hung_up();
  void unwatch_socket() noexcept;

  EpollShard& shard_;
  LinkParts parts_;
  SharedMemoryEvents* events_ = nullptr;
  BellSource bell_{*this};
  SocketSource socket_{*this};
  bool bell_watched_ = false;
  bool socket_watched_ = false;
  bool closed_ = false;
  Shard::TimerId notice_ = 0;  ///< tells of a hangup because epoll refused to
};

}  // namespace velo::runtime
