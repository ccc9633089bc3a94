// SPDX-License-Identifier: Apache-2.0
// The limits of multicast discovery, each with its policy (docs/limits.md is made from these
// comments). Whatever arrives before it is trusted costs at most what these say.
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>

namespace velo::discovery::multicast::limits {

/// One datagram of multicast discovery. Policy: a larger one is ignored; a row that does not fit
/// into one is said in parts.
constexpr std::size_t datagram_bytes_max = 1200;
/// A row in parts. Policy: a longer one is not announced (Errc::invalid_argument), and its parts
/// are ignored.
constexpr std::size_t large_row_bytes_max = std::size_t{16} << 10;
/// Rows in parts that one object announces. Policy: more are Errc::overloaded.
constexpr std::size_t own_large_rows_max = 64;
/// Parts of one row. Policy: one of more parts is ignored.
constexpr std::size_t parts_max = 24;
/// Parts of rows that are not whole yet, with what holds them. Policy: further ones are ignored and
/// counted; what is missing comes with the announcer's next period.
constexpr std::size_t parts_bytes_max = std::size_t{4} << 20;
/// Of these, from one address. Policy: as parts_bytes_max.
constexpr std::size_t parts_bytes_per_source_max = std::size_t{256} << 10;
/// How long the parts of a row are kept for those that are missing. Policy: then they are dropped.
constexpr Duration parts_time_max = std::chrono::seconds(30);
/// Bytes of the rows that are known from others. Policy: as rows_max.
constexpr std::size_t rows_bytes_max = std::size_t{64} << 20;
/// Of these, from one address. Policy: as rows_max.
constexpr std::size_t rows_bytes_per_source_max = std::size_t{16} << 20;
/// Rows (peers and instances of services) that are known from others. Policy: further ones are
/// ignored and counted until others leave.
constexpr std::size_t rows_max = 65'536;
/// Rows that one object announces. Policy: more are Errc::overloaded.
constexpr std::size_t own_rows_max = 8'192;
/// Announcers (runs of a discovery object) that are remembered. Policy: further ones are ignored
/// and counted until others are forgotten; known ones are never put out.
constexpr std::size_t announcers_max = 16'384;
/// Announcers that come from one address. Policy: as announcers_max.
constexpr std::size_t announcers_per_source_max = 4'096;
/// Rows that come from one address. Policy: as rows_max.
constexpr std::size_t rows_per_source_max = 16'384;
/// Datagrams per second from one address, twice that in a burst. Policy: more are ignored unread.
constexpr std::size_t source_datagrams_per_second_max = 1'000;
/// Addresses whose rate is counted apart. Policy: the others share one rate.
constexpr std::size_t sources_max = 4'096;
/// Signatures that are checked per second, of all announcers; new ones may use up to half. Policy:
/// what is beyond is ignored, and comes again with its announcer's next period.
constexpr std::size_t verifications_per_second_max = 2'000;
/// Keys whose certificates are known or asked for (mode "trusted"). Policy: further ones are
/// ignored until others are forgotten.
constexpr std::size_t keys_max = 16'384;
/// Answers to questions about one row, and refreshed periods on demand, per second. Policy:
/// further questions are not answered; the asker asks again, or waits for the period.
constexpr std::size_t answers_per_second_max = 200;
/// Operations of one object that wait. Policy: more end as Errc::overloaded.
constexpr std::size_t operations_pending_max = 4'096;
/// Interfaces (of both families) that are joined. Policy: further ones are left out and logged.
constexpr std::size_t interfaces_max = 64;
/// How far the clock of an announcer may be from one's own. Policy: what says to be from another
/// time is ignored and counted.
constexpr Duration clock_skew_max = std::chrono::seconds(30);

}  // namespace velo::discovery::multicast::limits
