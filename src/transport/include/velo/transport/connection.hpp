// SPDX-License-Identifier: Apache-2.0
// One connection between two instances: it carries frames both ways, in order, until it closes.
// What a connection was asked to send before it closed never moves to another connection.
// Threading: send(), written() and close() from any thread; events come on the connection's shard (inproc: on the sender's
// thread, so handlers reached that way are called by several threads at once).
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/frame.hpp>
#include <velo/transport/security.hpp>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace velo::transport {

class Connection;

/// What a connection tells its owner. Nothing follows on_closed, and no other event is still
/// running when it is called (inproc included: it waits for deliveries on other threads to return,
/// or is posted behind the one on its own thread).
class ConnectionEvents {
 public:
  virtual void on_frame(Connection& connection, const InFrame& frame) = 0;
  /// written() has grown. Any thread; at most once for each write to the operating system, so keep
  /// it short.
  virtual void on_written(Connection& connection) noexcept = 0;
  /// Exactly once, for whatever reason, on the shard. Frames with an end position above written()
  /// never left this process; those at or below it may have arrived.
  virtual void on_closed(Connection& connection, const Error& reason) = 0;

 protected:
  ~ConnectionEvents() = default;
};

enum class Admission : std::uint8_t {
  accepted,     ///< will be written in order, or on_closed will come
  over_budget,  ///< the node's memory budget, or the peer's part of it, has no room; nothing was
                ///< queued
  closed,       ///< the connection is closed or closing; nothing was queued
  too_large,    ///< over limits::frame_bytes_max; nothing was queued
};

struct SendResult {
  Admission admission = Admission::closed;
  /// With accepted: the frame has been handed to the operating system once written() >= end.
  std::uint64_t end = 0;
};

/// Shared by reference counting: whoever stores a pointer holds a ConnectionPtr. A started one
/// lives until it is closed, whoever holds it.
class Connection {  // NOLINT(cppcoreguidelines-virtual-class-destructor)
 public:
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Begins delivering events. On the shard's thread, once, inside the callback that handed the
  /// connection over. `events` outlives on_closed.
  virtual void start(ConnectionEvents& events) = 0;

  /// Queues the frame, and writes it from the calling thread when nobody else is writing. Order:
  /// frames of one thread keep their order; a frame accepted before another thread's send began is
  /// written first. What waits is charged to the node's MemoryBudget, beyond the first
  /// velo::limits::uncharged_bytes; requests (`message`) leave the last sixteenth of it to all
  /// other types. A frame of another type that has no room closes the connection as peer_too_slow;
  /// a large one is over_budget instead while little waits for this peer, who is not to blame.
  /// Never blocks.
  virtual SendResult send(const OutFrame& frame) noexcept = 0;

  /// The position in the outgoing stream up to which everything was handed to the operating
  /// system. Positions count bytes, and skip some when threads contend. Only grows, and is stored
  /// sequentially consistent before on_written(): whoever adds itself to a list of waiters and then
  /// still finds written() < end is seen by the on_written() that follows.
  virtual std::uint64_t written() const noexcept = 0;
  /// Bytes accepted and not yet written, or up to 32 KiB more while the shard sends. Of a stream,
  /// within on_closed and afterwards: exactly what was dropped.
  virtual std::uint64_t queued() const noexcept = 0;

  /// Ends the connection; on_closed follows on the shard with `reason`. What is queued is dropped.
  /// Idempotent.
  virtual void close(Error reason) noexcept = 0;
  /// As close(), but writes what is queued first, for at most `patience`.
  virtual void close_after_flush(Error reason, Duration patience) noexcept = 0;

  /// Who is at the other end and who can read what passes; the same from the moment that the
  /// connection is handed over until it is destroyed. Any thread.
  virtual const ConnectionSecurity& security() const noexcept;

  /// Whether frames of different lanes keep the order of their sending, too (OutFrame::lane).
  virtual bool keeps_order() const noexcept { return true; }

  virtual Shard& shard() noexcept = 0;
  virtual std::string_view transport_key() const noexcept = 0;
  /// For logs: the other end's address.
  virtual std::string remote() const = 0;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 protected:
  Connection() = default;
  virtual ~Connection() = default;

 private:
  std::atomic<std::uint32_t> references_{1};
};

/// An owning pointer to a Connection.
class ConnectionPtr {
 public:
  ConnectionPtr() noexcept = default;
  /// Takes over the reference that a new Connection starts with.
  static ConnectionPtr adopt(Connection* connection) noexcept { return ConnectionPtr(connection); }
  static ConnectionPtr share(Connection& connection) noexcept {
    connection.retain();
    return ConnectionPtr(&connection);
  }
  ConnectionPtr(const ConnectionPtr& other) noexcept : pointer_(other.pointer_) {
    if (pointer_ != nullptr) pointer_->retain();
  }
  ConnectionPtr(ConnectionPtr&& other) noexcept
      : pointer_(std::exchange(other.pointer_, nullptr)) {}
  ConnectionPtr& operator=(ConnectionPtr other) noexcept {
    std::swap(pointer_, other.pointer_);
    return *this;
  }
  ~ConnectionPtr() {
    if (pointer_ != nullptr) pointer_->release();
  }
  Connection* get() const noexcept { return pointer_; }
  Connection& operator*() const noexcept { return *pointer_; }
  Connection* operator->() const noexcept { return pointer_; }
  explicit operator bool() const noexcept { return pointer_ != nullptr; }
  friend bool operator==(const ConnectionPtr&, const ConnectionPtr&) noexcept = default;

 private:
  explicit ConnectionPtr(Connection* pointer) noexcept : pointer_(pointer) {}
  Connection* pointer_ = nullptr;
};

}  // namespace velo::transport
