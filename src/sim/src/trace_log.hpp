// SPDX-License-Identifier: Apache-2.0
// Folds trace records into the 64-bit hash, counts them, and hands them to the user's sink.
// Threading: one thread.
#pragma once

#include <velo/sim/trace.hpp>

#include <bit>
#include <cstdint>
#include <utility>

namespace velo::sim::detail {

class TraceLog {
 public:
  void add(std::int64_t at, std::uint32_t node, TraceKind kind, std::uint64_t id,
           std::uint64_t length) {
    const std::uint64_t who =
        (static_cast<std::uint64_t>(node) << 8) | static_cast<std::uint8_t>(kind);
    fold(static_cast<std::uint64_t>(at) ^ std::rotl(who, 40));
    fold(id ^ std::rotl(length, 32));
    ++count_;
    if (sink_) sink_(TraceRecord{TimePoint(Duration(at)), node, kind, id, length});
  }
  std::uint64_t hash() const noexcept { return hash_; }
  std::uint64_t count() const noexcept { return count_; }
  void set_sink(TraceSink sink) { sink_ = std::move(sink); }

 private:
  void fold(std::uint64_t word) noexcept {
    hash_ = std::rotl(hash_ ^ (word * 0x87c37b91114253d5U), 31) * 0x4cf5ad432745937fU + 0x52dce729U;
  }

  std::uint64_t hash_ = 0x76656c6f2073696dU;
  std::uint64_t count_ = 0;
  TraceSink sink_;
};

}  // namespace velo::sim::detail
