// SPDX-License-Identifier: Apache-2.0
// What changes of peers and of services have in common, and the handle that ends an announcement or
// a watch.
// Threading: value types; a Registration is destroyed on any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace velo {
class Executor;
}

namespace velo::discovery {

/// A watch starts with one `snapshot` (possibly empty); later changes come at least once each;
/// `resync` replaces everything known (after a gap) like a new snapshot.
enum class ChangeKind : std::uint8_t { snapshot, added, removed, resync };

/// Withdraws or stops when destroyed; after the destructor returns on the watcher's executor, no
/// call comes.
class Registration {
 public:
  virtual ~Registration() = default;
};

/// For backends: a registration whose destructor calls `end`, which does not throw.
std::unique_ptr<Registration> make_registration(std::move_only_function<void()> end);

}  // namespace velo::discovery
