// SPDX-License-Identifier: Apache-2.0
// The text form of network endpoints.

#include <velo/base/network.hpp>

#include <charconv>

namespace velo {

Result<Endpoint> Endpoint::parse(std::string_view text) {
  auto malformed = [&](const char* why) {
    return make_error(Errc::invalid_argument,
                      "endpoint \"" + std::string(text.substr(0, 120)) + "\": " + why);
  };
  if (text.starts_with("uds://")) {
    const std::string_view path = text.substr(6);
    if (path.empty()) return malformed("needs a path, as in uds:///run/velo.sock");
    if (path.size() > 100) return malformed("a socket path has at most 100 bytes");
    return unix_socket(std::string(path));
  }
  if (!text.starts_with("tcp://")) return malformed("starts with neither tcp:// nor uds://");
  const std::string_view rest = text.substr(6);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return malformed("needs host:port");
  std::string_view host = rest.substr(0, colon);
  const std::string_view digits = rest.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  std::uint16_t port = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || code != std::errc() || end != digits.data() + digits.size()) {
    return malformed("needs host:port");
  }
  return tcp(std::string(host), port);
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
