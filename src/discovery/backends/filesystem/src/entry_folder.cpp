// SPDX-License-Identifier: Apache-2.0
// Announcements as files. The protocol between processes:
//   An owner makes and locks <instance>.<number>.lock, then writes <instance>.json, which names the
//   number. To withdraw it removes both and then lets go. So a file whose lock can be taken is that
//   of a process that died, which is the only kind of file that anybody but its owner removes; and
//   as numbers are random, nobody else ever needs the name of that lock.

#include "entry_folder.hpp"

#include <velo/base/log.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace velo::discovery {
namespace entry_folder_detail {

/// Times of modification may be as coarse as two seconds, so a file with a new one is read again
/// until this has passed.
constexpr Duration settle_time = std::chrono::seconds(3);
/// A lock without an entry may be that of an owner about to write it; one older than this is not.
constexpr std::int64_t lock_age_nanoseconds = 60'000'000'000;
constexpr int locks_collected_max = 16;
constexpr int attempts_max = 4;

static void log_ignored(const InstanceId& id, const Error& error) {
  VELO_LOG_WARN(discovery, "an announcement is ignored", {"instance", id.to_string()},
                {"error", error});
}

}  // namespace entry_folder_detail

// ---- the owner's side ----

Result<std::unique_ptr<FileLock>> EntryFolder::lock_new(FilesystemEntry& entry) {
  for (int attempt = 1;; ++attempt) {
    entry.announcement = world_.random().next();
    auto lock = files_.try_lock(
        in_folder(filesystem_lock_name(entry.peer.instance_id, entry.announcement)));
    if (lock || !lock.error().is(velo::Errc::overloaded) ||
        attempt == entry_folder_detail::attempts_max) {
      return lock;
    }
  }
}

Result<void> EntryFolder::write(const FilesystemEntry& entry) {
  const std::string contents = encode_filesystem_entry(entry);
  if (contents.size() > limits::file_bytes_max) {
    return velo::make_error(velo::Errc::invalid_argument,
                            fmt::format("an announcement of {} bytes; at most {} are allowed",
                                        contents.size(), limits::file_bytes_max));
  }
  return files_.write_atomic(in_folder(filesystem_entry_name(entry.peer.instance_id)),
                             as_bytes(contents));
}

Result<HeldEntry> EntryFolder::hold(const PeerInfo& self) {
  if (Result<void> made = files_.create_directories(path_); !made) return std::move(made).error();
  HeldEntry held{FilesystemEntry{cluster_, 0, self}, nullptr};
  auto lock = lock_new(held.entry);
  if (!lock) return std::move(lock).error();
  held.lock = std::move(*lock);
  if (Result<void> written = write(held.entry); !written) {
    static_cast<void>(
        files_.remove(in_folder(filesystem_lock_name(self.instance_id, held.entry.announcement))));
    return std::move(written).error();
  }
  return held;
}

Result<void> EntryFolder::rewrite(HeldEntry& held, const PeerInfo& self) {
  FilesystemEntry entry{cluster_, held.entry.announcement, self};
  if (Result<void> written = write(entry); !written) return written;
  held.entry = std::move(entry);
  return {};
}

void EntryFolder::withdraw(HeldEntry held) {
  const InstanceId& id = held.entry.peer.instance_id;
  const Result<FilesystemEntry> current = read(id);
  Result<void> removed;
  if (!current || current->announcement == held.entry.announcement) {
    removed = files_.remove(in_folder(filesystem_entry_name(id)));
  }
  if (removed) {
    removed = files_.remove(in_folder(filesystem_lock_name(id, held.entry.announcement)));
  }
  if (!removed) {
    VELO_LOG_INFO(discovery, "an announcement's files could not be removed; readers will",
                  {"instance", id.to_string()}, {"error", removed.error()});
  }
}

