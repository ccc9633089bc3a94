// SPDX-License-Identifier: Apache-2.0
// Any bytes as a datagram of multicast discovery: what is accepted is written the same, and a
// listener that hears it holds what it may.

#include <velo/base/check.hpp>
#include <velo/discovery/backends/multicast/limits.hpp>
#include <velo/discovery/backends/multicast/message.hpp>

#include <algorithm>

namespace velo::discovery_multicast_fuzz {

namespace multicast = discovery::multicast;

static void check_datagram(ByteSpan datagram) {
  const auto received = multicast::decode(datagram);
  if (!received) return;
  VELO_CHECK(datagram.size() <= multicast::limits::datagram_bytes_max);
  std::vector<std::byte> again = multicast::encode(received->cluster, received->message);
  if (const auto* said = std::get_if<multicast::Statement>(&received->message)) {
    VELO_CHECK(received->signed_part.size() == again.size());
    VELO_CHECK(received->signature.size() == (said->is_signed ? 64U : 0U));
    again.insert(again.end(), received->signature.begin(), received->signature.end());
    for (const multicast::Row& row : said->rows) {
      VELO_CHECK(row.id.valid());
      VELO_CHECK(multicast::encoded_bytes(row) <= datagram.size());
      static_cast<void>(multicast::may_own(said->key, row.id));
    }
  }
  VELO_CHECK(std::ranges::equal(again, datagram));
}

}  // namespace velo::discovery_multicast_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  velo::discovery_multicast_fuzz::check_datagram(velo::as_bytes(text));
  return 0;
}
