// SPDX-License-Identifier: Apache-2.0
// Proofs that go out, proofs that come in.

#include "guard.hpp"

#include "loopback.hpp"

#include <velo/base/log.hpp>

#include <utility>

namespace velo::messenger {

Guard::Guard(GuardOptions options) : options_(std::move(options)) {}

Offer Guard::signed_offer(Offer offer, const InstanceId& self, WorkerId receiver, BindingRole role,
                          const transport::Connection& connection) const {
  if (!has_key()) return offer;
  const Bytes& shown = connection.security().own_public_key;
  auto binding = bind(options_.instance_key,
                      {self, receiver, role, shown.empty() ? NodeId() : NodeId::of(shown)});
  if (binding) {
    offer.bind = *binding;
  } else {
    VELO_LOG_ERROR(messenger, "cannot sign a greeting", {"error", binding.error().to_string()});
  }
  return offer;
}

Result<bool> Guard::judge(const InstanceId& other, const std::optional<Offer>& offer, WorkerId self,
                          BindingRole role, const transport::Connection& connection) const {
  const auto& shown = connection.security().peer;
  const BindingStatement statement(other, self, role, shown != nullptr ? shown->node : NodeId());
  const bool required = shown != nullptr && options_.require_authentication.value_or(has_key());
  const std::optional<Binding> none;
  return messenger::judge({statement, offer ? offer->bind : none, required});
}

ConnectionIdentity identity_of(const transport::Connection& connection) {
  const transport::ConnectionSecurity& security = connection.security();
  ConnectionIdentity identity;
  identity.certificate = security.peer;
  identity.user = security.user;
  identity.is_private = security.is_private;
  identity.same_host = security.same_host;
  identity.self = connection.transport_key() == loopback_key;
  identity.transport = connection.transport_key();
  identity.protocol = security.protocol;
  return identity;
}

}  // namespace velo::messenger
