// SPDX-License-Identifier: Apache-2.0
// The security of connections whose transport has nothing to say about it.

#include <velo/transport/connection.hpp>

namespace velo::transport {

const ConnectionSecurity& Connection::security() const noexcept {
  static const ConnectionSecurity none;
  return none;
}

}  // namespace velo::transport
