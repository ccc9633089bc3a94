// SPDX-License-Identifier: Apache-2.0
// The network as a World offers it: byte streams by readiness, listeners, connecting, datagrams,
// and this host's addresses. Not frames (see transport) and not names (addresses are numeric; no
// resolver here).
// Threading: each object belongs to one shard; what may be called elsewhere says so.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/time.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct iovec;

namespace velo {

class Shard;

/// An address of the network: TCP host and port (numeric IPv4 or IPv6), or a path (or "@name",
/// abstract) of a Unix socket.
struct Endpoint {
  enum class Kind : std::uint8_t { tcp, unix_socket };
  Kind kind = Kind::tcp;
  std::string host;        ///< numeric address, or the socket's path
  std::uint16_t port = 0;  ///< TCP only; 0 asks for a free one

  Endpoint() = default;
  Endpoint(Kind k, std::string h, std::uint16_t p) : kind(k), host(std::move(h)), port(p) {}
  static Endpoint tcp(std::string host, std::uint16_t port) {
    return {Kind::tcp, std::move(host), port};
  }
  static Endpoint unix_socket(std::string path) { return {Kind::unix_socket, std::move(path), 0}; }
  /// "tcp://127.0.0.1:80", "tcp://[::1]:80", "uds:///path"; Errc::invalid_argument otherwise.
  static Result<Endpoint> parse(std::string_view text);
  std::string to_string() const;
  bool is_loopback() const noexcept;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// The process at the other end of a Unix socket, as the system says (SO_PEERCRED).
struct PeerCredentials {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  std::int32_t process = 0;

  friend bool operator==(const PeerCredentials&, const PeerCredentials&) = default;
};

/// Outcome of one non-blocking read or write.
struct IoResult {
  enum class Status : std::uint8_t { ok, would_block, end, error };
  Status status = Status::ok;
  std::size_t bytes = 0;  ///< with ok: more than zero
  int system_error = 0;   ///< with error: errno, or its simulated like
};

/// What a stream tells its owner, on the stream's shard.
class StreamEvents {
 public:
  /// Bytes, end of stream or an error can be read: read until would_block or a short read.
  virtual void on_readable() = 0;
  /// After want_write(): writing can go on.
  virtual void on_writable() = 0;

 protected:
  ~StreamEvents() = default;
};

/// A connected, reliable, ordered stream of bytes. Never calls back inside its own functions.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /// Starts events. On the shard's thread, once.
  virtual void attach(StreamEvents& events) = 0;
  /// On the shard's thread.
  virtual IoResult try_read(std::span<std::byte> into) noexcept = 0;
  /// Any thread, one at a time: the caller holds the connection's write right. At most 64 vectors.
  virtual IoResult try_write(std::span<const iovec> from) noexcept = 0;
  /// After try_write said would_block: asks for one on_writable(). Same threads as try_write.
  virtual void want_write() noexcept = 0;
  /// No further events; both directions end. On the shard's thread; idempotent. The destructor
  /// implies it.
  virtual void close() noexcept = 0;
  virtual Shard& shard() noexcept = 0;
  virtual Endpoint remote() const = 0;
  /// Of the other end, when it connected; streams of Unix sockets only. Any thread.
  virtual std::optional<PeerCredentials> peer_credentials() const { return std::nullopt; }
};

using StreamHandler = std::move_only_function<void(Result<std::unique_ptr<ByteStream>>)>;

/// Accepts streams until destroyed. Destroy it on its shard's thread, or after the World's threads
/// stopped.
class Listener {
 public:
  virtual ~Listener() = default;
  /// With the port that was chosen.
  virtual Endpoint local() const = 0;
};

/// A connecting attempt; destroying it on its shard's thread abandons the attempt, and its handler
/// never runs.
class Connecting {
 public:
  virtual ~Connecting() = default;
};

/// A numeric IP address and port, compact enough to carry with every datagram.
struct NetAddress {
  std::array<std::uint8_t, 16> ip{};  ///< IPv4: the first four
  std::uint32_t scope = 0;            ///< IPv6 interface index
  std::uint16_t port = 0;
  bool v6 = false;

  friend auto operator<=>(const NetAddress&, const NetAddress&) = default;
};

/// Errc::invalid_argument for a Unix socket or what is not numeric.
Result<NetAddress> to_net_address(const Endpoint& endpoint);
Endpoint to_endpoint(const NetAddress& address);
/// An address of a group: 224.0.0.0/4 or ff00::/8.
bool is_multicast(const NetAddress& address) noexcept;

/// An unreliable datagram socket. Sending drops silently only where the network itself would.
class DatagramSocket {
 public:
  virtual ~DatagramSocket() = default;
  virtual Endpoint local() const = 0;
  virtual IoResult try_send(const Endpoint& to, ByteSpan datagram) noexcept = 0;
  /// Datagrams of `segment_bytes` each, the last one perhaps shorter, laid end to end; handed over
  /// in one piece where the system can (UDP segmentation offload). `bytes` counts whole datagrams
  /// that were taken; fewer than all of them, or would_block: call want_write(). Any thread, one at
  /// a time.
  virtual IoResult try_send_segments(const NetAddress& to, ByteSpan datagrams,
                                     std::size_t segment_bytes) noexcept;
  /// As above, from `from`: one of the addresses that this socket receives at, for a host with
  /// several. A World whose hosts have one address need not look at it.
  virtual IoResult try_send_segments_from(const NetAddress& from, const NetAddress& to,
                                          ByteSpan datagrams, std::size_t segment_bytes) noexcept;
  /// Asks for one call of `writable` on the shard once sending can go on. On the shard's thread.
  virtual void want_write(std::move_only_function<void()> writable);
};

using DatagramHandler = std::move_only_function<void(const Endpoint& from, ByteSpan datagram)>;

/// What a bound datagram socket tells its owner, on the socket's shard. The socket may be destroyed
/// inside either; nothing is told afterwards.
class DatagramEvents {
 public:
  /// One datagram, borrowed for the call. `to` has the local address, or the group, that it was
  /// sent to when the system tells it, for hosts with several; port 0 otherwise.
  virtual void on_datagram(const NetAddress& from, const NetAddress& to, ByteSpan datagram) = 0;
  /// All that this turn brought has been told: the time to answer.
  virtual void on_batch_end() {}

