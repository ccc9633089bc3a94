// SPDX-License-Identifier: Apache-2.0
// The contents of one announcement's file: a JSON object of format, cluster, announcement, and the
// peer or service. Anybody may have written it, so nothing in it is believed that its place does
// not confirm.
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/discovery/subject.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace velo::discovery {

template <class Subject>
struct FilesystemEntry {
  std::string cluster;
  /// Random; names the lock file, which no other announcement ever uses.
  std::uint64_t announcement = 0;
  typename Subject::Info info;

  friend bool operator==(const FilesystemEntry&, const FilesystemEntry&) = default;
};

using PeerEntry = FilesystemEntry<PeerSubject>;
using ServiceEntry = FilesystemEntry<ServiceSubject>;

std::string encode_filesystem_entry(const PeerEntry& entry);
std::string encode_filesystem_entry(const ServiceEntry& entry);

/// discovery::Errc::malformed_entry, or unknown_format for that of a later version. Fields that it
/// does not know are ignored.
template <class Subject>
Result<FilesystemEntry<Subject>> decode_filesystem_entry(ByteSpan contents);
template <>
Result<PeerEntry> decode_filesystem_entry(ByteSpan contents);
template <>
Result<ServiceEntry> decode_filesystem_entry(ByteSpan contents);

/// How a row's files are named: "<instance>" for a peer, "<instance>.<service>" for a service; the
/// inverse takes only the spelling that this gives, so that a row has one file.
template <class Subject>
std::string filesystem_stem(const typename Subject::Key& key);
template <class Subject>
std::optional<typename Subject::Key> parse_filesystem_stem(std::string_view stem);
template <>
std::string filesystem_stem<PeerSubject>(const PeerSubject::Key& key);
template <>
std::string filesystem_stem<ServiceSubject>(const ServiceSubject::Key& key);
template <>
std::optional<PeerSubject::Key> parse_filesystem_stem<PeerSubject>(std::string_view stem);
template <>
std::optional<ServiceSubject::Key> parse_filesystem_stem<ServiceSubject>(std::string_view stem);

/// "<stem>.json"; the second is its inverse.
template <class Subject>
std::string filesystem_entry_name(const typename Subject::Key& key);
template <class Subject>
std::optional<typename Subject::Key> parse_filesystem_entry_name(std::string_view name);

template <class Subject>
struct FilesystemLockName {
  typename Subject::Key key;
  std::uint64_t announcement = 0;
};

/// "<stem>.<16 hexadecimal digits>.lock"; the second is its inverse.
template <class Subject>
std::string filesystem_lock_name(const typename Subject::Key& key, std::uint64_t announcement);
template <class Subject>
std::optional<FilesystemLockName<Subject>> parse_filesystem_lock_name(std::string_view name);

}  // namespace velo::discovery
