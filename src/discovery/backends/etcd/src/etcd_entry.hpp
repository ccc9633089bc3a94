// SPDX-License-Identifier: Apache-2.0
// Announcements of peers and of services as keys and values of etcd. docs/protocols/etcd.md says
// the same with examples.
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/discovery/subject.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace velo::discovery::etcd {

bool valid_cluster(std::string_view name) noexcept;

/// "/velo/<cluster>/peers/" or "/velo/<cluster>/services/"
template <class Subject>
std::string key_prefix(std::string_view cluster);

/// What follows the prefix: "<instance>", or "<service>/<instance>". The second is its inverse, and
/// takes only the spelling that the first gives, so that a row has one key.
template <class Subject>
std::string key_tail(const typename Subject::Key& key);
template <class Subject>
std::optional<typename Subject::Key> parse_key_tail(std::string_view tail);

/// Errc::invalid_argument beyond limits::etcd_value_bytes_max.
template <class Subject>
Result<std::string> encode_value(std::string_view cluster, const typename Subject::Info& info);
/// Errc::malformed_entry, unknown_format, foreign_entry: see there.
template <class Subject>
Result<typename Subject::Info> decode_value(std::string_view cluster,
                                            const typename Subject::Key& key, ByteSpan value);

}  // namespace velo::discovery::etcd
