// SPDX-License-Identifier: Apache-2.0
// Assembly: the writer that puts all chunks together in memory, within a bound and, if it has one,
// a budget. What is a single chunk is taken as it came.
// Threading: as DataWriter.
#pragma once

#include <velo/base/budget.hpp>
#include <velo/rendezvous/data_writer.hpp>
#include <velo/rendezvous/error.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace velo::rendezvous {

class Assembly final : public DataWriter {
 public:
  /// `budget` null: the memory is the caller's from the start.
  Assembly(std::uint64_t bytes_max, std::shared_ptr<MemoryBudget> budget) noexcept
      : bytes_max_(bytes_max), budget_(std::move(budget)) {}

  bool blocks() const noexcept override { return false; }
  Result<void> begin(std::uint64_t total_bytes) override {
    if (total_bytes > bytes_max_) {
      return make_error(Errc::too_large, std::to_string(total_bytes) + " bytes, and at most " +
                                             std::to_string(bytes_max_) + " are wanted");
    }
    total_ = static_cast<std::size_t>(total_bytes);
    if (budget_ != nullptr && total_ != 0) {
      charge_ = Charge::try_take(budget_, total_, Lane::requests);
      if (!charge_) return make_error(Errc::no_room, std::to_string(total_) + " bytes to read");
    }
    return {};
  }
  Result<void> write(std::uint64_t offset, const Bytes& chunk) override {
    if (chunk.size() == total_) {
      whole_ = chunk;
      return {};
    }
    if (!builder_) builder_.emplace(total_, std::move(charge_));
    const std::span<std::byte> space = builder_->free_space();
    std::ranges::copy(chunk.span(), space.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  Result<void> finish() override {
    if (!builder_) return {};
    builder_->commit(total_);
    whole_ = std::move(*builder_).take();
    return {};
  }
  Bytes take() { return std::move(whole_); }

 private:
  const std::uint64_t bytes_max_;
  const std::shared_ptr<MemoryBudget> budget_;
  std::size_t total_ = 0;
  Charge charge_;
  std::optional<BytesBuilder> builder_;
  Bytes whole_;
};

}  // namespace velo::rendezvous
