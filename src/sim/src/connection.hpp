// SPDX-License-Identifier: Apache-2.0
// Connection: both ends and both directions of one simulated TCP or Unix stream. A direction is a
// FIFO of segments with arrival times over one ring of bytes (what can be read, then what is in
// flight); the ends hold what each side sees.
// Threading: the simulation's thread only.
#pragma once

#include <velo/base/network.hpp>

#include "core.hpp"
#include "executors.hpp"
#include "ring.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>

namespace velo::sim::detail {

class ListenerState;

/// 0 is the client's end, and the direction that starts there; 1 the server's.
using Side = unsigned;
constexpr Side client_side = 0;
constexpr Side server_side = 1;

struct Segment {
  enum class Kind : std::uint8_t { data, finish, reset };
  std::int64_t arrival = 0;
  std::uint32_t length = 0;
  Kind kind = Kind::data;
  bool forced = false;  ///< injected: arrives through partitions
};

class Connection final : public Resource {
 public:
  struct EndInit {
    NodeImpl& node;
    ShardImpl& shard;
    Endpoint remote;
    std::size_t window_bytes;
  };
  Connection(Core& core, const EndInit& client, const EndInit& server);
  ~Connection() override;

  std::uint64_t id() const noexcept { return id_; }
  NodeImpl& node(Side side) const noexcept { return ends_[side].node; }
  ShardImpl& shard(Side side) const noexcept { return ends_[side].shard; }
  const Endpoint& remote(Side side) const noexcept { return ends_[side].remote; }
  bool usable(Side side) const noexcept { return ends_[side].usable(); }

  /// The user's handle of one end.
  std::unique_ptr<ByteStream> open(Side side);
  /// Nothing from the server may arrive before the client knows that it is connected.
  void server_data_not_before(std::int64_t at) noexcept;

  void attach(Side side, StreamEvents& events);
  IoResult read(Side side, std::span<std::byte> into);
  IoResult write(Side side, std::span<const iovec> from);
  void want_write(Side side);
  void close(Side side);

  /// Both ends see a reset, each after its latency.
  void reset();
  void node_crashed(NodeImpl& node, bool silent) override;
  void paths_changed() override;
  void simulation_ended() override;

 private:
  struct Part {
    Part(Connection& c, Side s) noexcept : connection(c), side(s) {}
    Connection& connection;
    Side side;
  };
  struct Arrival final : Event, Part {
    using Part::Part;
    void fire() override;
  };
  struct Timeout final : Event, Part {
    using Part::Part;
    void fire() override;
  };
  struct WriteWake final : Event, Part {
    using Part::Part;
    void fire() override;
  };
  struct ReadRetry final : Event, Part {
    using Part::Part;
    void fire() override;
  };
  struct Readable final : Ready, Part {
    using Part::Part;
    void run() override;
    void discard() override;
  };
  struct Writable final : Ready, Part {
    using Part::Part;
    void run() override;
    void discard() override;
  };

  struct Direction {
    Direction(Connection& c, Side from) noexcept : arrival(c, from), timeout(c, from) {}
    std::size_t in_flight() const noexcept { return data.size() - readable; }
    std::size_t used() const noexcept { return data.size() + unacknowledged; }

    Arrival arrival;
    Timeout timeout;  ///< runs while something cannot pass
    ByteRing data;
    Ring<Segment> segments;
    std::size_t readable = 0;
    std::size_t unacknowledged = 0;  ///< read, but the sender cannot know
    std::size_t window_bytes = 0;
    std::int64_t last_arrival = 0;
    bool stalled = false;      ///< the first segment cannot pass
    bool ack_stalled = false;  ///< acknowledgements cannot come back
  };
  struct End {
    End(Connection& c, Side s, const EndInit& init)
        : node(init.node),
          shard(init.shard),
          remote(init.remote),
          readable(c, s),
          writable(c, s),
          write_wake(c, s),
          read_retry(c, s) {}
    bool usable() const noexcept { return !closed && error == 0; }

    NodeImpl& node;
    ShardImpl& shard;
    Endpoint remote;
    StreamEvents* events = nullptr;
    Readable readable;
    Writable writable;
    WriteWake write_wake;
    ReadRetry read_retry;
    int error = 0;
    std::uint32_t read_budget = 0;
    bool closed = false;
    bool finished = false;    ///< the peer's end of stream arrived
    bool end_told = false;    ///< a read returned the end, or an error
    bool reset_sent = false;  ///< nothing more is sent
    bool wants_write = false;
    bool readable_queued = false;
    bool writable_queued = false;
  };

  std::uint64_t trace_id(Side towards) const noexcept { return id_ * 2 + (towards == client_side); }
  bool path_open(Side from) const noexcept;
  void transmit(Side from, std::size_t bytes);
  void send(Side from, Segment segment);
  void send_reset(Side from, bool forced);
  void on_arrival(Side from);
  void deliver(Side from, const Segment& segment);
  void deliver_data(Side from, std::size_t bytes);
  void stall(Side from);
  void watch(Side from);
  void on_timeout(Side from);
  void resume_direction(Side from);
  void fail(Side side, int error);
  void lose_in_flight(Side from, bool all);
  void discard_readable(Side from);
  void notify_readable(Side side);
  void notify_writable(Side side);
  void wake_writer(Side side);
  void leave_open_list() noexcept;
  void ended_here() noexcept;

  std::uint64_t id_;
  std::size_t list_index_;
  bool listed_ = true;
  std::array<End, 2> ends_;
  std::array<Direction, 2> directions_;
};

}  // namespace velo::sim::detail
