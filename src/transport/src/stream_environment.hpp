// SPDX-License-Identifier: Apache-2.0
// What the stream connections of one transport share: its key, one scratch read buffer per shard,
// spare write blocks, and the count of live connections. Kept alive by the transport and by each
// connection.
// Threading: any thread; a scratch buffer is touched by its shard only.
#pragma once

#include "out_queue.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/limits.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport {

class ScratchBuffer {
 public:
  explicit ScratchBuffer(const Shard& shard) noexcept : shard_(&shard) {}
  bool belongs_to(const Shard& shard) const noexcept { return shard_ == &shard; }
  /// On the shard's thread, until the end of the event being handled.
  std::span<std::byte> span() {
    if (bytes_ == nullptr) {
      bytes_ = std::make_unique_for_overwrite<std::byte[]>(limits::read_buffer_bytes);
    }
    return {bytes_.get(), limits::read_buffer_bytes};
  }

 private:
  const Shard* shard_;
  std::unique_ptr<std::byte[]> bytes_;
};

class StreamEnvironment {
 public:
  explicit StreamEnvironment(std::string transport_key) : key(std::move(transport_key)) {}

  ScratchBuffer& scratch(const Shard& shard) {
    const std::lock_guard lock(mutex_);
    for (const auto& buffer : scratch_) {
      if (buffer->belongs_to(shard)) return *buffer;
    }
    return *scratch_.emplace_back(std::make_unique<ScratchBuffer>(shard));
  }

  const std::string key;
  /// Set once, before there is a connection.
  std::shared_ptr<MemoryBudget> budget;
  BlockPool blocks;
  std::atomic<std::size_t> connections{0};

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<ScratchBuffer>> scratch_;
};

}  // namespace velo::transport
