// SPDX-License-Identifier: Apache-2.0
// How people see a message id.

#include <velo/messenger/message_id.hpp>

#include <velo/codec/base58.hpp>

#include "protocol.hpp"

#include <array>

namespace velo {

std::string MessageId::to_string() const {
  std::array<std::byte, messenger::protocol::id_bytes> wire;
  messenger::protocol::encode_id(*this, wire);
  return codec::to_base58(wire);
}

}  // namespace velo
