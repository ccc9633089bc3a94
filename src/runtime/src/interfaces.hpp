// SPDX-License-Identifier: Apache-2.0
// The addresses of this host's network interfaces.
// Threading: any thread.
#pragma once

#include <velo/base/network.hpp>

#include <vector>

namespace velo::runtime {

/// In the kernel's order; empty if it does not tell.
std::vector<InterfaceAddress> interface_addresses();

}  // namespace velo::runtime
