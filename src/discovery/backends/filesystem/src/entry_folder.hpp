// SPDX-License-Identifier: Apache-2.0
// The folder of announcements as its users see it: the owner's side (hold, withdraw, look after)
// and the reader's side (find, list, poll), both with blocking file calls. Knows no threads, timers
// or watchers; see filesystem.cpp.
// Threading: belongs to one owner at a time.
#pragma once

#include <velo/base/files.hpp>
#include <velo/base/world.hpp>
#include <velo/discovery/backends/filesystem/entry.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace velo::discovery {

/// One's own announcement, held while this lives and withdraw() was not called.
struct HeldEntry {
  FilesystemEntry entry;
  std::unique_ptr<FileLock> lock;
};

class EntryFolder {
 public:
  EntryFolder(World& world, std::string path, std::string cluster)
      : world_(world),
        files_(world.files()),
        path_(std::move(path)),
        cluster_(std::move(cluster)) {}

  // ---- the owner's side ----

  /// Takes a lock of its own and writes the file.
  Result<HeldEntry> hold(const PeerInfo& self);
  /// Writes the file anew, under the same lock.
  Result<void> rewrite(HeldEntry& held, const PeerInfo& self);
  void withdraw(HeldEntry held);
  /// Writes file and lock again if either is gone. Leaves the file of somebody else alone.
  Result<void> look_after(HeldEntry& held);

  // ---- the reader's side ----

  Result<PeerInfo> find(const InstanceId& id);
  Result<PeerInfo> find(WorkerId id);
  Result<std::vector<PeerInfo>> list();
  /// As list(), but of the entries that the last poll had only `probes` have their owners probed,
  /// in turn.
  Result<std::vector<PeerInfo>> poll(std::size_t probes);

 private:
  /// What is known of one file from the last time it was read.
  struct Known {
    std::uint64_t size = 0;
    std::int64_t modified = 0;
    TimePoint seen;        ///< when these were first found
    bool settled = false;  ///< it cannot change any more without another time of modification
    bool valid = false;    ///< entry is set; otherwise the file was refused
    bool probed = false;
    bool dead =
        false;  ///< its owner is; for good, since an announcement's number is never used again
    FilesystemEntry entry;
  };

  std::string in_folder(const std::string& name) const { return path_ + '/' + name; }
  Result<std::unique_ptr<FileLock>> lock_new(FilesystemEntry& entry);
  Result<void> write(const FilesystemEntry& entry);
  Result<FilesystemEntry> read(const InstanceId& id);
  /// False once: the entry is then removed, unless its instance has another one meanwhile.
  bool owner_lives(const FilesystemEntry& entry);
  bool probe(Known& known);
  Result<void> refresh();
  void refresh_file(const FileInfo& info, const InstanceId& id, std::map<InstanceId, Known>& next);
  void collect_locks(const std::vector<FileInfo>& infos);

  World& world_;
  Files& files_;
  std::string path_;
  std::string cluster_;
  std::map<InstanceId, Known> known_;
  InstanceId last_probed_;
  std::size_t left_out_ = 0;
};

}  // namespace velo::discovery
