// SPDX-License-Identifier: Apache-2.0
// The tie between an instance and the key it proves itself with: an id made from an Ed25519 key
// that is new with each run, and the statement, signed by that key, that a greeting carries: who
// greets whom, in which role, over a connection on which which certificate is shown. Core: values
// in, values out. Bytes and rules: docs/protocols/messenger.md.
// Threading: pure functions.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/crypto/key.hpp>
#include <velo/crypto/node_id.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace velo::messenger {

/// What a greeting carries as "bind".
struct Binding {
  std::array<std::byte, 32> key{};
  std::array<std::byte, 64> signature{};

  friend bool operator==(const Binding&, const Binding&) = default;
};

/// Which half of a greeting the statement is part of, so that none can be played back as the other.
enum class BindingRole : std::uint8_t { request = 1, answer = 2 };

struct BindingStatement {
  InstanceId instance;  ///< who says so
  WorkerId receiver;    ///< to whom: the dialled worker; in answers, who asked
  BindingRole role = BindingRole::request;
  /// Of the certificate that the speaker shows on this connection; nil without one.
  NodeId channel;

  BindingStatement(const InstanceId& i, WorkerId r, BindingRole role_of, const NodeId& c) noexcept
      : instance(i), receiver(r), role(role_of), channel(c) {}
};

constexpr std::size_t binding_statement_bytes = 81;
/// What is signed.
std::array<std::byte, binding_statement_bytes> encode_statement(const BindingStatement& statement);

/// The id of whoever holds this key: a UUID of version 8. Errc::invalid_argument of base for a key
/// that is not Ed25519.
Result<InstanceId> instance_of_key(const crypto::PublicKey& key);
/// Whether such an id has to be proven: version 8. Random ids, and those of the public velo, are of
/// version 4.
bool must_be_proven(const InstanceId& id) noexcept;

Result<Binding> bind(const crypto::PrivateKey& key, const BindingStatement& statement);
/// Errc::not_authenticated: another key's id, or not this statement.
Result<void> verify(const Binding& binding, const BindingStatement& statement);

/// What a greeting says of who sends it, and what is known of the connection that brought it.
struct BindingClaim {
  const BindingStatement& statement;
  const std::optional<Binding>& binding;
  bool required;  ///< whatever the id's version
};
/// True: proven. False: merely claimed, by an id that may be. Errc::not_authenticated otherwise.
Result<bool> judge(const BindingClaim& claim);

}  // namespace velo::messenger
