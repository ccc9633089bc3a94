// SPDX-License-Identifier: Apache-2.0
// The multicast options of a UDP socket: groups, interface, hops, loopback.
// Threading: before the socket is used by others.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/network.hpp>

namespace velo::runtime {

/// Errc::invalid_argument for a group of
/// another family, an address that is no group's, or no interface.
Result<void> set_multicast(int fd, bool v6, const DatagramOptions& options);

}  // namespace velo::runtime
