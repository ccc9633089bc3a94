// SPDX-License-Identifier: Apache-2.0
// A collector's URL in its parts.

#include "collector_url.hpp"

#include <algorithm>

namespace velo::telemetry {
namespace collector_url_detail {

static Error malformed(std::string_view url, std::string_view why) {
  return make_error(Errc::invalid_argument, std::string(url) + ": " + std::string(why));
}

}  // namespace collector_url_detail

Result<CollectorUrl> parse_collector_url(std::string_view url) {
  using collector_url_detail::malformed;
  constexpr std::string_view plain = "http://";
  if (url.starts_with("https://")) {
    return make_error(Errc::unsupported,
                      std::string(url) + ": no TLS here; send to an agent on this host");
  }
  if (!url.starts_with(plain)) return malformed(url, "a collector's URL starts with http://");
  // Nothing that would end the line of a header.
  if (!std::ranges::all_of(url, [](char c) { return c > ' ' && c <= '~'; })) {
    return malformed(url, "printable characters only");
  }
  const std::string_view rest = url.substr(plain.size());
  const std::size_t slash = rest.find_first_of("/?#");
  CollectorUrl parsed;
  parsed.host = rest.substr(0, slash);
  if (slash != std::string_view::npos) parsed.path = rest.substr(slash, rest.find('#') - slash);
  if (!parsed.path.starts_with('/')) parsed.path.insert(0, "/");
  if (parsed.host.find('@') != std::string::npos) {
    return malformed(url, "credentials in URLs are not sent");
  }
  std::string address = parsed.host;
  if (address == "localhost" || address.starts_with("localhost:")) {
    address.replace(0, std::string_view("localhost").size(), "127.0.0.1");
  }
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || address.ends_with(']')) address += ":80";
  auto endpoint = Endpoint::parse("tcp://" + address);
  if (!endpoint || !to_net_address(*endpoint) || endpoint->port == 0) {
    return malformed(url, "the host must be a numeric address (or localhost), with a port");
  }
  parsed.endpoint = std::move(*endpoint);
  return parsed;
}

}  // namespace velo::telemetry
