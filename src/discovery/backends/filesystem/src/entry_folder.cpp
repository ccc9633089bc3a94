// SPDX-License-Identifier: Apache-2.0
// Announcements as files. The protocol between processes:
//   An owner makes and locks <stem>.<number>.lock, then writes <stem>.json, which names the
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

static void log_ignored(const std::string& stem, const Error& error) {
  VELO_LOG_WARN(discovery, "an announcement is ignored", {"of", stem}, {"error", error});
}

}  // namespace entry_folder_detail

// ---- the owner's side ----

template <class Subject>
Result<std::unique_ptr<FileLock>> EntryFolder<Subject>::lock_new(Entry& entry) {
  for (int attempt = 1;; ++attempt) {
    entry.announcement = world_.random().next();
    auto lock = files_.try_lock(
        in_folder(filesystem_lock_name<Subject>(Subject::key(entry.info), entry.announcement)));
    if (lock || !lock.error().is(velo::Errc::overloaded) ||
        attempt == entry_folder_detail::attempts_max) {
      return lock;
    }
  }
}

template <class Subject>
Result<void> EntryFolder<Subject>::write(const Entry& entry) {
  const std::string contents = encode_filesystem_entry(entry);
  if (contents.size() > limits::file_bytes_max) {
    return velo::make_error(velo::Errc::invalid_argument,
                            fmt::format("an announcement of {} bytes; at most {} are allowed",
                                        contents.size(), limits::file_bytes_max));
  }
  return files_.write_atomic(in_folder(filesystem_entry_name<Subject>(Subject::key(entry.info))),
                             as_bytes(contents));
}

template <class Subject>
auto EntryFolder<Subject>::hold(const Info& self) -> Result<Held> {
  if (Result<void> made = files_.create_directories(path_); !made) return std::move(made).error();
  Held held{Entry{cluster_, 0, self}, nullptr};
  auto lock = lock_new(held.entry);
  if (!lock) return std::move(lock).error();
  held.lock = std::move(*lock);
  if (Result<void> written = write(held.entry); !written) {
    const Result<void> removed = files_.remove(
        in_folder(filesystem_lock_name<Subject>(Subject::key(self), held.entry.announcement)));
    static_cast<void>(removed);
    return std::move(written).error();
  }
  return held;
}

template <class Subject>
Result<void> EntryFolder<Subject>::rewrite(Held& held, const Info& self) {
  Entry entry{cluster_, held.entry.announcement, self};
  if (Result<void> written = write(entry); !written) return written;
  held.entry = std::move(entry);
  return {};
}

template <class Subject>
void EntryFolder<Subject>::withdraw(Held held) {
  const Key key = Subject::key(held.entry.info);
  const Result<Entry> current = read(key);
  Result<void> removed;
  if (!current || current->announcement == held.entry.announcement) {
    removed = files_.remove(in_folder(filesystem_entry_name<Subject>(key)));
  }
  if (removed) {
    removed = files_.remove(in_folder(filesystem_lock_name<Subject>(key, held.entry.announcement)));
  }
  if (!removed) {
    VELO_LOG_INFO(discovery, "an announcement's files could not be removed; readers will",
                  {"of", filesystem_stem<Subject>(key)}, {"error", removed.error()});
  }
}

template <class Subject>
Result<void> EntryFolder<Subject>::look_after(Held& held) {
  const Key key = Subject::key(held.entry.info);
  const Result<Entry> current = read(key);
  if (!current && current.error().is(velo::Errc::io)) return current.error();
  const bool mine = current && current->announcement == held.entry.announcement;
  if (current && !mine) return {};
  if (mine) {
    const auto lock =
        files_.try_lock(in_folder(filesystem_lock_name<Subject>(key, held.entry.announcement)));
    if (!lock) return {};
  }
  VELO_LOG_WARN(discovery, "an announcement's files were gone, and are written again",
                {"of", filesystem_stem<Subject>(key)});
  Result<Held> again = hold(held.entry.info);
  if (!again) return std::move(again).error();
  std::swap(held, *again);
  const Result<void> removed =
      files_.remove(in_folder(filesystem_lock_name<Subject>(key, again->entry.announcement)));
  static_cast<void>(removed);
  return {};
}

// ---- the reader's side ----

template <class Subject>
auto EntryFolder<Subject>::read(const Key& key) -> Result<Entry> {
  Result<Bytes> contents =
      files_.read(in_folder(filesystem_entry_name<Subject>(key)), limits::file_bytes_max);
  if (!contents) {
    if (!contents.error().is(velo::Errc::overloaded)) return std::move(contents).error();
    return make_error(Errc::malformed_entry,
                      fmt::format("longer than {} bytes", limits::file_bytes_max));
  }
  Result<Entry> entry = decode_filesystem_entry<Subject>(*contents);
  if (!entry) return entry;
  if (Subject::key(entry->info) != key) {
    return make_error(Errc::foreign_entry,
                      "of " + filesystem_stem<Subject>(Subject::key(entry->info)));
  }
  if (entry->cluster != cluster_) {
    return make_error(Errc::foreign_entry, "of another cluster");
  }
  return entry;
}

template <class Subject>
bool EntryFolder<Subject>::owner_lives(const Entry& entry) {
  const Key key = Subject::key(entry.info);
  const std::string lock_path = in_folder(filesystem_lock_name<Subject>(key, entry.announcement));
  const auto lock = files_.try_lock(lock_path);
  // Without permission to lock, nothing is known of the owner, and its file counts.
  if (!lock) return !lock.error().is(velo::Errc::not_found);
  const Result<Entry> current = read(key);
  Result<void> removed;
  if (current && current->announcement == entry.announcement) {
    removed = files_.remove(in_folder(filesystem_entry_name<Subject>(key)));
  }
  if (removed) removed = files_.remove(lock_path);
  if (removed) {
    VELO_LOG_INFO(discovery, "removed what a dead process left",
                  {"of", filesystem_stem<Subject>(key)});
  } else {
    VELO_LOG_DEBUG(discovery, "what a dead process left stays", {"error", removed.error()});
  }
  return false;
}

