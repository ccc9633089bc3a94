// SPDX-License-Identifier: Apache-2.0
// Addresses of the shared memory transport, and how its streams come about.

#include <velo/transport/backends/shm.hpp>

#include <velo/base/budget.hpp>
#include <velo/base/network.hpp>
#include <velo/base/shared_memory.hpp>
#include <velo/transport/stream_transport.hpp>

#include <bit>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "shm_stream.hpp"

namespace velo::transport {
namespace shm_detail {

/// Room for a terminating zero in sockaddr_un, with some to spare.
constexpr std::size_t path_bytes_max = 100;
constexpr std::string_view scheme = "shm://";

/// For streams, what handles links: their regions are charged to `memory`.
static SharedMemoryHandler over_links(std::shared_ptr<MemoryBudget> memory, StreamHandler handler) {
  return [memory = std::move(memory),
          handler = std::move(handler)](Result<std::unique_ptr<SharedMemoryLink>> link) mutable {
    if (!link) return handler(link.error());
    Charge charge = Charge::try_take(memory, (*link)->memory().size(), Lane::replies);
    if (!charge) return handler(make_error(Errc::no_room, "no memory for more rings"));
    std::unique_ptr<ByteStream> stream = ShmStream::over(std::move(*link), std::move(charge));
    if (stream == nullptr) {
      return handler(velo::make_error(velo::Errc::invalid_argument, "no room for rings"));
    }
    handler(std::move(stream));
  };
}

class ShmTransport final : public StreamTransport {
 public:
  explicit ShmTransport(ShmOptions options)
      : StreamTransport("shm", options.gate),
        options_(std::move(options)),
        memory_(std::make_shared<MemoryBudget>(options_.memory_bytes_max)) {}

 private:
  Result<std::optional<Listening>> listening(World& world, const InstanceId& self) override;
  Result<Bytes> advertise(World& world, const Endpoint& local) override;
  Result<Endpoint> choose(World& world, ByteSpan entry) const override;
  Reach assess(ByteSpan entry) const override {
    if (!check_entry(entry)) return {};
    return {Locality::shared_memory, true, std::chrono::microseconds(5)};
  }
  ConnectOptions connect_options() const override {
    ConnectOptions connect;
    connect.timeout = options_.connect_timeout;
    return connect;
  }
  Result<std::shared_ptr<const StreamGuard>> guard(const TransportContext& /*context*/) override {
    // Who may be at the other end was judged before there was any memory to share.
    return make_user_guard({}, true);
  }
  Result<std::unique_ptr<Listener>> open_listener(World& world, Shard& shard,
                                                  const Listening& listening,
                                                  StreamHandler on_accept) override;
  std::unique_ptr<Connecting> open_stream(World& world, Shard& shard, const Endpoint& remote,
                                          StreamHandler done) const override;
  SharedMemoryOptions memory_options() const;

  const ShmOptions options_;
  /// Of all regions. Not the node's budget: they stay as long as their connections, and many that
  /// are idle would leave no memory for requests.
  const std::shared_ptr<MemoryBudget> memory_;
};

SharedMemoryOptions ShmTransport::memory_options() const {
  SharedMemoryOptions memory;
  memory.bytes = region_bytes(options_.ring_bytes);
  memory.bytes_min = region_bytes(limits::shm_ring_bytes_min);
  // With room for what whole pages add.
  memory.bytes_max = region_bytes(limits::shm_ring_bytes_max) + (std::size_t{64} << 10);
  memory.allowed_users = options_.allowed_users;
  memory.unix_mode = options_.mode;
  return memory;
}

Result<std::optional<StreamTransport::Listening>> ShmTransport::listening(World& /*world*/,
                                                                          const InstanceId& self) {
  if (!std::has_single_bit(options_.ring_bytes) ||
      options_.ring_bytes < limits::shm_ring_bytes_min ||
      options_.ring_bytes > limits::shm_ring_bytes_max) {
    return velo::make_error(velo::Errc::invalid_argument,
                            "shm needs a ring of a power of two within its limits");
  }
  if (!options_.listen) return std::optional<Listening>();
  std::string path = options_.path;
  if (path.empty()) {
    if (options_.folder.empty()) {
      return velo::make_error(velo::Errc::invalid_argument, "shm needs a path or a folder");
    }
    path = options_.folder + "/" + self.to_string() + ".shm";
  }
  const bool named = path.front() == '/' || path.front() == '@';
  if (!named || path.starts_with("/@") || path.size() > path_bytes_max) {
    return velo::make_error(velo::Errc::invalid_argument, "no absolute path, or too long: " + path);
  }
  Listening listening;
  listening.endpoint = Endpoint::unix_socket(std::move(path));
  return std::optional<Listening>(std::move(listening));
}

Result<Bytes> ShmTransport::advertise(World& world, const Endpoint& local) {
  const std::string identity = world.network().unix_socket_identity(local.host);
  if (identity.empty()) {
    return velo::make_error(velo::Errc::unsupported, "this host cannot be told from others");
  }
  const char* between = local.host.starts_with('@') ? "/" : "";
  return Bytes::own(std::string(scheme) + identity + between + local.host);
}

Result<Endpoint> ShmTransport::choose(World& world, ByteSpan entry) const {
  std::string_view text = as_text(entry);
  const bool is_ours = text.starts_with(scheme) && text.size() <= limits::address_entry_bytes_max &&
                       text.find('\0') == std::string_view::npos;
  if (is_ours) text.remove_prefix(scheme.size());
  const std::size_t slash = is_ours ? text.find('/') : std::string_view::npos;
  std::string_view path;
  if (slash != std::string_view::npos) path = text.substr(slash);
  if (path.starts_with("/@")) path.remove_prefix(1);
  if (slash == std::string_view::npos || slash == 0 || path.size() < 2 ||
      path.size() > path_bytes_max) {
    return make_error(Errc::invalid_address, "needs shm://, a host and an absolute path");
  }
  Endpoint endpoint = Endpoint::unix_socket(std::string(path));
  if (world.network().unix_socket_identity(endpoint.host) != text.substr(0, slash)) {
    return make_error(Errc::no_endpoint, endpoint.host + " is of another host or container");
  }
  return endpoint;
}

Result<std::unique_ptr<Listener>> ShmTransport::open_listener(World& world, Shard& shard,
                                                              const Listening& listening,
                                                              StreamHandler on_accept) {
  SharedMemoryOptions memory = memory_options();
  memory.timeout = options_.handshake_timeout;
  return world.network().listen_shared_memory(shard, listening.endpoint, memory,
                                              over_links(memory_, std::move(on_accept)));
}

std::unique_ptr<Connecting> ShmTransport::open_stream(World& world, Shard& shard,
                                                      const Endpoint& remote,
                                                      StreamHandler done) const {
  SharedMemoryOptions memory = memory_options();
  memory.timeout = options_.connect_timeout;
  return world.network().connect_shared_memory(shard, remote, memory,
                                               over_links(memory_, std::move(done)));
}

}  // namespace shm_detail

std::unique_ptr<Transport> make_shm(ShmOptions options) {
  return std::make_unique<shm_detail::ShmTransport>(std::move(options));
}

}  // namespace velo::transport
