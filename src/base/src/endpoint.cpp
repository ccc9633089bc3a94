// SPDX-License-Identifier: Apache-2.0
// The text form of network endpoints.

#include <velo/base/network.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace velo {

namespace endpoint_detail {

static bool is_numeric_four(const std::string& host) noexcept {
  in_addr parsed;
  return ::inet_pton(AF_INET, host.c_str(), &parsed) == 1;
}

/// With an optional zone ("fe80::1%eth0"), which link-local addresses need.
static bool is_numeric_six(std::string host) noexcept {
  const std::size_t percent = host.find('%');
  if (percent != std::string::npos) {
    const std::string_view zone = std::string_view(host).substr(percent + 1);
    const bool named =
        !zone.empty() && zone.size() < 16 &&
        std::all_of(
            zone.begin(), zone.end(),
            [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != '%' && c != ']'; });
    if (!named) return false;
    host.resize(percent);
  }
  in6_addr parsed;
  return ::inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

}  // namespace endpoint_detail

Result<Endpoint> Endpoint::parse(std::string_view text) {
  auto malformed = [&](const char* why) {
    return make_error(Errc::invalid_argument,
                      "endpoint \"" + std::string(text.substr(0, 120)) + "\": " + why);
  };
  if (text.starts_with("uds://")) {
    const std::string_view path = text.substr(6);
    if (path.empty()) return malformed("needs a path, as in uds:///run/velo.sock");
    if (path.size() > 100) return malformed("a socket path has at most 100 bytes");
    if (path.find('\0') != std::string_view::npos) return malformed("a path holds no NUL");
    return unix_socket(std::string(path));
  }
  if (!text.starts_with("tcp://")) return malformed("starts with neither tcp:// nor uds://");
  const std::string_view rest = text.substr(6);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return malformed("needs host:port");
  std::string host(rest.substr(0, colon));
  const std::string_view digits = rest.substr(colon + 1);
  const bool six = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (six) host = host.substr(1, host.size() - 2);
  // c_str() below would hide what follows a NUL.
  const bool numeric =
      host.find('\0') == std::string::npos &&
      (six ? endpoint_detail::is_numeric_six(host) : endpoint_detail::is_numeric_four(host));
  if (!numeric) return malformed("the host is a numeric address: 127.0.0.1 or [::1]");
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (code != std::errc() || end != digits.data() + digits.size()) {
    return malformed("the port is a number from 0 to 65535");
  }
  return tcp(std::move(host), port);
}

std::string Endpoint::to_string() const {
  if (kind == Kind::unix_socket) return "uds://" + host;
  const bool six = host.find(':') != std::string::npos;
  return "tcp://" + (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool Endpoint::is_loopback() const noexcept {
  return kind == Kind::unix_socket || host == "::1" || host.starts_with("127.");
}

}  // namespace velo
