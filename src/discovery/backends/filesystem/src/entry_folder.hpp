// SPDX-License-Identifier: Apache-2.0
// A folder of announcements (of peers, or of services) as its users see it: the owner's side (hold,
// withdraw, look after) and the reader's side (find, list, poll), both with blocking file calls.
// Knows no threads, timers or watchers; see filesystem.cpp.
// Threading: belongs to one owner at a time.
#pragma once

#include <velo/base/files.hpp>
#include <velo/base/world.hpp>
#include <velo/discovery/backends/filesystem/entry.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace velo::discovery {

/// One's own announcement, held while this lives and withdraw() was not called.
template <class Subject>
struct HeldEntry {
  FilesystemEntry<Subject> entry;
  std::unique_ptr<FileLock> lock;
};

template <class Subject>
class EntryFolder {
 public:
  using Key = typename Subject::Key;
  using Info = typename Subject::Info;
  using Entry = FilesystemEntry<Subject>;
  using Held = HeldEntry<Subject>;

  EntryFolder(World& world, std::string path, std::string cluster)
      : world_(world),
        files_(world.files()),
        path_(std::move(path)),
        cluster_(std::move(cluster)) {}

  // ---- the owner's side ----

  /// Takes a lock of its own and writes the file.
  Result<Held> hold(const Info& self);
  /// Writes the file anew, under the same lock.
  Result<void> rewrite(Held& held, const Info& self);
  void withdraw(Held held);
  /// Writes file and lock again if either is gone. Leaves the file of somebody else alone.
  Result<void> look_after(Held& held);

  // ---- the reader's side ----

  Result<Info> find(const Key& key);
  /// The first row that is `wanted`, of an owner that lives; velo::Errc::not_found.
  Result<Info> find_if(const std::function<bool(const Key&)>& wanted);
  Result<std::vector<Info>> list();
  /// As list(), but of the entries that the last poll had only `probes` have their owners probed,
  /// in turn.
  Result<std::vector<Info>> poll(std::size_t probes);

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
    Entry entry;
  };

  std::string in_folder(const std::string& name) const { return path_ + '/' + name; }
  Result<std::unique_ptr<FileLock>> lock_new(Entry& entry);
  Result<void> write(const Entry& entry);
  Result<Entry> read(const Key& key);
  /// False once: the entry is then removed, unless its row has another one meanwhile.
  bool owner_lives(const Entry& entry);
  bool probe(Known& known);
  Result<void> refresh();
  void refresh_file(const FileInfo& info, const Key& key, std::map<Key, Known>& next);
  void collect_locks(const std::vector<FileInfo>& infos);

  World& world_;
  Files& files_;
  std::string path_;
  std::string cluster_;
  std::map<Key, Known> known_;
  Key last_probed_;
  std::size_t left_out_ = 0;
};

extern template class EntryFolder<PeerSubject>;
extern template class EntryFolder<ServiceSubject>;

}  // namespace velo::discovery
