// SPDX-License-Identifier: Apache-2.0
// The transport over shared memory, key "shm": peers on the same host, in processes of the same
// user, that see the same files. Frames pass through two rings of a memory that both have mapped;
// the kernel is asked only to wake who sleeps. With RuntimeOptions::spin not even that, while the
// shard spins.
// Threading: options are values; see Transport for the rest.
#pragma once

#include <velo/base/time.hpp>
#include <velo/transport/limits.hpp>
#include <velo/transport/transport.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace velo::transport {

struct ShmOptions {
  /// A private folder (mode 0700) in which the socket "<instance id>.shm" is made, over which
  /// processes meet; at most 60 bytes long. Used when `path` is empty.
  std::string folder;
  /// The socket's path, at most 100 bytes, or "@name" for an abstract one. Removed at stop().
  std::string path;
  /// False: only connects.
  bool listen = true;
  unsigned mode = 0600;  ///< of the socket file
  /// Of each direction of the connections made from here: a power of two,
  /// limits::shm_ring_bytes_min to limits::shm_ring_bytes_max. Who accepts takes what comes, within
  /// these limits.
  std::size_t ring_bytes = limits::shm_ring_bytes_default;
  /// Of all connections of this transport, both ways together; at least 1 MiB. One takes a quarter
  /// of what is free at most. Connecting without room fails with Errc::no_room; who connects here
  /// is refused and counted (GateRefusal::memory).
  std::size_t memory_bytes_max = limits::shm_memory_bytes_default;
  /// Whom to share memory with, besides root and the user that this process runs as. Whoever is
  /// named here is trusted not to exhaust this process's time; never with its memory.
  std::vector<std::uint32_t> allowed_users;
  Duration connect_timeout = std::chrono::seconds(5);
  /// Of those that connect here, until they have shown their memory.
  Duration handshake_timeout = std::chrono::seconds(2);
  /// How many connections are accepted; what the gate has for handshakes and sources does not
  /// matter.
  GateOptions gate;

  ShmOptions() = default;
};

std::unique_ptr<Transport> make_shm(ShmOptions options);

}  // namespace velo::transport
