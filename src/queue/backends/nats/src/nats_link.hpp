// SPDX-License-Identifier: Apache-2.0
// The connection to a NATS server, through libnats: found, kept and found again until it is
// stopped. Everything that may block there (connecting, writing to a socket that is full) is done
// by tasks of the World's pool, one at a time each; what libnats tells on its own threads is handed
// on as it comes.
// Threading: any thread. Events come on libnats' threads and the pool's, without a lock held.
#pragma once

#include "nats_wire.hpp"

#include <velo/base/shard_timer.hpp>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

typedef struct __natsConnection natsConnection;      // NOLINT: libnats' own names
typedef struct __natsSubscription natsSubscription;  // NOLINT: as above
typedef struct __natsMsg natsMsg;                    // NOLINT: as above

namespace velo::queue::nats {

Result<void> check_options(const NatsOptions& options);

class Link final
    // why: tasks and libnats' threads use it until stop() has seen the last of them.
    : public std::enable_shared_from_this<Link> {
 public:
  struct Events {
    std::function<void(Message)> arrived;  ///< at a subject below inbox()
    /// There is a connection: for the first time, or again.
    std::function<void()> connected;
    /// A server said no to who we are.
    std::function<void(Error)> refused;
    /// The message was too large for the server; nothing of it was sent.
    std::function<void(const std::string& reply, Error)> not_sent;
  };

  Link(World& world, NatsOptions options, std::string inbox);
  Link(const Link&) = delete;
  ~Link();

  void start(Events events);
  /// Whatever is queued is written in order while there is a connection; without one it is gone:
  /// who needs an answer repeats it when connected.
  void publish(Message message);
  bool connected() const;
  /// "_INBOX.<random>".
  const std::string& inbox() const noexcept { return inbox_; }
  /// Blocks until an attempt to connect and libnats' threads are done with it; no event comes
  /// afterwards. Once.
  void stop();

 private:
  struct Callbacks;
  /// One connection of libnats, and who still uses it.
  struct Open {
    natsConnection* connection = nullptr;
    natsSubscription* subscription = nullptr;
    bool closed = false;  ///< libnats told so
    bool subscription_over = true;
  };

  void connect();
  void attempt_ends();
  Result<void> open_connection();
  void close_connection();
  void connect_later();
  void write_queue();
  void write(const Message& message);
  void on_closed();

  World& world_;
  const NatsOptions options_;
  const std::string inbox_;
  Events events_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Open open_;
  std::deque<Message> queue_;
  bool connected_ = false;
  bool writing_ = false;
  bool attempting_ = false;
  bool stopped_ = false;
  int failures_ = 0;
  ShardTimer timer_;  ///< on shard 0 only
};

}  // namespace velo::queue::nats
