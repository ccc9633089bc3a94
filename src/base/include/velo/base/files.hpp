// SPDX-License-Identifier: Apache-2.0
// Files as a World offers them: small, whole-file operations for discovery and configuration, and
// large ones in pieces for those who send them. Not a storage engine.
// Threading: any thread; calls may block on the disk, so not on an I/O shard's hot path.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace velo {

/// An exclusive lock between processes, held while the object lives; the system releases it when
/// its process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct FileInfo {
  std::string name;  ///< within its folder
  bool is_directory = false;
  std::uint64_t size = 0;
  std::int64_t modified_unix_nanoseconds = 0;
};

/// What read_secret() found. The memory is the reader's to clear.
struct SecretFile {
  std::vector<std::byte> contents;
  bool owner_only = false;  ///< nobody but this process's user, whose file it is, may open it
};

/// A file that is read in pieces. Any thread, several at once.
class FileReader {
 public:
  virtual ~FileReader() = default;
  /// When it was opened.
  virtual std::uint64_t size() const noexcept = 0;
  /// Fills all of `out` from `offset`; Errc::io when the file has become shorter.
  virtual Result<void> read_at(std::uint64_t offset, std::span<std::byte> out) = 0;
};

/// A file that is written in pieces, aside, until commit() puts it in its place. Destroyed without:
/// nothing of it remains. One thread at a time.
class FileWriter {
 public:
  virtual ~FileWriter() = default;
  /// What is never written reads as zeros.
  virtual Result<void> write_at(std::uint64_t offset, ByteSpan contents) = 0;
  /// As Files::write_atomic(). Once; nothing is written afterwards.
  virtual Result<void> commit() = 0;
};

class Files {
 public:
  virtual ~Files() = default;

  /// At most `bytes_max`; a larger file is Errc::overloaded, a missing one Errc::not_found, what is
  /// no regular file Errc::invalid_argument.
  virtual Result<Bytes> read(const std::string& path, std::size_t bytes_max) = 0;
  /// As read(), for keys and passwords: where the system has users, says whether others may open
  /// it.
  virtual Result<SecretFile> read_secret(const std::string& path, std::size_t bytes_max) = 0;
  /// Readers see the old contents or the new, never a part: writes aside, syncs, renames. Nobody
  /// but this process's user may open the file.
  virtual Result<void> write_atomic(const std::string& path, ByteSpan contents) = 0;
  virtual Result<void> append(const std::string& path, ByteSpan contents) = 0;
  /// For reading in pieces: errors as of read(). Errc::unsupported where there is no such thing.
  virtual Result<std::unique_ptr<FileReader>> open(const std::string& path) {
    return make_error(Errc::unsupported, "these files are not read in pieces: " + path);
  }
  /// For writing in pieces what will replace the file.
  virtual Result<std::unique_ptr<FileWriter>> replace(const std::string& path) {
    return make_error(Errc::unsupported, "these files are not written in pieces: " + path);
  }
  /// Not an error if it is missing.
  virtual Result<void> remove(const std::string& path) = 0;
  virtual Result<void> create_directories(const std::string& path) = 0;
  /// Sorted by name; a missing folder is Errc::not_found. Removes what writers that were killed
  /// left in it.
  virtual Result<std::vector<FileInfo>> list(const std::string& path) = 0;
  /// Takes the lock file (created if missing, never renamed or removed) without waiting;
  /// Errc::overloaded while held.
  virtual Result<std::unique_ptr<FileLock>> try_lock(const std::string& path) = 0;
};

}  // namespace velo
