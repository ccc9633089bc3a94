// SPDX-License-Identifier: Apache-2.0
// What the tests of simulated streams share: a talker at each end of a connection, and a pair of
// connected talkers.
// Threading: the simulation's thread.
#pragma once

#include <velo/sim/simulation.hpp>

#include <sys/uio.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::sim::stream_test_kit {

/// Reads all it is told of, writes what it is given as the window allows, and remembers how things
/// ended.
class Talker final : public StreamEvents {
 public:
  explicit Talker(std::unique_ptr<ByteStream> stream, bool reads = true)
      : stream_(std::move(stream)), reads_(reads) {
    stream_->attach(*this);
  }

  void say(std::string_view text) {
    to_send_ += text;
    flush();
  }
  void hear() {
    reads_ = true;
    on_readable();
  }
  void close() { stream_->close(); }

  const std::string& heard() const { return heard_; }
  std::size_t unsent() const { return to_send_.size(); }
  std::size_t reads() const { return read_sizes_.size(); }
  const std::vector<std::size_t>& read_sizes() const { return read_sizes_; }
  std::size_t would_blocks() const { return would_blocks_; }
  bool ended() const { return ended_; }
  int error() const { return error_; }
  bool over() const { return ended_ || error_ != 0; }
  ByteStream& stream() { return *stream_; }
  std::function<void()> on_heard;

 private:
  void on_readable() override {
    if (!reads_) return;
    for (;;) {
      std::array<std::byte, 4096> buffer;
      const IoResult got = stream_->try_read(buffer);
      if (got.status == IoResult::Status::ok) {
        heard_ += as_text(ByteSpan(buffer).first(got.bytes));
        read_sizes_.push_back(got.bytes);
        if (got.bytes == buffer.size()) continue;
      }
      if (got.status == IoResult::Status::end) ended_ = true;
      if (got.status == IoResult::Status::error) error_ = got.system_error;
      if (got.status != IoResult::Status::ok) break;
    }
    if (on_heard) on_heard();
  }
  void on_writable() override { flush(); }

  void flush() {
    while (!to_send_.empty()) {
      const std::array<iovec, 1> parts{iovec{to_send_.data(), to_send_.size()}};
      const IoResult sent = stream_->try_write(parts);
      if (sent.status == IoResult::Status::would_block) {
        ++would_blocks_;
        return stream_->want_write();
      }
      if (sent.status != IoResult::Status::ok) {
        error_ = sent.system_error;
        return;
      }
      to_send_.erase(0, sent.bytes);
    }
  }

  std::unique_ptr<ByteStream> stream_;
  bool reads_;
  std::string heard_;
  std::string to_send_;
  std::vector<std::size_t> read_sizes_;
  std::size_t would_blocks_ = 0;
  bool ended_ = false;
  int error_ = 0;
};

/// A client that connected to a server, both talking.
struct Pair {
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Connecting> connecting;
  std::unique_ptr<Talker> client;
  std::unique_ptr<Talker> server;
  std::optional<Error> error;

  void start(SimNode& from, SimNode& to, const Endpoint& at, bool server_reads = true,
             const ConnectOptions& options = ConnectOptions()) {
    if (to.alive()) {
      auto listening =
          to.network().listen(to.shard(0), at, ListenOptions(),
                              [this, server_reads](Result<std::unique_ptr<ByteStream>> stream) {
                                server = std::make_unique<Talker>(std::move(*stream), server_reads);
                              });
      if (listening) listener = std::move(*listening);
    }
    connecting = from.network().connect(from.shard(0), at, options,
                                        [this](Result<std::unique_ptr<ByteStream>> stream) {
                                          if (!stream) {
                                            error = stream.error();
                                            return;
                                          }
                                          client = std::make_unique<Talker>(std::move(*stream));
                                        });
  }
  bool connected() const { return client != nullptr && server != nullptr; }
};

inline std::string pattern(std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>((i * 131 + (i >> 8)) & 0xff);
  return text;
}

}  // namespace velo::sim::stream_test_kit
