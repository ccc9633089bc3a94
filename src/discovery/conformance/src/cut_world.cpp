// SPDX-License-Identifier: Apache-2.0
// Sockets, files and the World around them, with a switch.

#include "cut_world.hpp"

#include <string>
#include <utility>
#include <vector>

namespace velo::discovery::conformance {
namespace cut_world_detail {

class CutSocket final : public DatagramSocket, private DatagramEvents {
 public:
  static Result<std::unique_ptr<DatagramSocket>> open(Network& network, Shard& shard,
                                                      const Endpoint& local,
                                                      const DatagramOptions& options,
                                                      DatagramEvents& events, Cut cut) {
    auto made = std::make_unique<CutSocket>(events, std::move(cut));
    auto opened = network.open_datagram(shard, local, options, *made);
    if (!opened) return std::move(opened).error();
    made->socket_ = std::move(*opened);
    return std::unique_ptr<DatagramSocket>(std::move(made));
  }
  CutSocket(DatagramEvents& events, Cut cut) : events_(events), cut_(std::move(cut)) {}

  Endpoint local() const override { return socket_->local(); }
  IoResult try_send(const Endpoint& to, ByteSpan datagram) noexcept override {
    if (*cut_) return {IoResult::Status::ok, datagram.size(), 0};
    return socket_->try_send(to, datagram);
  }
  IoResult try_send_segments(const NetAddress& to, ByteSpan datagrams,
                             std::size_t segment_bytes) noexcept override {
    if (*cut_) return {IoResult::Status::ok, datagrams.size(), 0};
    return socket_->try_send_segments(to, datagrams, segment_bytes);
  }
  void want_write(std::move_only_function<void()> writable) override {
    socket_->want_write(std::move(writable));
  }

 private:
  void on_datagram(const NetAddress& from, const NetAddress& to, ByteSpan datagram) override {
    if (!*cut_) events_.on_datagram(from, to, datagram);
  }
  void on_batch_end() override { events_.on_batch_end(); }

  DatagramEvents& events_;
  const Cut cut_;
  std::unique_ptr<DatagramSocket> socket_;
};

class CutNetwork final : public Network {
 public:
  CutNetwork(Network& network, Cut cut) : network_(network), cut_(std::move(cut)) {}

  Result<std::unique_ptr<Listener>> listen(Shard& shard, const Endpoint& local,
                                           const ListenOptions& options,
                                           StreamHandler on_accept) override {
    return network_.listen(shard, local, options, std::move(on_accept));
  }
  std::unique_ptr<Connecting> connect(Shard& shard, const Endpoint& remote,
                                      const ConnectOptions& options, StreamHandler done) override {
    return network_.connect(shard, remote, options, std::move(done));
  }
  Result<std::unique_ptr<DatagramSocket>> open_datagram(Shard& shard, const Endpoint& local,
                                                        const DatagramOptions& options,
                                                        DatagramEvents& events) override {
    return CutSocket::open(network_, shard, local, options, events, cut_);
  }
  std::vector<InterfaceAddress> interfaces() override { return network_.interfaces(); }
  PeerCredentials own_credentials() const override { return network_.own_credentials(); }

 private:
  Network& network_;
  const Cut cut_;
};

class CutFiles final : public Files {
 public:
  CutFiles(Files& files, Cut cut) : files_(files), cut_(std::move(cut)) {}

  Result<Bytes> read(const std::string& path, std::size_t bytes_max) override {
    if (*cut_) return out_of_reach(path);
    return files_.read(path, bytes_max);
  }
  Result<SecretFile> read_secret(const std::string& path, std::size_t bytes_max) override {
    if (*cut_) return out_of_reach(path);
    return files_.read_secret(path, bytes_max);
  }
  Result<void> write_atomic(const std::string& path, ByteSpan contents) override {
    if (*cut_) return out_of_reach(path);
    return files_.write_atomic(path, contents);
  }
  Result<void> append(const std::string& path, ByteSpan contents) override {
    if (*cut_) return out_of_reach(path);
    return files_.append(path, contents);
  }
  Result<void> remove(const std::string& path) override {
    if (*cut_) return out_of_reach(path);
    return files_.remove(path);
  }
  Result<void> create_directories(const std::string& path) override {
    if (*cut_) return out_of_reach(path);
    return files_.create_directories(path);
  }
  Result<std::vector<FileInfo>> list(const std::string& path) override {
    if (*cut_) return out_of_reach(path);
    return files_.list(path);
  }
  Result<std::unique_ptr<FileLock>> try_lock(const std::string& path) override {
    if (*cut_) return out_of_reach(path);
    return files_.try_lock(path);
  }

 private:
  static Error out_of_reach(const std::string& path) {
    return velo::make_error(velo::Errc::io, path + ": out of reach");
  }

  Files& files_;
  const Cut cut_;
};

class CutWorld final : public World {
 public:
  CutWorld(World& world, const Cut& cut)
      : world_(world), network_(world.network(), cut), files_(world.files(), cut) {}

  Clock& clock() noexcept override { return world_.clock(); }
  Random& random() noexcept override { return world_.random(); }
  Random& secret_random() noexcept override { return world_.secret_random(); }
  Network& network() noexcept override { return network_; }
  Files& files() noexcept override { return files_; }
  std::size_t shard_count() const noexcept override { return world_.shard_count(); }
  Shard& shard(std::size_t index) noexcept override { return world_.shard(index); }
  Executor& pool() noexcept override { return world_.pool(); }

 private:
  World& world_;
  CutNetwork network_;
  CutFiles files_;
};

}  // namespace cut_world_detail

std::unique_ptr<World> make_cut_world(World& world, Cut cut) {
  return std::make_unique<cut_world_detail::CutWorld>(world, cut);
}

}  // namespace velo::discovery::conformance
