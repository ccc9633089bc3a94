// SPDX-License-Identifier: Apache-2.0
// The conformance suite of queues: scenarios that every backend passes. For test programs only; a
// backend's test file registers itself once for each medium:
//   static const bool registered = velo::queue::conformance::register_backend("Memory",
//   make_ground);
// Threading: before main() only.
#pragma once

#include <velo/base/op.hpp>
#include <velo/queue/queue.hpp>

#include <functional>
#include <memory>
#include <string>

namespace velo::queue::conformance {

/// Where queues of one backend live, and how its time passes.
class Ground {
 public:
  virtual ~Ground() = default;
  /// A new, empty queue.
  virtual std::shared_ptr<WorkQueue> open(const QueueOptions& options) = 0;
  /// Lets the medium go on until `done`, which is polled; false after a generous while.
  virtual bool until(const std::function<bool()>& done) = 0;
  /// The error's text if this backend does not have the notion, for scenarios that would test it;
  /// empty if it has.
  virtual std::string lacks(const std::string& notion) const {
    static_cast<void>(notion);
    return {};
  }

  template <class T>
  Result<T> wait(Op<T> op) {
    if (!until([&op] { return op.done(); })) {
      return velo::make_error(velo::Errc::deadline_exceeded, "the operation did not end");
    }
    return std::move(op).get();
  }
};

using MakeGround = std::function<std::unique_ptr<Ground>()>;

/// Adds the tests QueueConformance_<backend>.<Scenario>. Returns true.
bool register_backend(const std::string& backend, const MakeGround& make);

}  // namespace velo::queue::conformance