 protected:
  ~DatagramEvents() = default;
};

struct DatagramOptions {
  std::size_t socket_buffer_bytes = 0;  ///< 0: the system's default
  /// Several sockets, of several processes, on one port, when all of them say so: each hears what
  /// is sent to its groups, and the one opened last what is sent to the host's own address.
  bool share_port = false;
  /// A datagram that is too large for the way is dropped, not cut: who looks for the largest size
  /// that passes must not be deceived.
  bool never_fragment = false;
  /// Groups to join (numeric multicast addresses), on the interface with `interface_address`; on
  /// all that are up and can multicast when that is empty. Only these groups are heard, though
  /// other sockets of the host have joined more.
  std::vector<std::string> multicast_groups;
  /// Also where what is sent to a group leaves; the system chooses when it is empty. "%3" names the
  /// interface by its number.
  std::string interface_address;
  std::uint8_t multicast_hops = 1;  ///< 1: stays in the local network
  bool multicast_loopback = true;   ///< members on this host hear it, too

  DatagramOptions() = default;
};

struct ListenOptions {
  int backlog = 1024;
  std::size_t socket_buffer_bytes = 0;  ///< 0: the system's default; set before listening
  unsigned unix_mode = 0600;            ///< permissions of a Unix socket file
  ListenOptions() = default;
};

struct ConnectOptions {
  Duration timeout = std::chrono::seconds(5);
  std::size_t socket_buffer_bytes = 0;
  ConnectOptions() = default;
};

/// An address of one of this host's network interfaces.
struct InterfaceAddress {
  std::string name;
  std::string address;  ///< numeric
  std::uint8_t prefix_bits = 0;
  bool up = false;
  bool loopback = false;
  bool link_local = false;
  bool multicast = false;       ///< the device says it can
  std::uint32_t index = 0;      ///< the interface's number, which scopes IPv6 addresses
  std::int32_t numa_node = -1;  ///< of the device; -1 when unknown
};

class SharedMemoryLink;
struct SharedMemoryOptions;
using SharedMemoryHandler =
    std::move_only_function<void(Result<std::unique_ptr<SharedMemoryLink>>)>;

class Network {
 public:
  virtual ~Network() = default;

  /// Accepted streams are given to `on_accept` on `shard`; an accept error (out of descriptors) is
  /// reported and retried. Call on the shard's thread or before it does other work for the caller.
  /// A Unix path of a dead owner is taken over, a live one is Errc::already_exists.
  virtual Result<std::unique_ptr<Listener>> listen(Shard& shard, const Endpoint& local,
                                                   const ListenOptions& options,
                                                   StreamHandler on_accept) = 0;
  /// `done` runs once on `shard`, never inside this call. Any thread may call.
  virtual std::unique_ptr<Connecting> connect(Shard& shard, const Endpoint& remote,
                                              const ConnectOptions& options,
                                              StreamHandler done) = 0;
  /// A UDP socket bound to `local`; to a group's address, it hears that group only. `events`
  /// outlives the socket. Made on any thread; destroyed on the shard's thread or after the World
  /// stopped. Errc::invalid_argument for what is no numeric address, no group or no interface;
  /// Errc::unsupported for a Unix socket; Errc::already_exists when the port is taken.
  virtual Result<std::unique_ptr<DatagramSocket>> open_datagram(Shard& shard, const Endpoint& local,
                                                                const DatagramOptions& options,
                                                                DatagramEvents& events) = 0;
  /// As above, with defaults, one call of `on_datagram` for each datagram.
  Result<std::unique_ptr<DatagramSocket>> bind_datagram(Shard& shard, const Endpoint& local,
                                                        DatagramHandler on_datagram);
  virtual std::vector<InterfaceAddress> interfaces() = 0;
  /// What the other end of a Unix socket is told of this process. Any thread.
  virtual PeerCredentials own_credentials() const = 0;
  /// Whether a Unix socket's file can be seen from here; abstract names always. May be wrong in
  /// saying yes. Any thread.
  virtual bool unix_socket_visible(const std::string& path) {
    static_cast<void>(path);
    return true;
  }
  /// What tells this Unix socket from those that have the same name on another host, or in another
  /// container of this one: printable, without spaces or slashes. Empty where nobody listens, or
  /// when it cannot be told. Any thread.
  virtual std::string unix_socket_identity(const std::string& path);

  /// Accepts links of shared memory at a Unix socket (see <velo/base/shared_memory.hpp>); as
  /// listen(). What breaks the handshake is closed without a word to `on_accept`. Errc::unsupported
  /// where a World does not offer it.
  virtual Result<std::unique_ptr<Listener>> listen_shared_memory(Shard& shard,
                                                                 const Endpoint& local,
                                                                 const SharedMemoryOptions& options,
                                                                 SharedMemoryHandler on_accept);
  /// Makes a region and shares it with who listens at `remote`; as connect().
  /// Errc::permission_denied when that is a process of a user who is not allowed.
  virtual std::unique_ptr<Connecting> connect_shared_memory(Shard& shard, const Endpoint& remote,
                                                            const SharedMemoryOptions& options,
                                                            SharedMemoryHandler done);
};

}  // namespace velo
