// SPDX-License-Identifier: Apache-2.0
// An established TlsStream whose other end is the test: records as a peer seals them in, what the
// stream says out.
// Threading: the simulation's thread.
#pragma once

#include "tls_stream.hpp"

#include <velo/base/budget.hpp>
#include <velo/sim/simulation.hpp>

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::transport::tls::testing {

/// What a pipe carries, each way; outlives it.
struct PipeState {
  std::string in;
  std::size_t in_piece = SIZE_MAX;  ///< of `in` are read at a time, at most
  bool in_ends = false;
  std::string out;
  std::size_t out_room = SIZE_MAX;
};

class PipeStream final : public ByteStream {
 public:
  PipeStream(Shard& shard, PipeState& state) : shard_(shard), state_(state) {}
  void attach(StreamEvents&) override {}
  IoResult try_read(std::span<std::byte> into) noexcept override {
    const std::size_t count = std::min({into.size(), state_.in_piece, state_.in.size()});
    if (count == 0) {
      return {state_.in_ends ? IoResult::Status::end : IoResult::Status::would_block, 0, 0};
    }
    std::memcpy(into.data(), state_.in.data(), count);
    state_.in.erase(0, count);
    return {IoResult::Status::ok, count, 0};
  }
  IoResult try_write(std::span<const iovec> from) noexcept override {
    std::size_t done = 0;
    for (const iovec& each : from) {
      const std::size_t count = std::min(each.iov_len, state_.out_room);
      state_.out.append(static_cast<const char*>(each.iov_base), count);
      state_.out_room -= state_.out_room == SIZE_MAX ? 0 : count;
      done += count;
    }
    if (done == 0) return {IoResult::Status::would_block, 0, 0};
    return {IoResult::Status::ok, done, 0};
  }
  void want_write() noexcept override {}
  void close() noexcept override {}
  Shard& shard() noexcept override { return shard_; }
  Endpoint remote() const override { return Endpoint::tcp("192.0.2.1", 1); }

 private:
  Shard& shard_;
  PipeState& state_;
};

class PipedStream {
 public:
  /// `used`: records that both directions have behind them.
  explicit PipedStream(std::uint64_t used = 0,
                       std::shared_ptr<MemoryBudget> memory = std::make_shared<MemoryBudget>())
      : budget(std::move(memory)), peer_seals(secret(1, used)), peer_opens(secret(2, used)) {
    Established established{RecordSealer(secret(2, used)), RecordOpener(secret(1, used)), {}, {}};
    auto raw = std::make_unique<RawEnd>(std::make_unique<PipeStream>(node.shard(0), pipe));
    stream = std::make_unique<TlsStream>(std::move(raw), std::move(established),
                                         std::make_shared<Environment>(budget));
  }

  static DirectionSecret secret(std::uint8_t number, std::uint64_t used) {
    DirectionSecret made;
    made.secret.fill(number);
    made.used = used;
    return made;
  }

  /// A record from the peer.
  void say(ContentType type, std::string_view content) {
    std::string record(content.size() + record_overhead_bytes, '\0');
    EXPECT_TRUE(
        peer_seals.seal(type, as_bytes(content), reinterpret_cast<std::byte*>(record.data())));
    pipe.in += record;
  }
  /// Reads until nothing comes; what ended it.
  IoResult read(std::string& heard) {
    std::vector<std::byte> buffer(4096);
    for (;;) {
      const IoResult result = stream->try_read(buffer);
      if (result.status != IoResult::Status::ok) {
        if (result.status == IoResult::Status::would_block && !pipe.in.empty()) continue;
        return result;
      }
      heard += as_text(ByteSpan(buffer).first(result.bytes));
    }
  }
  /// Gives content to the stream once; how much of it was taken.
  std::size_t write(std::string_view content) {
    const iovec vector{const_cast<char*>(content.data()), content.size()};
    const IoResult result = stream->try_write(std::span(&vector, 1));
    return result.status == IoResult::Status::ok ? result.bytes : 0;
  }
  struct Record {
    ContentType type;
    std::string content;
  };
  /// The next record that the stream has sent, if it is whole; it follows key updates.
  std::optional<Record> hear() {
    const ByteSpan sent = as_bytes(pipe.out);
    if (sent.size() < record_header_bytes) return std::nullopt;
    const auto size = record_bytes(sent.first(record_header_bytes));
    if (!size || sent.size() < *size) return std::nullopt;
    std::vector<std::byte> target(*size);
    const auto opened = peer_opens.open(sent.first(*size), target.data());
    pipe.out.erase(0, *size);
    if (!opened) return Record{ContentType{0}, "not opened"};
    std::string content(as_text(ByteSpan(target).first(opened->bytes)));
    if (opened->type == ContentType::handshake) {
      EXPECT_TRUE(peer_opens.update());
    }
    return Record{opened->type, std::move(content)};
  }
  /// The alert with which the stream closes; -1 for none.
  int last_word() {
    stream->close();
    int alert = -1;
    while (const auto record = hear()) {
      if (record->type == ContentType::alert) alert = record->content.at(1);
    }
    return alert;
  }

  sim::Simulation simulation{1};
  sim::SimNode& node = simulation.add_node("node");
  PipeState pipe;
  std::shared_ptr<MemoryBudget> budget;
  RecordSealer peer_seals;
  RecordOpener peer_opens;
  std::unique_ptr<TlsStream> stream;
};

}  // namespace velo::transport::tls::testing
