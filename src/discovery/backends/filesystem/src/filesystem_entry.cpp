// SPDX-License-Identifier: Apache-2.0
// Files of announcements: names and contents.

#include <velo/discovery/backends/filesystem/entry.hpp>

#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <utility>

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

struct PeerRecord {
  std::uint32_t format = 0;
  std::string cluster;
  std::string announcement;
  PeerInfo peer;
};
VELO_DESCRIBE(PeerRecord, format, cluster, announcement, peer);

struct ServiceRecord {
  std::uint32_t format = 0;
  std::string cluster;
  std::string announcement;
  std::string service;
  std::string instance_id;
  std::map<std::string, Bytes> metadata;
};
VELO_DESCRIBE(ServiceRecord, format, cluster, announcement, service, instance_id, metadata);

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

/// The format, then the record, then its number.
template <class Record>
static Result<std::pair<Record, std::uint64_t>> decode(ByteSpan contents) {
  if (contents.size() > limits::file_bytes_max) {
    return make_error(Errc::malformed_entry,
                      fmt::format("longer than {} bytes", limits::file_bytes_max));
  }
  const Result<FormatRecord> version = from_json<FormatRecord>(as_text(contents));
  if (!version) return make_error(Errc::malformed_entry, version.error().to_string());
  if (version->format != format) {
    return make_error(Errc::unknown_format, fmt::format("format {}", version->format));
  }
  Result<Record> record = from_json<Record>(as_text(contents));
  if (!record) return make_error(Errc::malformed_entry, record.error().to_string());
  const std::optional<std::uint64_t> number = parse_number(record->announcement);
  if (!number) return make_error(Errc::malformed_entry, "announcement: not 16 hexadecimal digits");
  return std::pair(std::move(*record), *number);
}

}  // namespace filesystem_entry_detail

std::string encode_filesystem_entry(const PeerEntry& entry) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  const PeerRecord record{format, entry.cluster, number_text(entry.announcement), entry.info};
  return to_json(record) + '\n';
}

std::string encode_filesystem_entry(const ServiceEntry& entry) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  const ServiceInstance& info = entry.info;
  const ServiceRecord record{format,
                             entry.cluster,
                             number_text(entry.announcement),
                             info.service,
                             info.instance_id.to_string(),
                             {info.metadata.begin(), info.metadata.end()}};
  return to_json(record) + '\n';
}

template <>
Result<PeerEntry> decode_filesystem_entry(ByteSpan contents) {
  auto read = filesystem_entry_detail::decode<filesystem_entry_detail::PeerRecord>(contents);
  if (!read) return std::move(read).error();
  auto& [record, number] = *read;
  if (!record.peer.instance_id.valid()) {
    return make_error(Errc::malformed_entry, "peer.instance_id: the nil UUID");
  }
  return PeerEntry{std::move(record.cluster), number, std::move(record.peer)};
}

template <>
Result<ServiceEntry> decode_filesystem_entry(ByteSpan contents) {
  namespace detail = filesystem_entry_detail;
  auto read = detail::decode<detail::ServiceRecord>(contents);
  if (!read) return std::move(read).error();
  auto& [record, number] = *read;
  const auto id = detail::parse_id(record.instance_id);
  if (!id) return make_error(Errc::malformed_entry, "instance_id: no UUID");
  ServiceInstance info{std::move(record.service), *id, {}};
  info.metadata.insert(record.metadata.begin(), record.metadata.end());
  if (const Result<void> checked = check_service(info); !checked) {
    return make_error(Errc::malformed_entry, checked.error().context());
  }
  return ServiceEntry{std::move(record.cluster), number, std::move(info)};
}

template <>
std::string filesystem_stem<PeerSubject>(const InstanceId& key) {
  return key.to_string();
}

template <>
std::string filesystem_stem<ServiceSubject>(const ServiceSubject::Key& key) {
  return key.second.to_string() + '.' + key.first;
}

template <>
std::optional<InstanceId> parse_filesystem_stem<PeerSubject>(std::string_view stem) {
  return filesystem_entry_detail::parse_id(stem);
}

template <>
std::optional<ServiceSubject::Key> parse_filesystem_stem<ServiceSubject>(std::string_view stem) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  if (stem.size() < id_characters + 2 || stem[id_characters] != '.') return std::nullopt;
  const auto id = parse_id(stem.substr(0, id_characters));
  const std::string_view service = stem.substr(id_characters + 1);
  if (!id || !valid_service_name(service)) return std::nullopt;
  return ServiceSubject::Key(service, *id);
}

template <class Subject>
std::string filesystem_entry_name(const typename Subject::Key& key) {
  return filesystem_stem<Subject>(key).append(filesystem_entry_detail::entry_suffix);
}

template <class Subject>
std::optional<typename Subject::Key> parse_filesystem_entry_name(std::string_view name) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  if (!name.ends_with(entry_suffix)) return std::nullopt;
  return parse_filesystem_stem<Subject>(name.substr(0, name.size() - entry_suffix.size()));
}

template <class Subject>
std::string filesystem_lock_name(const typename Subject::Key& key, std::uint64_t announcement) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  return fmt::format("{}.{}{}", filesystem_stem<Subject>(key), number_text(announcement),
                     lock_suffix);
}

template <class Subject>
std::optional<FilesystemLockName<Subject>> parse_filesystem_lock_name(std::string_view name) {
  using namespace filesystem_entry_detail;  // NOLINT(google-build-using-namespace)
  constexpr std::size_t after_stem = 1 + number_digits + lock_suffix.size();
  if (name.size() <= after_stem || !name.ends_with(lock_suffix)) return std::nullopt;
  const std::size_t stem = name.size() - after_stem;
  if (name[stem] != '.') return std::nullopt;
  const auto key = parse_filesystem_stem<Subject>(name.substr(0, stem));
  const auto number = parse_number(name.substr(stem + 1, number_digits));
  if (!key || !number) return std::nullopt;
  return FilesystemLockName<Subject>{*key, *number};
}

template std::string filesystem_entry_name<PeerSubject>(const InstanceId&);
template std::string filesystem_entry_name<ServiceSubject>(const ServiceSubject::Key&);
template std::optional<InstanceId> parse_filesystem_entry_name<PeerSubject>(std::string_view);
template std::optional<ServiceSubject::Key> parse_filesystem_entry_name<ServiceSubject>(
    std::string_view);
template std::string filesystem_lock_name<PeerSubject>(const InstanceId&, std::uint64_t);
template std::string filesystem_lock_name<ServiceSubject>(const ServiceSubject::Key&,
                                                          std::uint64_t);
template std::optional<FilesystemLockName<PeerSubject>> parse_filesystem_lock_name<PeerSubject>(
    std::string_view);
template std::optional<FilesystemLockName<ServiceSubject>>
    parse_filesystem_lock_name<ServiceSubject>(std::string_view);

}  // namespace velo::discovery
