// SPDX-License-Identifier: Apache-2.0
// What multicast discovery heard, and why it believed or ignored it.
// Threading: a value.
#pragma once

#include <cstddef>
#include <cstdint>

namespace velo::discovery::multicast {

struct Counters {
  std::uint64_t datagrams = 0;  ///< heard; each of the rest is a part of them
  std::uint64_t accepted = 0;   ///< statements that were believed
  std::uint64_t malformed = 0;
  std::uint64_t foreign = 0;     ///< of another cluster
  std::uint64_t over_rate = 0;   ///< of a source that says too much
  std::uint64_t wrong_time = 0;  ///< farther than clock_skew_max from now
  std::uint64_t repeated = 0;    ///< heard before: another interface's copy, or a replay
  std::uint64_t unchecked = 0;   ///< no time left to check the signature
  std::uint64_t forged = 0;      ///< a wrong signature, or none where one is needed
  std::uint64_t untrusted = 0;   ///< no certificate that is believed
  std::uint64_t refused = 0;     ///< a table is full
  std::uint64_t usurped = 0;     ///< rows of an instance that belongs to another key
  std::uint64_t broken = 0;      ///< parts that do not make up what they say

  // How much is held now.
  std::size_t announcers = 0;
  std::size_t rows = 0;
  std::size_t rows_bytes = 0;   ///< as they are sent
  std::size_t parts_bytes = 0;  ///< of rows that are not whole
  std::size_t sources = 0;
  std::size_t keys = 0;

  Counters() = default;
};

}  // namespace velo::discovery::multicast
