// SPDX-License-Identifier: Apache-2.0
// X.509 certificates and revocation lists: reading, issuing, writing. Whether one is to be believed
// is for TrustStore (trust.hpp).
// Threading: immutable values.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/crypto/key.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace velo {
class Random;
}

namespace velo::crypto {

/// What a certificate may be used for. `peer` is what velo's own authority issues: client and
/// server.
enum class Purpose : std::uint8_t { peer, client, server, authority };

struct CertificateHandle;

class Certificate {
 public:
  Certificate() noexcept = default;
  /// One DER certificate of at most limits::certificate_bytes_max, with at most limits::names_max
  /// names. Errc::malformed, unsupported_key.
  static Result<Certificate> from_der(ByteSpan der);
  static Result<Certificate> from_pem(std::string_view pem);
  /// One or more, in their order; at most limits::chain_length_max.
  static Result<std::vector<Certificate>> chain_from_pem(std::string_view pem);

  bool valid() const noexcept { return handle_ != nullptr; }
  const Bytes& der() const noexcept { return der_; }
  std::string to_pem() const;

  const PublicKey& public_key() const noexcept { return public_key_; }
  NodeId node_id() const { return public_key_.node_id(); }
  /// The subject's common name; empty if it has none.
  std::string common_name() const;
  std::string issuer_common_name() const;
  /// DNS names, then addresses as text, then URIs.
  std::vector<std::string> names() const;
  /// Upper-case hexadecimal digits.
  std::string serial() const;
  WallTime not_before() const;
  WallTime not_after() const;
  bool is_authority() const;
  /// As its extended key usage says; a certificate without one allows client and server.
  bool allows(Purpose purpose) const;

  /// X509*, borrowed; for transports that hand it to a TLS library.
  void* native() const noexcept;

  friend bool operator==(const Certificate& a, const Certificate& b) noexcept {
    return a.der_ == b.der_;
  }

 private:
  std::shared_ptr<const CertificateHandle> handle_;
  PublicKey public_key_;
  Bytes der_;
};

struct IssueOptions {
  std::string common_name;
  /// DNS names, numeric addresses and URIs ("velo:..."), told apart by their form.
  std::vector<std::string> names;
  Purpose purpose = Purpose::peer;
  /// Of an authority: how many authorities may stand between it and a leaf.
  int path_length = 0;
  WallTime not_before;  ///< five minutes earlier is written, for clocks that differ
  Duration lifetime = std::chrono::hours(24 * 90);

  /// Draws the serial number; null: the system's randomness, so not in simulation.
  Random* random = nullptr;

  IssueOptions() = default;
};

/// Signed by `issuer_key`, whose certificate is `issuer`; itself if that is null, and then
/// `subject` is the issuer's own key. The serial number is random. Errc::wrong_purpose if the
/// issuer is no authority, or none that may have another below it; velo::Errc::invalid_argument.
Result<Certificate> issue(const PrivateKey& issuer_key, const Certificate* issuer,
                          const PublicKey& subject, const IssueOptions& options);

struct RevocationListHandle;

/// What an issuer has withdrawn.
class RevocationList {
 public:
  RevocationList() noexcept = default;
  /// One DER list of at most limits::file_bytes_max and limits::revoked_max entries; lists of
  /// changes and lists for others are not understood. Errc::malformed.
  static Result<RevocationList> from_der(ByteSpan der);
  static Result<RevocationList> from_pem(std::string_view pem);
  bool valid() const noexcept { return handle_ != nullptr; }
  const Bytes& der() const noexcept { return der_; }
  std::string to_pem() const;
  std::vector<std::string> serials() const;
  /// `serial` as Certificate::serial() writes it.
  bool revokes(std::string_view serial) const;
  std::string issuer_common_name() const;
  /// By an authority of that name, with that key, that may sign lists. Errc::bad_signature.
  Result<void> verify(const Certificate& issuer) const;
  /// 0 if it has none, or one that 64 bits do not hold.
  std::uint64_t number() const;
  WallTime this_update() const;
  WallTime next_update() const;
  void* native() const noexcept;  ///< X509_CRL*, borrowed

 private:
  std::shared_ptr<const RevocationListHandle> handle_;
  Bytes der_;
};

struct RevocationOptions {
  std::vector<std::string> serials;  ///< as Certificate::serial(), at most limits::revoked_max
  std::uint64_t number = 1;          ///< grows with each list of an issuer
  WallTime now;
  Duration lifetime = std::chrono::hours(24 * 7);

  RevocationOptions() = default;
};

/// Errc::wrong_purpose if the issuer is no authority; velo::Errc::invalid_argument.
Result<RevocationList> revoke(const PrivateKey& issuer_key, const Certificate& issuer,
                              const RevocationOptions& options);

}  // namespace velo::crypto
