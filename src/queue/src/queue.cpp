// SPDX-License-Identifier: Apache-2.0
// What no queue takes.

#include <velo/queue/queue.hpp>

#include <string>

namespace velo::queue {

Result<void> check_item(const Bytes& payload, const SendOptions& options) {
  if (payload.size() > limits::payload_bytes_max) {
    return make_error(Errc::too_large, std::to_string(payload.size()) + " bytes");
  }
  if (options.id.size() > limits::id_bytes_max) {
    return velo::make_error(velo::Errc::invalid_argument, "an item's id is too long");
  }
  std::size_t headers = 0;
  for (const auto& [name, value] : options.headers) headers += name.size() + value.size();
  if (headers > limits::header_bytes_max) {
    return velo::make_error(velo::Errc::invalid_argument, "an item's headers are too long");
  }
  return {};
}

}  // namespace velo::queue
