// SPDX-License-Identifier: Apache-2.0
// From words of the command line to the parts of a node: transports by name, identity, access
// rules, discovery by URL.
// Threading: the main thread.
#pragma once

#include "commands.hpp"

#include <velo/velo.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace velo::cli {

/// "shm", "uds", "quic", "tls", "tcp": the fastest first.
const std::vector<std::string>& transport_names();

enum class Listening : bool { no, yes };

/// Adds identity, access rules and transports to the builder. Sockets of shm and uds stand in
/// `sockets`. An error says which word is wrong.
Result<void> set_up(VeloBuilder& builder, const NodeSetup& setup, const std::string& sockets,
                    Listening listening);

/// A transport that needs no identity, by its name; listens.
std::unique_ptr<Transport> make_transport(const std::string& name, const std::string& sockets);

/// Whether there is such a folder; who announces itself makes it, who looks should find it.
bool is_there(const Rendezvous& where);
/// Adds the discovery: a folder, "multicast://" (or "multicast://ADDRESS:PORT", an IPv4 group), or
/// "etcd://ADDRESS:PORT[,ADDRESS:PORT...]".
Result<void> add_discovery(VeloBuilder& builder, const Rendezvous& where);
/// The same for who only looks, and is not announced.
Result<std::shared_ptr<PeerDiscovery>> open_discovery(World& world, const Rendezvous& where);

}  // namespace velo::cli
