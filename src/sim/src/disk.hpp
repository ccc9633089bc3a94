// SPDX-License-Identifier: Apache-2.0
// Files in memory: the disk of a machine, shared by its nodes, and each node's view of it. Folders
// must exist before files are written into them, as on a real system. Locks belong to a node's run
// and end with it.
// Threading: the simulation's thread only.
#pragma once

#include <velo/base/files.hpp>

#include "core.hpp"
#include "ring.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace velo::sim::detail {

class LockState;

struct Disk {
  struct Append {
    std::int64_t at = 0;
    std::size_t bytes_before = 0;
  };
  struct File {
    std::vector<std::byte> contents;
    std::int64_t modified_unix_nanoseconds = 0;
    Ring<Append> unflushed;  ///< in order of time
  };
  std::map<std::string, File> files;
  std::set<std::string> folders;
  std::map<std::string, LockState*> locks;
  std::uint64_t operations = 0;

  /// Cuts appends that were not flushed yet, and with SimOptions::torn_holes empties sectors.
  void tear(std::int64_t now, const SimOptions& options, SimRandom& random);
};

class LockState final : public Resource {
 public:
  LockState(Core& core, NodeImpl& node, std::string path);
  ~LockState() override = default;
  void unlock() noexcept;
  void node_crashed(NodeImpl& node, bool silent) override;
  void simulation_ended() override { locked_ = false; }

 private:
  NodeImpl& node_;
  std::string path_;
  bool locked_ = true;
};

class FilesImpl final : public Files {
 public:
  FilesImpl(Core& core, NodeImpl& node) noexcept : core_(core), node_(node) {}

  Result<Bytes> read(const std::string& path, std::size_t bytes_max) override;
  Result<SecretFile> read_secret(const std::string& path, std::size_t bytes_max) override;
  Result<void> write_atomic(const std::string& path, ByteSpan contents) override;
  Result<void> append(const std::string& path, ByteSpan contents) override;
  Result<std::unique_ptr<FileReader>> open(const std::string& path) override;
  Result<std::unique_ptr<FileWriter>> replace(const std::string& path) override;
  Result<void> remove(const std::string& path) override;
  Result<void> create_directories(const std::string& path) override;
  Result<std::vector<FileInfo>> list(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> try_lock(const std::string& path) override;

 private:
  /// The absolute form of the path; an error if the node is dead or the path cannot be one.
  Result<std::string> resolve(const std::string& path) const;
  /// The same for a file to be created: its folder must exist, and it must not be a folder.
  Result<std::string> resolve_for_writing(const std::string& path) const;
  Disk& disk() const noexcept;
  void changed(std::size_t bytes);

  Core& core_;
  NodeImpl& node_;
};

}  // namespace velo::sim::detail
