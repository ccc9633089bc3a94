// SPDX-License-Identifier: Apache-2.0
// A stream below a TLS stream: has what the other end sent, piece by piece, and takes everything.
// Threading: one thread.
#pragma once

#include <sys/uio.h>
#include <velo/base/network.hpp>
#include <velo/base/world.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace velo::transport::tls::testing {

class ReadPipe final : public ByteStream {
 public:
  ReadPipe(Shard& shard, std::vector<std::byte> bytes, std::size_t piece)
      : shard_(shard), bytes_(std::move(bytes)), piece_(piece) {}
  void attach(StreamEvents&) override {}
  IoResult try_read(std::span<std::byte> into) noexcept override {
    const std::size_t count = std::min({into.size(), piece_, bytes_.size() - at_});
    if (count == 0) return {IoResult::Status::end, 0, 0};
    std::memcpy(into.data(), bytes_.data() + at_, count);
    at_ += count;
    return {IoResult::Status::ok, count, 0};
  }
  IoResult try_write(std::span<const iovec> from) noexcept override {
    std::size_t total = 0;
    for (const iovec& each : from) total += each.iov_len;
    return {IoResult::Status::ok, total, 0};
  }
  void want_write() noexcept override {}
  void close() noexcept override {}
  Shard& shard() noexcept override { return shard_; }
  Endpoint remote() const override { return Endpoint::tcp("192.0.2.1", 1); }

 private:
  Shard& shard_;
  const std::vector<std::byte> bytes_;
  const std::size_t piece_;
  std::size_t at_ = 0;
};

}  // namespace velo::transport::tls::testing
