// SPDX-License-Identifier: Apache-2.0
// What a node's builder has collected.
// Threading: belongs to the builder.
#pragma once

#include <velo/velo.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace velo {

struct VeloBuilder::Parts {
  std::vector<TransportFactory> transports;
  std::string identity_folder;
  std::optional<std::string> passphrase;
  std::shared_ptr<crypto::CredentialSource> credentials;
  crypto::PrivateKey instance_key;
  std::optional<AccessPolicy> access;
  using Discovering =
      std::move_only_function<Result<std::shared_ptr<PeerDiscovery>>(const NodeParts& node)>;
  std::vector<Discovering> discoveries;
  World* world = nullptr;
  RuntimeOptions runtime;
  std::optional<std::size_t> calls_max;
  std::size_t memory_bytes = limits::memory_budget_bytes_default;
  std::size_t peer_memory_bytes = 0;
  RendezvousOptions large_data;
  metrics::Registry* registry = nullptr;
  std::optional<telemetry::ScrapeOptions> scraped;
  std::optional<telemetry::ExportOptions> exported;
  bool exported_if_possible = false;  ///< the environment asked, not the program
  trace::Sampling sampling;

  NodeParts node(World& in) const { return {in, credentials, instance_key}; }
  Result<std::shared_ptr<PeerDiscovery>> make_discovery(World& in);
  Result<void> load_identity(World& in);
  /// Null: spans are not asked for.
  Result<std::shared_ptr<telemetry::TraceExporter>> open_exporter(World& in) const;
  Result<void> add_transports(World& in, MessengerBuilder& to);
};

}  // namespace velo
