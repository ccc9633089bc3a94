// SPDX-License-Identifier: Apache-2.0
// Issuing certificates.

#include <openssl/obj_mac.h>
#include <velo/base/world.hpp>
#include <velo/crypto/certificate.hpp>
#include <velo/crypto/limits.hpp>

#include <array>
#include <chrono>

#include "certificate_names.hpp"
#include "handles.hpp"
#include "system_random.hpp"

namespace velo::crypto {
namespace issue_detail {

constexpr Duration clock_difference = std::chrono::minutes(5);

static Error invalid(std::string context) {
  return make_error(velo::Errc::invalid_argument, std::move(context));
}

static Result<void> check(const PrivateKey& issuer_key, const Certificate* issuer,
                          const PublicKey& subject, const IssueOptions& options) {
  if (!issuer_key.valid() || !subject.valid()) return invalid("a key is missing");
  if (options.lifetime <= Duration::zero()) return invalid("a lifetime must be positive");
  if (options.common_name.size() > limits::common_name_bytes_max) {
    return invalid("a common name is too long");
  }
  if (options.path_length < 0) return invalid("a path length must not be negative");
  if (issuer == nullptr) {
    if (subject == issuer_key.public_key()) return {};
    return invalid("who signs itself signs its own key");
  }
  if (issuer->public_key() != issuer_key.public_key()) {
    return invalid("the issuer's key and certificate do not belong together");
  }
  if (!issuer->is_authority()) {
    return make_error(Errc::wrong_purpose, "the issuer is no authority");
  }
  const long left = X509_get_pathlen(native_certificate(*issuer));
  if (options.purpose == Purpose::authority && left >= 0 && options.path_length >= left) {
    return make_error(Errc::wrong_purpose, "the issuer's path length allows no such authority");
  }
  return {};
}

/// Of 16 bytes, whatever is drawn: certificates of one shape have one size.
static Result<void> set_serial(X509* certificate, Random* random) {
  std::array<std::uint8_t, 16> bytes{};
  if (random != nullptr) {
    random->fill(std::as_writable_bytes(std::span(bytes)));
  } else if (auto drawn = fill_from_system(bytes); !drawn.has_value()) {
    return drawn.error();
  }
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x3fU) | 0x40U);
  const NumberPtr number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  if (number == nullptr ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return internal_failure("a serial number");
  }
  return {};
}

static Result<void> set_names(X509* certificate, const Certificate* issuer,
                              const std::string& common_name) {
  X509_NAME* const subject = X509_get_subject_name(certificate);
  if (!common_name.empty() &&
      X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) != 1) {
    return invalid("a common name is UTF-8 of at most 64 characters");
  }
  const X509_NAME* const from =
      issuer == nullptr ? subject : X509_get_subject_name(native_certificate(*issuer));
  if (X509_set_issuer_name(certificate, from) != 1) return internal_failure("a name");
  return {};
}

static Result<void> set_times(X509* certificate, const IssueOptions& options) {
  const WallTime begin = plus(options.not_before, -clock_difference);
  const WallTime end = plus(options.not_before, options.lifetime);
  if (ASN1_TIME_set(X509_getm_notBefore(certificate), seconds_of(begin)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), seconds_of(end)) == nullptr) {
    return invalid("a certificate cannot hold these times");
  }
  return {};
}

struct Added {
  int id;
  const char* value;
};

/// Of our own texts only: what comes from outside is never put through this small language.
static bool add(X509* certificate, X509* issuer, std::span<const Added> extensions) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const Added& added : extensions) {
    const std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, &context, added.id, added.value));
    if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) return false;
  }
  return true;
}

static const char* extended_usage(Purpose purpose) {
  switch (purpose) {
    case Purpose::client: return "clientAuth";
    case Purpose::server: return "serverAuth";
    case Purpose::peer:
    case Purpose::authority: break;
  }
  return "serverAuth,clientAuth";
}

static Result<void> set_extensions(X509* certificate, const Certificate* issuer,
                                   const IssueOptions& options) {
  X509* const from = issuer == nullptr ? certificate : native_certificate(*issuer);
  const std::string authority = "critical,CA:TRUE,pathlen:" + std::to_string(options.path_length);
  const std::array<Added, 4> of_authority{{{NID_basic_constraints, authority.c_str()},
                                           {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                           {NID_subject_key_identifier, "hash"},
                                           {NID_authority_key_identifier, "keyid"}}};
  const std::array<Added, 5> of_leaf{{{NID_basic_constraints, "critical,CA:FALSE"},
                                      {NID_key_usage, "critical,digitalSignature"},
                                      {NID_ext_key_usage, extended_usage(options.purpose)},
                                      {NID_subject_key_identifier, "hash"},
                                      {NID_authority_key_identifier, "keyid"}}};
  const bool added = options.purpose == Purpose::authority ? add(certificate, from, of_authority)
                                                           : add(certificate, from, of_leaf);
  if (!added) return internal_failure("extensions");
  return add_alternative_names(certificate, options.names);
}

static Result<X509Ptr> unsigned_certificate(const Certificate* issuer, const PublicKey& subject,
                                            const IssueOptions& options) {
  X509Ptr certificate(X509_new());
  if (certificate == nullptr) return internal_failure("a certificate");
  const unsigned char* at = input(subject.der());
  const PkeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(subject.der().size())));
  constexpr long version_3 = 2;
  if (key == nullptr || X509_set_version(certificate.get(), version_3) != 1 ||
      X509_set_pubkey(certificate.get(), key.get()) != 1) {
    return internal_failure("a certificate");
  }
  for (const Result<void>& set : {set_serial(certificate.get(), options.random),
                                  set_names(certificate.get(), issuer, options.common_name),
                                  set_times(certificate.get(), options)}) {
    if (!set.has_value()) return set.error();
  }
  // Last: the identifiers are made from what was set before.
  if (auto set = set_extensions(certificate.get(), issuer, options); !set.has_value()) {
    return set.error();
  }
  return certificate;
}

}  // namespace issue_detail

Result<Certificate> issue(const PrivateKey& issuer_key, const Certificate* issuer,
                          const PublicKey& subject, const IssueOptions& options) {
  const ErrorScope scope;
  if (auto checked = issue_detail::check(issuer_key, issuer, subject, options);
      !checked.has_value()) {
    return checked.error();
  }
  const auto certificate = issue_detail::unsigned_certificate(issuer, subject, options);
  if (!certificate.has_value()) return certificate.error();
  if (X509_sign(certificate->get(), native_key(issuer_key), digest_of(issuer_key.kind())) <= 0) {
    return internal_failure("signing a certificate");
  }
  const Bytes der = encoded<i2d_X509>(certificate->get());
  if (der.empty()) return internal_failure("writing a certificate");
  auto read = Certificate::from_der(der);
  if (!read.has_value() && read.error().is(Errc::malformed)) {
    return make_error(velo::Errc::invalid_argument, read.error().context());
  }
  return read;
}

}  // namespace velo::crypto
