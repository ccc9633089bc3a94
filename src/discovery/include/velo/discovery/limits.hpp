// SPDX-License-Identifier: Apache-2.0
// Discovery's named limits, each with what happens when it is reached.
// Threading: constants.
#pragma once

#include <cstddef>

namespace velo::discovery::limits {

/// Peers that a view (PeerTable) or a shared folder's reader knows. More are refused and counted; a
/// refused peer gets in when its source reports it again after others left.
constexpr std::size_t peers_max = 65'536;
/// Address bytes that a view holds in all; as above. One peer's own limit is
/// codec::worker_address_bytes_max.
constexpr std::size_t view_address_bytes_max = std::size_t{64} << 20;
/// Sources that one view merges; more is a programmer's error.
constexpr std::size_t sources_max = 64;
/// Changes queued for one watcher. More: they are dropped, and the watcher gets one resync instead.
constexpr std::size_t watcher_pending_max = 1024;
/// One announcement's file. A longer one is not announced (Errc::invalid_argument) and not read.
constexpr std::size_t file_bytes_max = std::size_t{64} << 10;
/// Lookups and announcements of one object that wait for the disk. More: Errc::overloaded.
constexpr std::size_t file_operations_pending_max = 4096;
/// Of a cluster's name, which becomes a folder's name. Longer is Errc::invalid_argument.
constexpr std::size_t cluster_name_bytes_max = 128;

}  // namespace velo::discovery::limits