Result<void> EntryFolder::look_after(HeldEntry& held) {
  const InstanceId& id = held.entry.peer.instance_id;
  const Result<FilesystemEntry> current = read(id);
  if (!current && current.error().is(velo::Errc::io)) return current.error();
  const bool mine = current && current->announcement == held.entry.announcement;
  if (current && !mine) return {};
  if (mine) {
    const auto lock = files_.try_lock(in_folder(filesystem_lock_name(id, held.entry.announcement)));
    if (!lock) return {};
  }
  VELO_LOG_WARN(discovery, "an announcement's files were gone, and are written again",
                {"instance", id.to_string()});
  Result<HeldEntry> again = hold(held.entry.peer);
  if (!again) return std::move(again).error();
  std::swap(held, *again);
  static_cast<void>(files_.remove(in_folder(filesystem_lock_name(id, again->entry.announcement))));
  return {};
}

// ---- the reader's side ----

Result<FilesystemEntry> EntryFolder::read(const InstanceId& id) {
  Result<Bytes> contents =
      files_.read(in_folder(filesystem_entry_name(id)), limits::file_bytes_max);
  if (!contents) {
    if (!contents.error().is(velo::Errc::overloaded)) return std::move(contents).error();
    return make_error(Errc::malformed_entry,
                      fmt::format("longer than {} bytes", limits::file_bytes_max));
  }
  Result<FilesystemEntry> entry = decode_filesystem_entry(*contents);
  if (!entry) return entry;
  if (entry->peer.instance_id != id) {
    return make_error(Errc::foreign_entry, "of instance " + entry->peer.instance_id.to_string());
  }
  if (entry->cluster != cluster_) {
    return make_error(Errc::foreign_entry, "of another cluster");
  }
  return entry;
}

bool EntryFolder::owner_lives(const FilesystemEntry& entry) {
  const InstanceId& id = entry.peer.instance_id;
  const std::string lock_path = in_folder(filesystem_lock_name(id, entry.announcement));
  const auto lock = files_.try_lock(lock_path);
  // Without permission to lock, nothing is known of the owner, and its file counts.
  if (!lock) return !lock.error().is(velo::Errc::not_found);
  const Result<FilesystemEntry> current = read(id);
  Result<void> removed;
  if (current && current->announcement == entry.announcement) {
    removed = files_.remove(in_folder(filesystem_entry_name(id)));
  }
  if (removed) removed = files_.remove(lock_path);
  if (removed) {
    VELO_LOG_INFO(discovery, "removed what a dead process left", {"instance", id.to_string()});
  } else {
    VELO_LOG_DEBUG(discovery, "what a dead process left stays", {"error", removed.error()});
  }
  return false;
}

Result<PeerInfo> EntryFolder::find(const InstanceId& id) {
  for (int attempt = 1;; ++attempt) {
    Result<FilesystemEntry> entry = read(id);
    if (!entry) {
      const bool refused = entry.error().code().room == Room::discovery;
      if (!refused) return std::move(entry).error();
      entry_folder_detail::log_ignored(id, entry.error());
      break;
    }
    if (owner_lives(*entry)) return std::move(entry->peer);
    // It may have announced itself anew between the two looks.
    if (attempt == entry_folder_detail::attempts_max) break;
  }
  return velo::make_error(velo::Errc::not_found, id.to_string());
}

Result<PeerInfo> EntryFolder::find(WorkerId id) {
  if (Result<void> read = refresh(); !read) return std::move(read).error();
  for (auto& [instance, known] : known_) {
    if (known.valid && instance.worker_id() == id && probe(known)) return known.entry.peer;
  }
  return velo::make_error(velo::Errc::not_found, id.to_string());
}

Result<std::vector<PeerInfo>> EntryFolder::list() { return poll(SIZE_MAX); }

