// SPDX-License-Identifier: Apache-2.0
// Certificates: what is read from one, once, when it is made.

#include <velo/crypto/certificate.hpp>

#include <openssl/objects.h>
#include <velo/crypto/limits.hpp>

#include <array>
#include <utility>

#include "certificate_names.hpp"
#include "handles.hpp"
#include "pem.hpp"

namespace velo::crypto {
namespace certificate_detail {

constexpr const char* label = "CERTIFICATE";

static Result<PublicKey> public_key_of(X509* certificate) {
  const Bytes der = encoded<i2d_X509_PUBKEY>(X509_get_X509_PUBKEY(certificate));
  if (der.empty()) return failure(Errc::malformed, "a certificate's key");
  return PublicKey::from_der(der);
}

/// Fills in all but the certificate itself.
static Result<void> read_into(CertificateHandle& handle, X509* certificate) {
  // Reads the extensions, which later reads from several threads share.
  if (X509_check_purpose(certificate, -1, 0) != 1) {
    return failure(Errc::malformed, "a certificate's extensions");
  }
  handle.serial = serial_text(X509_get0_serialNumber(certificate));
  if (handle.serial.empty()) return failure(Errc::malformed, "a certificate's serial number");
  const auto not_before = wall_time_of(X509_get0_notBefore(certificate));
  const auto not_after = wall_time_of(X509_get0_notAfter(certificate));
  if (!not_before.has_value() || !not_after.has_value()) {
    return failure(Errc::malformed, "a certificate's times");
  }
  handle.not_before = *not_before;
  handle.not_after = *not_after;
  auto subject = common_name_of(X509_get_subject_name(certificate));
  if (!subject.has_value()) return subject.error();
  auto issuer = common_name_of(X509_get_issuer_name(certificate));
  if (!issuer.has_value()) return issuer.error();
  auto names = alternative_names_of(certificate);
  if (!names.has_value()) return names.error();
  handle.common_name = std::move(*subject);
  handle.issuer_common_name = std::move(*issuer);
  handle.names = std::move(*names);
  return {};
}

/// Whether the extension says so, or is missing.
static bool may(X509* certificate, std::uint32_t extended) {
  const std::uint32_t usage = X509_get_key_usage(certificate);
  return (X509_get_extended_key_usage(certificate) & extended) == extended &&
         (usage & KU_DIGITAL_SIGNATURE) != 0;
}

}  // namespace certificate_detail

Result<Certificate> Certificate::from_der(ByteSpan der) {
  const ErrorScope scope;
  if (der.size() > limits::certificate_bytes_max) {
    return make_error(Errc::malformed, "a certificate is too large");
  }
  const unsigned char* at = input(der);
  X509Ptr parsed(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (parsed == nullptr || at != input(der) + der.size()) {
    return failure(Errc::malformed, "no certificate");
  }
  auto handle = std::make_shared<CertificateHandle>();
  auto read = certificate_detail::read_into(*handle, parsed.get());
  if (!read.has_value()) return read.error();
  auto public_key = certificate_detail::public_key_of(parsed.get());
  if (!public_key.has_value()) return public_key.error();
  handle->certificate = std::move(parsed);
  Certificate result;
  result.handle_ = std::move(handle);
  result.public_key_ = std::move(*public_key);
  result.der_ = Bytes::copy(der);
  return result;
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  const auto blocks = read_pem(pem, certificate_detail::label, 1, limits::certificate_bytes_max);
  if (!blocks.has_value()) return blocks.error();
  return from_der(blocks->front());
}

Result<std::vector<Certificate>> Certificate::chain_from_pem(std::string_view pem) {
  return read_certificates(pem, limits::chain_length_max);
}

Result<std::vector<Certificate>> read_certificates(std::string_view pem, std::size_t count_max) {
  const auto blocks =
      read_pem(pem, certificate_detail::label, count_max, limits::certificate_bytes_max);
  if (!blocks.has_value()) return blocks.error();
  std::vector<Certificate> chain;
  for (const Bytes& block : *blocks) {
    auto certificate = Certificate::from_der(block);
    if (!certificate.has_value()) return certificate.error();
    chain.push_back(std::move(*certificate));
  }
  return chain;
}

std::string Certificate::to_pem() const {
  return valid() ? write_pem(certificate_detail::label, der_) : std::string();
}

std::string Certificate::common_name() const { return handle_ ? handle_->common_name : ""; }

std::string Certificate::issuer_common_name() const {
  return handle_ ? handle_->issuer_common_name : "";
}

std::vector<std::string> Certificate::names() const {
  return handle_ ? handle_->names : std::vector<std::string>();
}

std::string Certificate::serial() const { return handle_ ? handle_->serial : ""; }

WallTime Certificate::not_before() const { return handle_ ? handle_->not_before : WallTime(); }

WallTime Certificate::not_after() const { return handle_ ? handle_->not_after : WallTime(); }

bool Certificate::is_authority() const {
  if (!valid()) return false;
  const ErrorScope scope;
  X509* const certificate = handle_->certificate.get();
  return X509_check_ca(certificate) == 1 &&
         (X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN) != 0;
}

bool Certificate::allows(Purpose purpose) const {
  if (!valid()) return false;
  const ErrorScope scope;
  X509* const certificate = handle_->certificate.get();
  switch (purpose) {
    case Purpose::peer:
      return certificate_detail::may(certificate, XKU_SSL_CLIENT | XKU_SSL_SERVER);
    case Purpose::client: return certificate_detail::may(certificate, XKU_SSL_CLIENT);
    case Purpose::server: return certificate_detail::may(certificate, XKU_SSL_SERVER);
    case Purpose::authority: return is_authority();
  }
  return false;
}

void* Certificate::native() const noexcept {
  return handle_ ? handle_->certificate.get() : nullptr;
}

}  // namespace velo::crypto
