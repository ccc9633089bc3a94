// SPDX-License-Identifier: Apache-2.0
// A connecting attempt that failed before it began, reported as any other: later, on the shard,
// unless abandoned.
// Threading: destroy the Dial on the shard's thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/world.hpp>
#include <velo/transport/transport.hpp>

#include <memory>

namespace velo::transport {

std::unique_ptr<Dial> fail_dial(Shard& shard, ConnectHandler done, Error error);

}  // namespace velo::transport
