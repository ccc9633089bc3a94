// SPDX-License-Identifier: Apache-2.0
// TrustStore: whom to believe: authorities, revocation lists, keys that are denied or needed.
// One judgement for every transport, whatever TLS library it uses: chain, time, purpose,
// revocation.
// Threading: immutable; verify() from any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/crypto/certificate.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace velo::crypto {

/// Who is at the other end, as its certificate says and an authority confirmed.
struct PeerIdentity {
  NodeId node;
  Bytes public_key;  ///< of the leaf, SubjectPublicKeyInfo
  std::string common_name;
  std::vector<std::string> names;
  std::string serial;
  WallTime expires;

  friend bool operator==(const PeerIdentity&, const PeerIdentity&) = default;
};

struct TrustOptions {
  std::vector<Certificate> authorities;
  /// The newest of each issuer counts. A list after its next update refuses that issuer's
  /// certificates (Errc::expired): not knowing is no permission.
  std::vector<RevocationList> revocations;
  /// Refuses issuers without a list.
  bool require_revocation_list = false;
  /// If not empty: only these, whatever their authority (self-signed ones need no other).
  std::vector<NodeId> pinned;
  std::vector<NodeId> denied;

  TrustOptions() = default;
};

class TrustStore {
 public:
  /// Errc::bad_signature for a list that none of the authorities signed; invalid_argument if nobody
  /// could ever be believed.
  static Result<std::shared_ptr<const TrustStore>> create(TrustOptions options);

  /// `chain`: the leaf first, then what the peer sent with it; at most limits::chain_length_max.
  /// `purpose`: what the peer acts as. Errc::untrusted, expired, not_yet_valid, wrong_purpose,
  /// revoked, malformed.
  Result<PeerIdentity> verify(std::span<const Certificate> chain, Purpose purpose,
                              WallTime now) const;

  const TrustOptions& options() const noexcept { return options_; }

 private:
  struct Native;
  explicit TrustStore(TrustOptions options);

  TrustOptions options_;
  std::shared_ptr<const Native> native_;
};

}  // namespace velo::crypto
