// SPDX-License-Identifier: Apache-2.0
// What the TLS streams of one transport share: a buffer per shard that ciphertext is read into, the
// blocks that it is written from, and the budget that these and what streams keep are charged to.
// Threading: any thread; a read buffer is touched by its shard only.
#pragma once

#include "records.hpp"

#include <velo/base/budget.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/limits.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace velo::transport::tls {

/// Ciphertext that is read at a time, at most.
constexpr std::size_t read_buffer_bytes = std::size_t{128} << 10;
/// Full records that are made at a time, and written with one call.
constexpr std::size_t batch_records = limits::tls_batch_records;
constexpr std::size_t batch_content_bytes = batch_records * record_content_bytes_max;
/// A batch may be led by a KeyUpdate.
constexpr std::size_t write_block_bytes =
    batch_records * (record_content_bytes_max + record_overhead_bytes) +
    RecordSealer::key_update_bytes + record_overhead_bytes;

using Block = std::unique_ptr<std::byte[]>;

class Environment {
 public:
  explicit Environment(std::shared_ptr<MemoryBudget> budget) noexcept
      : budget_(std::move(budget)) {}

  MemoryBudget& budget() noexcept { return *budget_; }

  /// On the shard's thread, until the end of the call that reads.
  std::span<std::byte> read_buffer(const Shard& shard) {
    const std::lock_guard lock(mutex_);
    for (const auto& [owner, buffer] : read_buffers_) {
      if (owner == &shard) return {buffer.get(), read_buffer_bytes};
    }
    read_buffers_.emplace_back(&shard,
                               std::make_unique_for_overwrite<std::byte[]>(read_buffer_bytes));
    return {read_buffers_.back().second.get(), read_buffer_bytes};
  }

  /// Null when the budget has no room: what is written goes on in small records. It is charged
  /// until it is given back.
  Block take_block() {
    if (!budget_->try_take(write_block_bytes, Lane::replies)) return nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (!spare_.empty()) {
        Block block = std::move(spare_.back());
        spare_.pop_back();
        return block;
      }
    }
    return std::make_unique_for_overwrite<std::byte[]>(write_block_bytes);
  }
  void give_back(Block block) noexcept {
    budget_->give_back(write_block_bytes);
    const std::lock_guard lock(mutex_);
    if (spare_.size() < spare_blocks_max) spare_.push_back(std::move(block));
  }

 private:
  static constexpr std::size_t spare_blocks_max = 16;

  const std::shared_ptr<MemoryBudget> budget_;
  std::mutex mutex_;
  std::vector<std::pair<const Shard*, Block>> read_buffers_;
  std::vector<Block> spare_;
};

}  // namespace velo::transport::tls
