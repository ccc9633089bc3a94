// SPDX-License-Identifier: Apache-2.0
// Discovery's named limits, each with its policy (docs/limits.md is made from these comments).
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
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
/// How long a Directory waits for a source's first snapshot. Policy: then snapshots come without
/// it, and what it says later comes as changes.
constexpr Duration source_patience = std::chrono::seconds(2);
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

/// Instances of services that a view (ServiceTable) knows. Policy: as peers_max.
constexpr std::size_t service_instances_max = 65'536;
/// Metadata bytes that a view of services holds in all. Policy: as view_address_bytes_max.
constexpr std::size_t view_metadata_bytes_max = std::size_t{16} << 20;
/// Length of a service's name, which becomes part of a file's name. Policy: a longer one is
/// Errc::invalid_argument, and ignored when others wrote it.
constexpr std::size_t service_name_bytes_max = 128;
/// Keys and values of one instance's metadata together. Policy: as service_name_bytes_max.
constexpr std::size_t service_metadata_bytes_max = 512;
/// etcd: servers that one object knows. Policy: more are Errc::invalid_argument.
constexpr std::size_t etcd_endpoints_max = 16;
/// etcd: one announcement's value. Policy: a longer one is not announced (Errc::invalid_argument)
/// and not read.
constexpr std::size_t etcd_value_bytes_max = std::size_t{64} << 10;
/// etcd: requests of one object that wait for an answer. Policy: more end as Errc::overloaded.
constexpr std::size_t etcd_requests_pending_max = 4096;
/// etcd: keys that one object announces. Policy: more end as Errc::overloaded.
constexpr std::size_t etcd_announcements_max = 65'536;
/// etcd: one answer, or one message of a watch, as it is held while it arrives. Policy: of a longer
/// answer fewer entries are asked for; a longer message ends the watch, which starts anew.
constexpr std::size_t etcd_message_bytes_max = std::size_t{8} << 20;
/// etcd: the head of an HTTP response. Policy: a longer one ends the connection.
constexpr std::size_t etcd_head_bytes_max = std::size_t{16} << 10;
/// etcd: entries of one answer or message. Policy: one with more is refused like a malformed one.
constexpr std::size_t etcd_entries_per_message_max = 65'536;
/// etcd: entries asked for at a time. Policy: the rest is asked for with further requests.
constexpr std::size_t etcd_page_entries = 512;
/// etcd: a token that a server gives to whom it has authenticated. Policy: a longer one is refused
/// like a malformed answer.
constexpr std::size_t etcd_token_bytes_max = std::size_t{8} << 10;
/// etcd: user name and password, each. Policy: longer ones are Errc::invalid_argument.
constexpr std::size_t etcd_secret_bytes_max = 1024;
/// etcd: keys written in one transaction; a server's own limit is 128. Policy: the rest goes into
/// further ones.
constexpr std::size_t etcd_batch_entries = 64;
/// etcd: bytes written in one transaction; a server's own limit is 1.5 MiB. Policy: the rest goes
/// into further ones.
constexpr std::size_t etcd_batch_bytes = std::size_t{512} << 10;

}  // namespace velo::discovery::limits
