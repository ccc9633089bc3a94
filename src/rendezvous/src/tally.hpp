// SPDX-License-Identifier: Apache-2.0
// Tally: what one messenger's large data comes to: operations, bytes, how long reading took. Counts
// always, and is seen where metrics are published.
// Threading: any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/base/metrics.hpp>
#include <velo/base/time.hpp>
#include <velo/rendezvous/rendezvous.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace velo::rendezvous {

/// All but the last are the owner's; `get` is a whole transfer at the reader.
enum class Operation : std::uint8_t {
  registering,
  metadata,
  acquire,
  pull,
  ref,
  detach,
  release,
  get
};
constexpr std::size_t operations = 8;

class Tally {
 public:
  /// Passes the result on.
  template <class T>
  Result<T> counted(Operation operation, Result<T> result) noexcept {
    count(operation, result.has_value());
    return result;
  }
  void sent(std::uint64_t bytes) noexcept { sent_.fetch_add(bytes, std::memory_order_relaxed); }
  /// A transfer ended; `bytes` of it came.
  void got(bool well, std::uint64_t bytes, Duration took) noexcept;

  /// The series velo_rendezvous_*, until what is returned is destroyed; `use` keeps
  /// this alive, and the registry outlives it.
  Result<std::shared_ptr<void>> publish(metrics::Registry& registry, const InstanceId& node,
                                        const std::function<RendezvousUse()>& use);

 private:
  struct Published;
  using Number = std::atomic<std::uint64_t>;

  void count(Operation operation, bool well) noexcept {
    ends_[static_cast<std::size_t>(operation)][well ? 0 : 1].fetch_add(1,
                                                                       std::memory_order_relaxed);
  }

  std::array<std::array<Number, 2>, operations> ends_{};  ///< well, otherwise
  Number sent_{0};
  Number received_{0};
  std::mutex mutex_;
  metrics::Latency took_;  ///< under mutex_; of no registry but while published
};

}  // namespace velo::rendezvous
