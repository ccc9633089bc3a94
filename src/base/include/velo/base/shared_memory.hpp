// SPDX-License-Identifier: Apache-2.0
// Memory that two processes of one host share, as a World offers it: a region that both have
// mapped, a bell each way, and word of the other's end. Not what lies in the region: see the
// transport `shm`.
// Threading: each link belongs to one shard; what may be called elsewhere says so.
#pragma once

#include <velo/base/limits.hpp>
#include <velo/base/network.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace velo {

/// What a link tells its owner, on the link's shard.
class SharedMemoryEvents {
 public:
  /// The other end rang, or this one called wake(). Several rings may come as one, and a ring may
  /// come for nothing.
  virtual void on_bell() = 0;
  /// The other end closed its link, or its process ended. What it wrote into the memory before is
  /// there. Once; bells may still follow.
  virtual void on_hangup() = 0;

 protected:
  ~SharedMemoryEvents() = default;
};

/// One end of a shared region. Never calls back inside its own functions. Nothing is left behind in
/// the file system, however either process ends.
class SharedMemoryLink {
 public:
  virtual ~SharedMemoryLink() = default;

  /// Starts events. On the shard's thread, once.
  virtual void attach(SharedMemoryEvents& events) = 0;
  /// The region: zeros at first; a whole number of pages, as long for one end as for the other, for
  /// as long as the link lives, and reading it never faults. The other process may change any byte
  /// of it at any time, whatever protocol it should follow.
  virtual std::span<std::byte> memory() noexcept = 0;
  /// on_bell() for the other end. Any thread, while the link is known to live; never blocks.
  virtual void ring() noexcept = 0;
  /// on_bell() for this end, later. Any thread, while the link is known to live.
  virtual void wake() noexcept = 0;
  /// No further events; the other end's on_hangup() follows. The memory stays until the link is
  /// destroyed. On the shard's thread; idempotent. The destructor implies it.
  virtual void close() noexcept = 0;
  /// Whether this end connected, and made the region.
  virtual bool is_maker() const noexcept = 0;
  virtual Shard& shard() noexcept = 0;
  virtual Endpoint remote() const = 0;
  /// Of the other end's process, when it connected. Any thread.
  virtual PeerCredentials peer_credentials() const noexcept = 0;
};

struct SharedMemoryOptions {
  /// Of the region, when connecting: rounded up to whole pages.
  std::size_t bytes = std::size_t{1} << 20;
  /// Accepted from others. A region outside of these ends the handshake.
  std::size_t bytes_min = 4096;
  std::size_t bytes_max = limits::shared_memory_bytes_max;
  /// For connecting and the handshake together; on the accepting side for the handshake.
  Duration timeout = std::chrono::seconds(5);
  /// Whom to talk to, besides root and the user that this process runs as.
  std::vector<std::uint32_t> allowed_users;
  /// Connections whose handshake is not over yet; with more, the oldest is dropped.
  std::size_t handshakes_max = limits::shared_memory_handshakes_max;
  int backlog = 1024;
  unsigned unix_mode = 0600;  ///< permissions of the socket file

  SharedMemoryOptions() = default;
};

}  // namespace velo
