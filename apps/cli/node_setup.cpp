// SPDX-License-Identifier: Apache-2.0
// A node put together from the command line.

#include "node_setup.hpp"

#include <velo/transport/backends/quic.hpp>

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

namespace velo::cli {
namespace node_setup_detail {

constexpr std::size_t policy_bytes_max = std::size_t{1} << 20;

static Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return make_error(Errc::not_found, "cannot read '" + path + "'");
  std::string text;
  for (std::istreambuf_iterator<char> at(file), end; at != end; ++at) {
    if (text.size() == policy_bytes_max) {
      return make_error(Errc::overloaded, "'" + path + "' is larger than 1 MiB");
    }
    text += *at;
  }
  return text;
}

static Result<std::optional<std::string>> passphrase_of(const NodeSetup& setup) {
  if (!setup.passphrase_file.empty()) {
    auto text = read_text(setup.passphrase_file);
    if (!text) return text.error();
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
    return std::optional(std::move(*text));
  }
  const char* given = std::getenv("VELO_PASSPHRASE");
  if (given == nullptr || *given == '\0') return std::optional<std::string>();
  return std::optional<std::string>(given);
}

static std::optional<Endpoint> bind_of(const NodeSetup& setup, Listening listening) {
  if (listening == Listening::no) return std::nullopt;
  return Endpoint::tcp(setup.bind, 0);
}

static transport::TcpOptions tcp_options(const NodeSetup& setup, Listening listening) {
  transport::TcpOptions options;
  // A peer of the public velo answers by dialling back, so that even who only calls listens, here.
  if (listening == Listening::yes) options.bind = Endpoint::tcp(setup.bind, 0);
  options.allow_plaintext_beyond_loopback = setup.plaintext;
  return options;
}

static transport::UdsOptions uds_options(const std::string& sockets, Listening listening) {
  transport::UdsOptions options;
  options.listen = listening == Listening::yes;
  options.folder = sockets;
  return options;
}

static transport::ShmOptions shm_options(const std::string& sockets, Listening listening) {
  transport::ShmOptions options;
  options.listen = listening == Listening::yes;
  options.folder = sockets;
  return options;
}

static TransportFactory quic_factory(const NodeSetup& setup, Listening listening) {
  transport::QuicOptions options;
  options.bind = bind_of(setup, listening);
  return [options](const NodeParts& node) mutable -> Result<std::unique_ptr<Transport>> {
    options.credentials = node.credentials;
    return transport::make_quic(std::move(options));
  };
}

/// Those that can be had: shm and uds need a folder to listen, encryption needs an identity.
static std::vector<std::string> chosen(const NodeSetup& setup, const std::string& sockets,
                                       Listening listening) {
  if (!setup.transports.empty()) return setup.transports;
  std::vector<std::string> names = transport_names();
  std::erase_if(names, [&](const std::string& name) {
    if (name == "tls" || name == "quic") return setup.identity.empty();
    if (name == "uds" || name == "shm") return listening == Listening::yes && sockets.empty();
    return false;
  });
  return names;
}

static Result<void> add(VeloBuilder& builder, const std::string& name, const NodeSetup& setup,
                        const std::string& sockets, Listening listening) {
  const bool encrypted = name == "tls" || name == "quic";
  if (encrypted && setup.identity.empty()) {
    return make_error(Errc::invalid_argument,
                      name + " needs --identity; make one with `velo identity new`");
  }
  if (name == "shm") {
    builder.add_transport(transport::make_shm(shm_options(sockets, listening)));
  } else if (name == "uds") {
    builder.add_transport(transport::make_uds(uds_options(sockets, listening)));
  } else if (name == "quic") {
    builder.add_transport(quic_factory(setup, listening));
  } else if (name == "tls") {
    transport::TlsOptions options;
    options.bind = bind_of(setup, listening);
    builder.tls(std::move(options));
  } else if (name == "tcp") {
    builder.add_transport(transport::make_tcp(tcp_options(setup, listening)));
  } else {
    return make_error(Errc::invalid_argument, fmt::format("no transport '{}'; there are {}", name,
                                                          fmt::join(transport_names(), ", ")));
  }
  return {};
}

static bool is_url(const Rendezvous& where) {
  return where.directory.find("://") != std::string::npos;
}

static Result<discovery::EtcdOptions> etcd_options(std::string_view members) {
  discovery::EtcdOptions options;
  options.endpoints.clear();
  for (;;) {
    const std::size_t comma = members.find(',');
    auto endpoint = discovery::parse_etcd_endpoint(members.substr(0, comma));
    if (!endpoint) return endpoint.error();
    options.endpoints.push_back(std::move(*endpoint));
    if (comma == std::string_view::npos) return options;
    members.remove_prefix(comma + 1);
  }
}

static Result<discovery::MulticastOptions> multicast_options(std::string_view group) {
  discovery::MulticastOptions options;
  if (group.empty()) return options;
  auto endpoint = Endpoint::parse("tcp://" + std::string(group));
  if (!endpoint) return endpoint.error();
  options.group_v4 = endpoint->host;
  options.group_v6.clear();
  options.port = endpoint->port;
  return options;
}

template <class T>
static Result<std::shared_ptr<PeerDiscovery>> shared(Result<std::unique_ptr<T>> made) {
  if (!made) return made.error();
  return std::shared_ptr<PeerDiscovery>(std::move(*made));
}

/// What follows the scheme; nothing if it is another's.
static std::optional<std::string_view> after(const Rendezvous& where, std::string_view scheme) {
  const std::string_view name = where.directory;
  if (!name.starts_with(scheme)) return std::nullopt;
  return name.substr(scheme.size());
}

static Error unknown_scheme(const Rendezvous& where) {
  return make_error(Errc::invalid_argument,
                    where.directory + ": a folder, multicast://, or etcd://ADDRESS:PORT");
}

}  // namespace node_setup_detail

