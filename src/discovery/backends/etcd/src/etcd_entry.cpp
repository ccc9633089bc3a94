// SPDX-License-Identifier: Apache-2.0
// Keys and values of announcements.

#include "etcd_entry.hpp"

#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <fmt/format.h>

#include <map>
#include <utility>

namespace velo::discovery::etcd {
namespace etcd_entry_detail {

constexpr std::uint32_t format = 1;

/// Read alone first: whatever else a later format changes, it keeps this.
struct FormatRecord {
  std::uint32_t format = 0;
};
VELO_DESCRIBE(FormatRecord, format);

struct PeerRecord {
  std::uint32_t format = 0;
  std::string cluster;
  PeerInfo peer;
};
VELO_DESCRIBE(PeerRecord, format, cluster, peer);

struct ServiceRecord {
  std::uint32_t format = 0;
  std::string cluster;
  std::string service;
  InstanceId instance_id;
  std::map<std::string, Bytes> metadata;
};
VELO_DESCRIBE(ServiceRecord, format, cluster, service, instance_id, metadata);

static std::optional<InstanceId> parse_id(std::string_view text) {
  const Result<InstanceId> id = InstanceId::parse(text);
  if (!id || !id->valid() || id->to_string() != text) return std::nullopt;
  return *id;
}

static Result<std::string> bounded(std::string text) {
  if (text.size() <= limits::etcd_value_bytes_max) return text;
  return velo::make_error(velo::Errc::invalid_argument,
                          fmt::format("an announcement of {} bytes; at most {} are allowed",
                                      text.size(), limits::etcd_value_bytes_max));
}

template <class Record>
static Result<Record> decode(std::string_view cluster, ByteSpan value) {
  if (value.size() > limits::etcd_value_bytes_max) {
    return make_error(Errc::malformed_entry,
                      fmt::format("longer than {} bytes", limits::etcd_value_bytes_max));
  }
  const Result<FormatRecord> version = from_json<FormatRecord>(as_text(value));
  if (!version) return make_error(Errc::malformed_entry, version.error().to_string());
  if (version->format != format) {
    return make_error(Errc::unknown_format, fmt::format("format {}", version->format));
  }
  Result<Record> record = from_json<Record>(as_text(value));
  if (!record) return make_error(Errc::malformed_entry, record.error().to_string());
  if (record->cluster != cluster) return make_error(Errc::foreign_entry, "of another cluster");
  return record;
}

}  // namespace etcd_entry_detail

bool valid_cluster(std::string_view name) noexcept {
  if (name.empty() || name.size() > limits::cluster_name_bytes_max || name.front() == '.') {
    return false;
  }
  return name.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
         std::string_view::npos;
}

// ---- peers ----

template <>
std::string key_prefix<PeerSubject>(std::string_view cluster) {
  return fmt::format("/velo/{}/peers/", cluster);
}

template <>
std::string key_tail<PeerSubject>(const InstanceId& key) {
  return key.to_string();
}

template <>
std::optional<InstanceId> parse_key_tail<PeerSubject>(std::string_view tail) {
  return etcd_entry_detail::parse_id(tail);
}

template <>
Result<std::string> encode_value<PeerSubject>(std::string_view cluster, const PeerInfo& info) {
  using namespace etcd_entry_detail;  // NOLINT(google-build-using-namespace)
  return bounded(to_json(PeerRecord{format, std::string(cluster), info}));
}

template <>
Result<PeerInfo> decode_value<PeerSubject>(std::string_view cluster, const InstanceId& key,
                                           ByteSpan value) {
  using namespace etcd_entry_detail;  // NOLINT(google-build-using-namespace)
  auto record = decode<PeerRecord>(cluster, value);
  if (!record) return std::move(record).error();
  if (record->peer.instance_id != key) {
    return make_error(Errc::foreign_entry, "of instance " + record->peer.instance_id.to_string());
  }
  return std::move(record->peer);
}

// ---- services ----

template <>
std::string key_prefix<ServiceSubject>(std::string_view cluster) {
  return fmt::format("/velo/{}/services/", cluster);
}

template <>
std::string key_tail<ServiceSubject>(const ServiceSubject::Key& key) {
  return key.first + '/' + key.second.to_string();
}

template <>
std::optional<ServiceSubject::Key> parse_key_tail<ServiceSubject>(std::string_view tail) {
  const std::size_t slash = tail.find('/');
  if (slash == std::string_view::npos || !valid_service_name(tail.substr(0, slash))) {
    return std::nullopt;
  }
  const auto id = etcd_entry_detail::parse_id(tail.substr(slash + 1));
  if (!id) return std::nullopt;
  return ServiceSubject::Key(tail.substr(0, slash), *id);
}

template <>
Result<std::string> encode_value<ServiceSubject>(std::string_view cluster,
                                                 const ServiceInstance& info) {
  using namespace etcd_entry_detail;  // NOLINT(google-build-using-namespace)
  return bounded(to_json(ServiceRecord{format,
                                       std::string(cluster),
                                       info.service,
                                       info.instance_id,
                                       {info.metadata.begin(), info.metadata.end()}}));
}

template <>
Result<ServiceInstance> decode_value<ServiceSubject>(std::string_view cluster,
                                                     const ServiceSubject::Key& key,
                                                     ByteSpan value) {
  using namespace etcd_entry_detail;  // NOLINT(google-build-using-namespace)
  auto record = decode<ServiceRecord>(cluster, value);
  if (!record) return std::move(record).error();
  ServiceInstance info{std::move(record->service), record->instance_id, {}};
  info.metadata.insert(record->metadata.begin(), record->metadata.end());
  if (ServiceSubject::key(info) != key) {
    return make_error(Errc::foreign_entry, "of another service or instance");
  }
  if (const Result<void> checked = check_service(info); !checked) {
    return make_error(Errc::malformed_entry, checked.error().context());
  }
  return info;
}

}  // namespace velo::discovery::etcd
