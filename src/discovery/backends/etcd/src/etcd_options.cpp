// SPDX-License-Identifier: Apache-2.0
// Checks of endpoints and times.

#include "etcd_options.hpp"

#include <velo/base/log.hpp>
#include <velo/discovery/limits.hpp>

#include <fmt/format.h>

#include <utility>

namespace velo::discovery {

Result<Endpoint> parse_etcd_endpoint(std::string_view text) {
  constexpr std::string_view plain = "http://";
  if (text.starts_with("https://")) {
    return velo::make_error(velo::Errc::unsupported,
                            "https: give the endpoint without it, and EtcdOptions::connect");
  }
  if (text.starts_with(plain)) text.remove_prefix(plain.size());
  if (text.ends_with('/')) text.remove_suffix(1);
  return Endpoint::parse("tcp://" + std::string(text));
}

namespace etcd {

Result<void> check_options(const EtcdOptions& options) {
  const auto wrong = [](std::string why) {
    return velo::make_error(velo::Errc::invalid_argument, std::move(why));
  };
  if (options.endpoints.empty() || options.endpoints.size() > limits::etcd_endpoints_max) {
    return wrong(fmt::format("etcd: 1 to {} endpoints", limits::etcd_endpoints_max));
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.lease_ttl);
  if (seconds != options.lease_ttl || seconds < std::chrono::seconds(1) ||
      seconds > std::chrono::hours(1)) {
    return wrong("etcd: a lease lasts whole seconds, at least 1 s and at most an hour");
  }
  for (const Duration duration : {options.request_timeout, options.operation_timeout,
                                  options.backoff_min, options.check_interval}) {
    if (duration <= Duration::zero()) return wrong("etcd: times are above zero");
  }
  if (options.backoff_max < options.backoff_min) return wrong("etcd: backoff_max < backoff_min");
  if (options.user.empty() != options.password.empty()) {
    return wrong("etcd: a user without a password, or a password without a user");
  }
  if (options.user.size() > limits::etcd_secret_bytes_max ||
      options.password.size() > limits::etcd_secret_bytes_max) {
    return wrong(fmt::format("etcd: user and password have at most {} bytes each",
                             limits::etcd_secret_bytes_max));
  }
  for (const Endpoint& endpoint : options.endpoints) {
    if (options.connect || endpoint.kind == Endpoint::Kind::unix_socket || endpoint.is_loopback()) {
      continue;
    }
    if (!options.allow_plaintext_beyond_loopback) {
      return velo::make_error(velo::Errc::permission_denied,
                              endpoint.to_string() +
                                  " is beyond loopback and the connection is not encrypted; set "
                                  "allow_plaintext_beyond_loopback, or connect");
    }
    VELO_LOG_WARN(discovery, "etcd is used unencrypted beyond loopback",
                  {"endpoint", endpoint.to_string()});
  }
  return {};
}

}  // namespace etcd
}  // namespace velo::discovery
