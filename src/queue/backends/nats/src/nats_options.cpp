// SPDX-License-Identifier: Apache-2.0
// What can be wrong with options of the NATS backend.

#include "nats_link.hpp"

#include <velo/base/log.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace velo::queue::nats {
namespace nats_options_detail {

static Error wrong(std::string why) {
  return velo::make_error(velo::Errc::invalid_argument, std::move(why));
}

/// "HOST" of "nats://HOST:PORT" and "HOST:PORT"; empty if it is none.
static std::string_view host_of(std::string_view server) noexcept {
  for (const std::string_view scheme : {"nats://", "tls://"}) {
    if (server.starts_with(scheme)) server.remove_prefix(scheme.size());
  }
  const std::size_t colon = server.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == server.size()) return {};
  const std::string_view port = server.substr(colon + 1);
  const bool digits = std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  const std::string_view host = server.substr(0, colon);
  // What looks like a user's name would be logged with the address.
  return digits && host.find_first_of("@/ ") == std::string_view::npos ? host : std::string_view();
}

static bool is_loopback(std::string_view host) noexcept {
  return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

static Result<void> check_servers(const NatsOptions& options) {
  if (options.servers.empty() || options.servers.size() > limits::nats_servers_max) {
    return wrong(fmt::format("1 to {} NATS servers", limits::nats_servers_max));
  }
  for (const std::string& server : options.servers) {
    const std::string_view host = host_of(server);
    if (host.empty()) return wrong("a NATS server is nats://HOST:PORT, without a user");
    if (options.tls || is_loopback(host)) continue;
    if (!options.allow_plaintext_beyond_loopback) {
      return velo::make_error(velo::Errc::permission_denied,
                              server +
                                  " is beyond loopback and the connection is not encrypted; "
                                  "set tls, or allow_plaintext_beyond_loopback");
    }
    VELO_LOG_WARN(queue, "NATS is used unencrypted beyond loopback", {"server", server});
  }
  return {};
}

}  // namespace nats_options_detail

Result<void> check_options(const NatsOptions& options) {
  using namespace nats_options_detail;  // NOLINT(google-build-using-namespace)
  if (auto servers = check_servers(options); !servers) return servers;
  if (options.user.empty() != options.password.empty()) {
    return wrong("a user without a password, or a password without a user");
  }
  if (!options.token.empty() && !options.user.empty()) return wrong("a token or a user, not both");
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return wrong("a certificate without its key, or a key without a certificate");
  }
  if (!options.tls && (!options.ca_file.empty() || !options.certificate_file.empty())) {
    return wrong("certificates without tls");
  }
  if (options.replicas < 1 || options.replicas > 5) return wrong("1 to 5 replicas");
  if (options.connect_timeout < std::chrono::milliseconds(10) ||
      options.connect_timeout > std::chrono::seconds(30)) {
    return wrong("connect_timeout: 10 ms to 30 s");
  }
  if (options.operation_timeout <= Duration(0) || options.backoff_min <= Duration(0) ||
      options.backoff_max < options.backoff_min) {
    return wrong("times are above zero, and backoff_max is not below backoff_min");
  }
  return {};
}

}  // namespace velo::queue::nats
