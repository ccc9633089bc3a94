// SPDX-License-Identifier: Apache-2.0
// A WorkQueue in a NATS JetStream server (2.9 and later): a stream with work-queue retention and
// one durable pull consumer that all its receivers share, so that items outlive every process of
// ours. What it keeps where: docs/protocols/nats_queue.md.
// Threading: any thread. libnats has threads of its own (a reader, a flusher and a dispatcher for
// each queue), on which nothing of a user's runs; what may block there runs on the World's pool.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/base/world.hpp>
#include <velo/queue/queue.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace velo::queue {

enum class NatsStorage : std::uint8_t {
  file,    ///< survives the server's end
  memory,  ///< gone with it, whatever was acknowledged
};

struct NatsOptions {
  /// "nats://HOST:PORT" or "HOST:PORT": members of one cluster, tried in turn; at most
  /// limits::nats_servers_max. Members that a server tells of are not used.
  std::vector<std::string> servers{"127.0.0.1:4222"};
  /// A token, or a user with a password. Never logged.
  std::string token;
  std::string user;
  std::string password;
  /// Files in PEM. With `tls` the server's certificate is judged by `ca_file` (empty: the
  /// system's); the other two are what this side shows.
  bool tls = false;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  /// Without `tls` everything travels in plain text, credentials among it. Beyond loopback that
  /// needs this option, and is logged.
  bool allow_plaintext_beyond_loopback = false;
  /// For streams that this makes; one that exists stays as it is.
  NatsStorage storage = NatsStorage::file;
  std::uint32_t replicas = 1;  ///< 1 to 5
  /// One attempt to connect, which a thread of the World's pool waits for; 10 ms to 30 s.
  Duration connect_timeout = std::chrono::seconds(2);
  /// What ack, nack, extend, state and close may take, the server's absences included; then they
  /// end as velo::Errc::deadline_exceeded and may have happened.
  Duration operation_timeout = std::chrono::seconds(10);
  /// Pauses between attempts to connect: random, doubling from the first to the second.
  Duration backoff_min = std::chrono::milliseconds(50);
  Duration backoff_max = std::chrono::seconds(2);

  NatsOptions() = default;
};

/// The queue `name` (1 to limits::nats_name_bytes_max of [A-Za-z0-9_-]). Returns at once and
/// connects in the background, for good: a server that goes away and comes back is found again, and
/// what was under way goes on. Made where it does not exist; of one that exists, items_max,
/// bytes_max, remember_ids and what the server does for a receiver that vanished are as when it was
/// made, the other options are this user's own.
///
/// Beyond the contract. A send ends once the server has stored the item; without an id it gets a
/// random one, and is repeated under it until it is answered or its time is over. Ids of items that
/// are done are forgotten when the server restarts. An item may have as many bytes as the server
/// takes in a message (1 MiB unless it is told otherwise): Errc::too_large. A lease is kept by the
/// object that received it, as the server would take anybody's `ack`: of another one, or in a later
/// process, it is Errc::lease_lost. A receiver that vanishes loses its leases a quarter later than
/// `visibility` (at least 500 ms), so that no two of them hold. A delay is from the server's clock
/// to this machine's. In state(), an item that was given back counts as leased until it is
/// delivered again, and `dead`, `duplicates`, `redelivered` and `rejected` are this object's.
///
/// Errors, beyond the contract's: velo::Errc::permission_denied (refused by the server),
/// deadline_exceeded (no server answered in time), overloaded
/// (limits::nats_requests_max), Errc::unknown (somebody deleted the stream), invalid_argument (a
/// stream of that name is no work queue), unsupported (a server without JetStream).
///
/// The queue's end waits for libnats' threads, briefly: not on an I/O shard. Then all that waits
/// has ended as Errc::closed. This function's own errors: velo::Errc::invalid_argument,
/// permission_denied (plain text beyond loopback).
Result<std::shared_ptr<WorkQueue>> make_nats_queue(World& world, std::string name,
                                                   const QueueOptions& options = QueueOptions(),
                                                   const NatsOptions& nats = NatsOptions());

}  // namespace velo::queue
