// SPDX-License-Identifier: Apache-2.0
// Any bytes as a datagram of multicast discovery: what is accepted is written the same, and a
// listener that hears it holds what it may.

#include <velo/base/check.hpp>
#include <velo/discovery/backends/multicast/limits.hpp>
#include <velo/discovery/backends/multicast/message.hpp>

#include "assembler.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace velo::discovery_multicast_fuzz {

namespace multicast = discovery::multicast;

/// As it is, and as one of the parts that its bytes, taken for a row, are cut into.
static void check_part(const multicast::Statement& said) {
  VELO_CHECK(said.rows.empty() && !said.goodbye);
  VELO_CHECK(said.part->index < said.part->count && !said.part->bytes.empty());
  multicast::Assembler assembler;
  multicast::Row row;
  multicast::Statement other = said;
  using Outcome = multicast::Assembler::Outcome;
  for (std::uint8_t i = 0; i < said.part->count; ++i) {
    other.part->index = i;
    const Outcome outcome = assembler.take({}, {}, other, TimePoint(), row);
    VELO_CHECK(outcome == (i + 1 < said.part->count ? Outcome::incomplete : Outcome::broken) ||
               outcome == Outcome::whole);
    VELO_CHECK(assembler.bytes() <= multicast::limits::parts_bytes_per_source_max);
  }
  VELO_CHECK(assembler.bytes() == 0);
  const Result<multicast::Row> read = multicast::row_of(*said.part, said.part->bytes.span());
  if (!read) return;
  VELO_CHECK(read->key() == said.part->row);
}

/// However many begin, are replaced, and never become whole.
static void check_flood(const multicast::Statement& said) {
  using Outcome = multicast::Assembler::Outcome;
  constexpr std::uint32_t more_than_fit = 600;
  multicast::Assembler assembler;
  multicast::Row row;
  multicast::Statement other = said;
  other.part->index = 0;
  Outcome outcome = Outcome::incomplete;
  for (std::uint32_t i = 0; i < more_than_fit; ++i) {
    std::array<std::uint8_t, 16> id{1};
    std::memcpy(id.data() + 12, &i, sizeof i);
    other.part->row.second = InstanceId(id);
    other.sequence = 2;
    outcome = assembler.take({}, {}, other, TimePoint(), row);
    VELO_CHECK(assembler.bytes() <= multicast::limits::parts_bytes_per_source_max);
    if (outcome == Outcome::refused) break;
    ++other.part->digest;
    other.sequence = 1;
    VELO_CHECK(assembler.take({}, {}, other, TimePoint(), row) == Outcome::late);
    other.sequence = 3;
    VELO_CHECK(assembler.take({}, {}, other, TimePoint(), row) != Outcome::late);
  }
  VELO_CHECK(outcome == Outcome::refused);
  assembler.expire(TimePoint() + multicast::limits::parts_time_max);
  VELO_CHECK(assembler.bytes() == 0 && assembler.wake() == TimePoint::never());
}

/// The bytes are those of a row, whatever digest a stranger would have to find for them.
static void check_row(ByteSpan bytes) {
  const auto row = multicast::read_row(bytes);
  if (!row) return;
  VELO_CHECK(multicast::encoded_bytes(*row) == bytes.size());
  const auto parts = multicast::parts_of(*row);
  std::vector<std::byte> whole;
  for (const multicast::Part& part : parts) {
    whole.insert(whole.end(), part.bytes.span().begin(), part.bytes.span().end());
  }
  VELO_CHECK(std::ranges::equal(whole, bytes));
  if (bytes.size() <= multicast::limits::large_row_bytes_max) {
    VELO_CHECK(multicast::row_of(parts.front(), whole).value() == *row);
  }
}

static void check_datagram(ByteSpan datagram) {
  const auto received = multicast::decode(datagram);
  if (!received) return;
  VELO_CHECK(datagram.size() <= multicast::limits::datagram_bytes_max);
  std::vector<std::byte> again = multicast::encode(received->cluster, received->message);
  if (const auto* said = std::get_if<multicast::Statement>(&received->message)) {
    VELO_CHECK(received->signed_part.size() == again.size());
    VELO_CHECK(received->signature.size() == (said->is_signed ? 64U : 0U));
    again.insert(again.end(), received->signature.begin(), received->signature.end());
    if (said->part) {
      check_part(*said);
      check_flood(*said);
    }
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
  velo::discovery_multicast_fuzz::check_row(velo::as_bytes(text));
  return 0;
}