Result<std::vector<PeerInfo>> EntryFolder::poll(std::size_t probes) {
  if (Result<void> read = refresh(); !read) return std::move(read).error();
  std::vector<PeerInfo> peers;
  // Those that were never probed always are, the others from where the last poll left off.
  auto turn = known_.upper_bound(last_probed_);
  for (std::size_t left = std::min(probes, known_.size()); left > 0; --left, ++turn) {
    if (turn == known_.end()) turn = known_.begin();
    last_probed_ = turn->first;
    turn->second.probed = false;
  }
  for (auto& [instance, known] : known_) {
    if (known.valid && !known.probed) probe(known);
    if (known.valid && !known.dead) peers.push_back(known.entry.peer);
  }
  return peers;
}

bool EntryFolder::probe(Known& known) {
  known.probed = true;
  if (!known.dead) known.dead = !owner_lives(known.entry);
  return !known.dead;
}

Result<void> EntryFolder::refresh() {
  Result<std::vector<FileInfo>> infos = files_.list(path_);
  if (!infos) {
    if (!infos.error().is(velo::Errc::not_found)) return std::move(infos).error();
    known_.clear();  // nobody has announced anything yet
    return {};
  }
  std::map<InstanceId, Known> next;
  std::uint64_t bytes = 0;
  std::size_t left_out = 0;
  for (const FileInfo& info : *infos) {
    const auto id = parse_filesystem_entry_name(info.name);
    if (!id || info.is_directory) continue;
    const std::uint64_t size = std::min<std::uint64_t>(info.size, limits::file_bytes_max);
    if (next.size() >= limits::peers_max || bytes + size > limits::view_address_bytes_max) {
      ++left_out;
      continue;
    }
    bytes += size;
    refresh_file(info, *id, next);
  }
  known_.swap(next);
  if (std::exchange(left_out_, left_out) != left_out && left_out > 0) {
    VELO_LOG_WARN(discovery, "the folder has too many announcements", {"left_out", left_out});
  }
  collect_locks(*infos);
  return {};
}

void EntryFolder::refresh_file(const FileInfo& info, const InstanceId& id,
                               std::map<InstanceId, Known>& next) {
  const TimePoint now = world_.clock().now();
  Known known;
  const auto before = known_.find(id);
  bool unchanged = false;
  if (before != known_.end()) {
    unchanged = before->second.size == info.size &&
                before->second.modified == info.modified_unix_nanoseconds;
    known = std::move(before->second);
    if (unchanged && known.settled) {
      next.emplace(id, std::move(known));
      return;
    }
  }
  Result<FilesystemEntry> entry = read(id);
  if (!entry && entry.error().code().room == Room::discovery) {
    if (!unchanged || known.valid) entry_folder_detail::log_ignored(id, entry.error());
    known.valid = false;
  } else if (!entry) {
    if (entry.error().is(velo::Errc::not_found)) return;
    if (!known.valid) return;  // unreadable now, but what was read before still counts
  } else {
    if (!known.valid || known.entry.announcement != entry->announcement) {
      known.probed = false;
      known.dead = false;
    }
    known.valid = true;
    known.entry = std::move(*entry);
  }
  known.size = info.size;
  known.modified = info.modified_unix_nanoseconds;
  if (!unchanged) known.seen = now;
  known.settled = now - known.seen >= entry_folder_detail::settle_time;
  next.emplace(id, std::move(known));
}

void EntryFolder::collect_locks(const std::vector<FileInfo>& infos) {
  const std::int64_t now = world_.clock().wall_now().unix_nanoseconds;
  int tried = 0;
  for (const FileInfo& info : infos) {
    const auto name = parse_filesystem_lock_name(info.name);
    if (!name || now - info.modified_unix_nanoseconds < entry_folder_detail::lock_age_nanoseconds) {
      continue;
    }
    const auto known = known_.find(name->instance);
    if (known != known_.end() &&
        (!known->second.valid || known->second.entry.announcement == name->announcement)) {
      continue;
    }
    if (++tried > entry_folder_detail::locks_collected_max) return;
    owner_lives(FilesystemEntry{cluster_, name->announcement, PeerInfo{name->instance, {}}});
  }
}

}  // namespace velo::discovery
