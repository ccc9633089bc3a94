// SPDX-License-Identifier: Apache-2.0
// Tally: what one messenger's streams come to beyond what its connections count: anchors made,
// senders let in, how streams ended, how long attaching took. Counts always, and is seen where
// metrics are published.
// Threading: any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/metrics.hpp>
#include <velo/base/time.hpp>
#include <velo/streaming/streams.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

namespace velo::streaming {

class Tally {
 public:
  /// The owner's: of its anchors, and of those that attach to them.
  enum class Operation : std::uint8_t { create, attach };
  /// Of a stream at its consumer, once each.
  enum class End : std::uint8_t { finalized, detached, dropped, lost, cancelled };

  void count(Operation operation, bool well) noexcept {
    add(operations_[at(operation)][well ? 0 : 1]);
  }
  void count(End end) noexcept { add(ends_[at(end)]); }
  /// A sender of this node has attached, or not.
  void attached(Duration took) noexcept;

  /// The series velo_streaming_*, until what is returned is destroyed; `counts` keeps this alive,
  /// and the registry outlives it.
  Result<std::shared_ptr<void>> publish(metrics::Registry& registry, const InstanceId& node,
                                        const std::function<StreamCounts()>& counts);

 private:
  struct Published;
  using Number = std::atomic<std::uint64_t>;

  template <class E>
  static constexpr std::size_t at(E value) noexcept {
    return static_cast<std::size_t>(value);
  }
  static void add(Number& number) noexcept { number.fetch_add(1, std::memory_order_relaxed); }

  std::array<std::array<Number, 2>, 2> operations_{};  ///< well, otherwise
  std::array<Number, 5> ends_{};
  std::mutex mutex_;
  metrics::Latency took_;  ///< under mutex_; of no registry but while published
};

}  // namespace velo::streaming