const std::vector<std::string>& transport_names() {
  static const std::vector<std::string> names = {"shm", "uds", "quic", "tls", "tcp"};
  return names;
}

Result<void> set_up(VeloBuilder& builder, const NodeSetup& setup, const std::string& sockets,
                    Listening listening) {
  using namespace node_setup_detail;
  if (!setup.identity.empty()) {
    auto passphrase = passphrase_of(setup);
    if (!passphrase) return passphrase.error();
    builder.identity(setup.identity, std::move(*passphrase));
  }
  if (!setup.access.empty()) {
    auto text = read_text(setup.access);
    if (!text) return text.error();
    auto policy = AccessPolicy::from_json(*text);
    if (!policy) return policy.error();
    builder.access(std::move(*policy));
  }
  if (!setup.metrics.empty()) {
    auto where = Endpoint::parse("tcp://" + setup.metrics);
    if (!where) return where.error();
    telemetry::ScrapeOptions options;
    options.bind = std::move(*where);
    options.allow_plaintext_beyond_loopback = setup.plaintext;
    builder.serve_metrics(std::move(options));
  }
  builder.export_traces_from_environment();
  for (const std::string& name : chosen(setup, sockets, listening)) {
    if (auto added = add(builder, name, setup, sockets, listening); !added) return added;
  }
  return {};
}

std::unique_ptr<Transport> make_transport(const std::string& name, const std::string& sockets) {
  using namespace node_setup_detail;
  if (name == "uds") return transport::make_uds(uds_options(sockets, Listening::yes));
  if (name == "shm") return transport::make_shm(shm_options(sockets, Listening::yes));
  return transport::make_tcp();
}

bool is_there(const Rendezvous& where) {
  if (node_setup_detail::is_url(where)) return true;
  struct stat found;
  return ::stat(where.directory.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

Result<void> add_discovery(VeloBuilder& builder, const Rendezvous& where) {
  using namespace node_setup_detail;
  if (const auto members = after(where, "etcd://")) {
    auto options = etcd_options(*members);
    if (!options) return options.error();
    builder.etcd_discovery(std::move(*options), where.cluster);
  } else if (const auto group = after(where, "multicast://")) {
    auto options = multicast_options(*group);
    if (!options) return options.error();
    builder.multicast_discovery(std::move(*options), where.cluster);
  } else if (is_url(where)) {
    return unknown_scheme(where);
  } else {
    builder.filesystem_discovery(where.directory, where.cluster);
  }
  return {};
}

Result<std::shared_ptr<PeerDiscovery>> open_discovery(World& world, const Rendezvous& where) {
  using namespace node_setup_detail;
  if (const auto members = after(where, "etcd://")) {
    auto options = etcd_options(*members);
    if (!options) return options.error();
    return shared(discovery::EtcdDiscovery::create(world, where.cluster, *options));
  }
  if (const auto group = after(where, "multicast://")) {
    auto options = multicast_options(*group);
    if (!options) return options.error();
    return shared(discovery::MulticastDiscovery::create(world, where.cluster, *options));
  }
  if (is_url(where)) return unknown_scheme(where);
  return shared(discovery::FilesystemDiscovery::create(world, where.directory, where.cluster));
}

}  // namespace velo::cli