template <class Subject>
auto EntryFolder<Subject>::find(const Key& key) -> Result<Info> {
  for (int attempt = 1;; ++attempt) {
    Result<Entry> entry = read(key);
    if (!entry) {
      const bool refused = entry.error().code().room == Room::discovery;
      if (!refused) return std::move(entry).error();
      entry_folder_detail::log_ignored(filesystem_stem<Subject>(key), entry.error());
      break;
    }
    if (owner_lives(*entry)) return std::move(entry->info);
    // It may have announced itself anew between the two looks.
    if (attempt == entry_folder_detail::attempts_max) break;
  }
  return velo::make_error(velo::Errc::not_found, filesystem_stem<Subject>(key));
}

template <class Subject>
auto EntryFolder<Subject>::find_if(const std::function<bool(const Key&)>& wanted) -> Result<Info> {
  if (Result<void> read = refresh(); !read) return std::move(read).error();
  for (auto& [key, known] : known_) {
    if (known.valid && wanted(key) && probe(known)) return known.entry.info;
  }
  return velo::make_error(velo::Errc::not_found, "nobody like that is announced");
}

template <class Subject>
auto EntryFolder<Subject>::list() -> Result<std::vector<Info>> {
  return poll(SIZE_MAX);
}

template <class Subject>
auto EntryFolder<Subject>::poll(std::size_t probes) -> Result<std::vector<Info>> {
  if (Result<void> read = refresh(); !read) return std::move(read).error();
  std::vector<Info> peers;
  // Those that were never probed always are, the others from where the last poll left off.
  auto turn = known_.upper_bound(last_probed_);
  for (std::size_t left = std::min(probes, known_.size()); left > 0; --left, ++turn) {
    if (turn == known_.end()) turn = known_.begin();
    last_probed_ = turn->first;
    turn->second.probed = false;
  }
  for (auto& [instance, known] : known_) {
    if (known.valid && !known.probed) probe(known);
    if (known.valid && !known.dead) peers.push_back(known.entry.info);
  }
  return peers;
}

template <class Subject>
bool EntryFolder<Subject>::probe(Known& known) {
  known.probed = true;
  if (!known.dead) known.dead = !owner_lives(known.entry);
  return !known.dead;
}

template <class Subject>
Result<void> EntryFolder<Subject>::refresh() {
  Result<std::vector<FileInfo>> infos = files_.list(path_);
  if (!infos) {
    if (!infos.error().is(velo::Errc::not_found)) return std::move(infos).error();
    known_.clear();  // nobody has announced anything yet
    return {};
  }
  std::map<Key, Known> next;
  std::uint64_t bytes = 0;
  std::size_t left_out = 0;
  for (const FileInfo& info : *infos) {
    const auto key = parse_filesystem_entry_name<Subject>(info.name);
    if (!key || info.is_directory) continue;
    const std::uint64_t size = std::min<std::uint64_t>(info.size, limits::file_bytes_max);
    if (next.size() >= limits::peers_max || bytes + size > limits::view_address_bytes_max) {
      ++left_out;
      continue;
    }
    bytes += size;
    refresh_file(info, *key, next);
  }
  known_.swap(next);
  if (std::exchange(left_out_, left_out) != left_out && left_out > 0) {
    VELO_LOG_WARN(discovery, "the folder has too many announcements", {"left_out", left_out});
  }
  collect_locks(*infos);
  return {};
}

template <class Subject>
void EntryFolder<Subject>::refresh_file(const FileInfo& info, const Key& key,
                                        std::map<Key, Known>& next) {
  const TimePoint now = world_.clock().now();
  Known known;
  const auto before = known_.find(key);
  bool unchanged = false;
  if (before != known_.end()) {
    unchanged = before->second.size == info.size &&
                before->second.modified == info.modified_unix_nanoseconds;
    known = std::move(before->second);
    if (unchanged && known.settled) {
      next.emplace(key, std::move(known));
      return;
    }
  }
  Result<Entry> entry = read(key);
  if (!entry && entry.error().code().room == Room::discovery) {
    if (!unchanged || known.valid)
      entry_folder_detail::log_ignored(filesystem_stem<Subject>(key), entry.error());
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
  next.emplace(key, std::move(known));
}

template <class Subject>
void EntryFolder<Subject>::collect_locks(const std::vector<FileInfo>& infos) {
  const std::int64_t now = world_.clock().wall_now().unix_nanoseconds;
  int tried = 0;
  for (const FileInfo& info : infos) {
    const auto name = parse_filesystem_lock_name<Subject>(info.name);
    if (!name || now - info.modified_unix_nanoseconds < entry_folder_detail::lock_age_nanoseconds) {
      continue;
    }
    const auto known = known_.find(name->key);
    if (known != known_.end() &&
        (!known->second.valid || known->second.entry.announcement == name->announcement)) {
      continue;
    }
    if (++tried > entry_folder_detail::locks_collected_max) return;
    owner_lives(Entry{cluster_, name->announcement, Subject::bare(name->key)});
  }
}

template class EntryFolder<PeerSubject>;
template class EntryFolder<ServiceSubject>;

}  // namespace velo::discovery
