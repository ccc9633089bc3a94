// SPDX-License-Identifier: Apache-2.0
// Files of announcements: names and contents.

#include <velo/discovery/backends/filesystem/entry.hpp>

#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <fmt/format.h>

#include <charconv>

namespace velo::discovery {
namespace filesystem_entry_detail {

constexpr std::uint32_t format = 1;
constexpr std::size_t number_digits = 16;
constexpr std::size_t id_characters = 36;
constexpr std::string_view entry_suffix = ".json";
constexpr std::string_view lock_suffix = ".lock";

/// Read alone first: whatever else a later format changes, it keeps this.
struct FormatRecord {
  std::uint32_t format = 0;
};
VELO_DESCRIBE(FormatRecord, format);

struct EntryRecord {
  std::uint32_t format = 0;
  std::string cluster;
  std::string announcement;
  PeerInfo peer;
};
VELO_DESCRIBE(EntryRecord, format, cluster, announcement, peer);

static std::string number_text(std::uint64_t number) { return fmt::format("{:016x}", number); }

static std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.size() != number_digits) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc() || number_text(number) != text) return std::nullopt;
  return number;
}

/// Only the spelling that to_string() gives, so that an instance has one file.
static std::optional<InstanceId> parse_id(std::string_view text) {
  const Result<InstanceId> id = InstanceId::parse(text);
  if (!id || !id->valid() || id->to_string() != text) return std::nullopt;
  return *id;
}

}  // namespace filesystem_entry_detail

std::string encode_filesystem_entry(const FilesystemEntry& entry) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  const EntryRecord record{format, entry.cluster, number_text(entry.announcement), entry.peer};
  return to_json(record) + '\n';
}

Result<FilesystemEntry> decode_filesystem_entry(ByteSpan contents) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  if (contents.size() > limits::file_bytes_max) {
    return make_error(Errc::malformed_entry,
                      fmt::format("longer than {} bytes", limits::file_bytes_max));
  }
  const Result<FormatRecord> version = from_json<FormatRecord>(as_text(contents));
  if (!version) return make_error(Errc::malformed_entry, version.error().to_string());
  if (version->format != format) {
    return make_error(Errc::unknown_format, fmt::format("format {}", version->format));
  }
  Result<EntryRecord> record = from_json<EntryRecord>(as_text(contents));
  if (!record) return make_error(Errc::malformed_entry, record.error().to_string());
  const std::optional<std::uint64_t> number = parse_number(record->announcement);
  if (!number) return make_error(Errc::malformed_entry, "announcement: not 16 hexadecimal digits");
  if (!record->peer.instance_id.valid()) {
    return make_error(Errc::malformed_entry, "peer.instance_id: the nil UUID");
  }
  return FilesystemEntry{std::move(record->cluster), *number, std::move(record->peer)};
}

std::string filesystem_entry_name(const InstanceId& id) {
  return id.to_string().append(filesystem_entry_detail::entry_suffix);
}

std::optional<InstanceId> parse_filesystem_entry_name(std::string_view name) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  if (!name.ends_with(entry_suffix)) return std::nullopt;
  return parse_id(name.substr(0, name.size() - entry_suffix.size()));
}

std::string filesystem_lock_name(const InstanceId& id, std::uint64_t announcement) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  return fmt::format("{}.{}{}", id.to_string(), number_text(announcement), lock_suffix);
}

std::optional<FilesystemLockName> parse_filesystem_lock_name(std::string_view name) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  constexpr std::size_t size = id_characters + 1 + number_digits + lock_suffix.size();
  if (name.size() != size || !name.ends_with(lock_suffix) || name[id_characters] != '.') {
    return std::nullopt;
  }
  const auto id = parse_id(name.substr(0, id_characters));
  const auto number = parse_number(name.substr(id_characters + 1, number_digits));
  if (!id || !number) return std::nullopt;
  return FilesystemLockName{*id, *number};
}

}  // namespace velo::discovery
