// SPDX-License-Identifier: Apache-2.0
// A peer that speaks bytes instead of frames: writes them in pieces of a chosen size, reads or does
// not.
// Threading: methods from the test's main thread; they act on the stream's shard.
#pragma once

#include <velo/base/network.hpp>
#include <velo/transport/conformance/driver.hpp>
#include <velo/transport/conformance/suite.hpp>

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace velo::transport::conformance {

class RawPeer final : private StreamEvents {
 public:
  RawPeer(Driver& driver, Kit& kit, World& world, ByteSpan entry) : driver_(driver) {
    Shard& shard = world.shard(0);
    connecting_ = kit.connect_raw(world, entry, [this](Result<std::unique_ptr<ByteStream>> stream) {
      {
        const std::lock_guard lock(driver_.mutex());
        if (stream) stream_ = std::move(*stream);
        answered_ = true;
      }
      driver_.notify();
    });
    driver_.wait([this] { return answered_; });
    driver_.run_on(shard, [this] { connecting_.reset(); });
  }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;
  ~RawPeer() { close(); }

  bool connected() const { return stream_ != nullptr; }

  /// Writes all of it in writes of at most `piece` bytes, as the other side takes them.
  void write(std::string_view bytes, std::size_t piece = SIZE_MAX) {
    driver_.run_on(stream_->shard(), [&] {
      {
        const std::lock_guard lock(driver_.mutex());
        written_all_ = false;
      }
      attach();
      unwritten_ += bytes;
      piece_ = piece;
      write_on();
    });
    driver_.wait([this] { return written_all_ || ended_; });
  }

  /// From now on reads and counts; until then, and before the first write(), nothing is read.
  void read() {
    driver_.run_on(stream_->shard(), [this] { attach(); });
  }

  /// Ends the stream; with unread bytes that is a reset.
  void close() {
    if (stream_ == nullptr) return;
    driver_.run_on(stream_->shard(), [this] { stream_.reset(); });
  }

  // Read under the driver's mutex, or inside wait().
  std::size_t read_bytes = 0;
  std::string read_text;  ///< the beginning
  bool ended() const { return ended_; }

 private:
  void attach() {
    if (!std::exchange(attached_, true)) stream_->attach(*this);
  }

  void write_on() {
    while (!unwritten_.empty()) {
      const iovec vector{unwritten_.data(), std::min(piece_, unwritten_.size())};
      const IoResult result = stream_->try_write(std::span(&vector, 1));
      if (result.status == IoResult::Status::would_block) {
        stream_->want_write();
        break;
      }
      if (result.status != IoResult::Status::ok) {
        unwritten_.clear();
        break;
      }
      unwritten_.erase(0, result.bytes);
    }
    const std::lock_guard lock(driver_.mutex());
    written_all_ = unwritten_.empty();
    driver_.notify();
  }

  void on_readable() override {
    std::array<std::byte, 65'536> buffer;
    for (;;) {
      const IoResult result = stream_->try_read(buffer);
      if (result.status == IoResult::Status::would_block) return;
      const std::lock_guard lock(driver_.mutex());
      if (result.status != IoResult::Status::ok) {
        ended_ = true;
        driver_.notify();
        return;
      }
      read_bytes += result.bytes;
      constexpr std::size_t kept = 4096;
      if (read_text.size() < kept) read_text += as_text(std::span(buffer).first(result.bytes));
      driver_.notify();
    }
  }
  void on_writable() override { write_on(); }

  Driver& driver_;
  std::unique_ptr<Connecting> connecting_;
  std::unique_ptr<ByteStream> stream_;
  bool answered_ = false;
  bool attached_ = false;
  bool ended_ = false;
  bool written_all_ = true;
  std::string unwritten_;
  std::size_t piece_ = SIZE_MAX;
};

}  // namespace velo::transport::conformance
