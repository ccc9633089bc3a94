// SPDX-License-Identifier: Apache-2.0
// The contents of one announcement's file, <instance>.json: a JSON object of format, cluster,
// announcement and peer. Anybody may have written it, so nothing in it is believed that its place
// does not confirm.
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace velo::discovery {

struct FilesystemEntry {
  std::string cluster;
  /// Random; names the lock file <instance>.<announcement>.lock, which no other announcement ever
  /// uses.
  std::uint64_t announcement = 0;
  PeerInfo peer;

  friend bool operator==(const FilesystemEntry&, const FilesystemEntry&) = default;
};

std::string encode_filesystem_entry(const FilesystemEntry& entry);

/// discovery::Errc::malformed_entry, or unknown_format for that of a later version. Fields that it
/// does not know are ignored.
Result<FilesystemEntry> decode_filesystem_entry(ByteSpan contents);

/// "<instance>.json"; the second is its inverse.
std::string filesystem_entry_name(const InstanceId& id);
std::optional<InstanceId> parse_filesystem_entry_name(std::string_view name);

struct FilesystemLockName {
  InstanceId instance;
  std::uint64_t announcement = 0;
};

/// "<instance>.<16 hexadecimal digits>.lock"; the second is its inverse.
std::string filesystem_lock_name(const InstanceId& id, std::uint64_t announcement);
std::optional<FilesystemLockName> parse_filesystem_lock_name(std::string_view name);

}  // namespace velo::discovery
