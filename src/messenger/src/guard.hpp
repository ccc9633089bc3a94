// SPDX-License-Identifier: Apache-2.0
// Guard: how this messenger proves who it is, and what it asks others to prove. Decides from what a
// greeting and its connection say; sends nothing.
// Threading: immutable.
#pragma once

#include "hello.hpp"

#include <velo/crypto/key.hpp>
#include <velo/messenger/access.hpp>
#include <velo/messenger/identity.hpp>
#include <velo/transport/connection.hpp>

#include <optional>

namespace velo::messenger {

struct GuardOptions {
  crypto::PrivateKey instance_key;             ///< none: a random id, which proves nothing
  std::optional<bool> require_authentication;  ///< default: whether there is an instance key
  AccessPolicy access;
};

class Guard {
 public:
  explicit Guard(GuardOptions options);

  bool has_key() const noexcept { return options_.instance_key.valid(); }
  /// Of the key. Errors of instance_of_key().
  Result<InstanceId> own_instance() const {
    return instance_of_key(options_.instance_key.public_key());
  }

  /// `offer` with the proof that goes with it to `receiver` over this connection.
  Offer signed_offer(Offer offer, const InstanceId& self, WorkerId receiver, BindingRole role,
                     const transport::Connection& connection) const;
  /// Whether `other`, as it calls itself in its half of a greeting to `self` over this connection,
  /// has proven that; Errc::not_authenticated if it had to.
  Result<bool> judge(const InstanceId& other, const std::optional<Offer>& offer, WorkerId self,
                     BindingRole role, const transport::Connection& connection) const;

  /// Whether calls of the application's handlers have to be looked at, beyond what the handlers
  /// say themselves.
  bool has_rules() const noexcept { return !options_.access.empty(); }
  const AccessPolicy& access() const noexcept { return options_.access; }

 private:
  GuardOptions options_;
};

/// What the transport says of the other end.
ConnectionIdentity identity_of(const transport::Connection& connection);

}  // namespace velo::messenger
