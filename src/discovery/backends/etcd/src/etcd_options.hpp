// SPDX-License-Identifier: Apache-2.0
// Whether options can work, and are safe.
// Threading: thread-safe.
#pragma once

#include <velo/discovery/backends/etcd.hpp>

namespace velo::discovery::etcd {

/// As EtcdDiscovery::create() says; logs plain text that was allowed beyond loopback.
Result<void> check_options(const EtcdOptions& options);

}  // namespace velo::discovery::etcd
