// SPDX-License-Identifier: Apache-2.0
// Discovery's named limits, each with its policy (docs/limits.md is made from these comments).
// Threading: constants.
#pragma once

#include <cstddef>

namespace velo::discovery::limits {

/// Peers that a view (PeerTable) or a shared folder's reader knows. Policy: more are refused and
/// counted; a refused peer gets in when its source reports it again after others left.
constexpr std::size_t peers_max = 65'536;
/// Address bytes that a view holds in all; one peer's own limit is codec::worker_address_bytes_max.
/// Policy: further peers are refused and counted, as with peers_max.
constexpr std::size_t view_address_bytes_max = std::size_t{64} << 20;
/// Sources that one view merges. Policy: more fail the build of the node with invalid_argument.
constexpr std::size_t sources_max = 64;
/// Changes queued for one watcher. Policy: more are dropped, and the watcher gets one resync
/// instead.
constexpr std::size_t watcher_pending_max = 1024;
/// One announcement's file. Policy: a longer one is not announced (Errc::invalid_argument) and not
/// read.
constexpr std::size_t file_bytes_max = std::size_t{64} << 10;
/// Lookups and announcements of one object that wait for the disk. Policy: more end as
/// Errc::overloaded.
constexpr std::size_t file_operations_pending_max = 4096;
/// Length of a cluster's name, which becomes a folder's name. Policy: a longer one is
/// Errc::invalid_argument.
constexpr std::size_t cluster_name_bytes_max = 128;

}  // namespace velo::discovery::limits
