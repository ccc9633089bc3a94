// SPDX-License-Identifier: Apache-2.0
// Revocation lists: reading, issuing, checking who signed them.

#include <openssl/bn.h>
#include <velo/crypto/certificate.hpp>
#include <velo/crypto/limits.hpp>

#include <algorithm>
#include <utility>

#include "certificate_names.hpp"
#include "handles.hpp"
#include "pem.hpp"

namespace velo::crypto {
namespace revocation_detail {

constexpr const char* label = "X509 CRL";

/// Goes over one element, whose contents are `inside`. False if there is none that fits.
static bool next(ByteSpan& rest, int& tag, ByteSpan& inside) {
  const unsigned char* at = input(rest);
  long size = 0;
  int kind = 0;
  const int flags = ASN1_get_object(&at, &size, &tag, &kind, static_cast<long>(rest.size()));
  constexpr int failed = 0x80;
  constexpr int without_length = 0x21;  // constructed, of a length that is not given
  if (rest.empty() || (flags & failed) != 0 || flags == without_length) return false;
  const auto header = static_cast<std::size_t>(at - input(rest));
  inside = rest.subspan(header, static_cast<std::size_t>(size));
  rest = rest.subspan(header + static_cast<std::size_t>(size));
  return true;
}

/// How many entries a list says that it has, without taking memory for them: what a list of small
/// ones would take is many times its size. Stops above the limit; what is no list has none.
static std::size_t entries_in(ByteSpan der) {
  int tag = 0;
  ByteSpan list;
  ByteSpan rest;
  if (!next(der, tag, list) || !next(list, tag, rest)) return 0;
  ByteSpan part;
  // The entries are the third sequence, after algorithm and issuer; times and a version are none.
  for (int sequences = 0; sequences < 3;) {
    if (!next(rest, tag, part)) return 0;
    if (tag == V_ASN1_SEQUENCE) ++sequences;
  }
  std::size_t count = 0;
  for (ByteSpan entry; count <= limits::revoked_max && next(part, tag, entry);) ++count;
  return count;
}

/// An extension that changes what a list means is critical; none is understood here.
static bool has_critical(const STACK_OF(X509_EXTENSION) * extensions) {
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions); ++i) {
    if (X509_EXTENSION_get_critical(sk_X509_EXTENSION_value(extensions, i)) != 0) return true;
  }
  return false;
}

static Result<void> check_entries(X509_CRL* list) {
  const STACK_OF(X509_REVOKED)* const entries = X509_CRL_get_REVOKED(list);
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED* const entry = sk_X509_REVOKED_value(entries, i);
    if (serial_text(X509_REVOKED_get0_serialNumber(entry)).empty() ||
        has_critical(X509_REVOKED_get0_extensions(entry))) {
      return make_error(Errc::malformed, "an entry of a revocation list");
    }
  }
  return {};
}

static std::uint64_t number_of(const X509_CRL* list) {
  const IntegerPtr number(
      static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(list, NID_crl_number, nullptr, nullptr)));
  std::uint64_t value = 0;
  if (number == nullptr || ASN1_INTEGER_get_uint64(&value, number.get()) != 1) return 0;
  return value;
}

static Result<void> read_into(RevocationListHandle& handle, X509_CRL* list) {
  const auto this_update = wall_time_of(X509_CRL_get0_lastUpdate(list));
  const auto next_update = wall_time_of(X509_CRL_get0_nextUpdate(list));
  if (!this_update.has_value() || !next_update.has_value()) {
    return failure(Errc::malformed, "a revocation list's times");
  }
  if (has_critical(X509_CRL_get0_extensions(list))) {
    return make_error(Errc::malformed, "a revocation list with a meaning unknown here");
  }
  handle.this_update = *this_update;
  handle.next_update = *next_update;
  handle.number = number_of(list);
  return check_entries(list);
}

static Result<void> check(const PrivateKey& issuer_key, const Certificate& issuer,
                          const RevocationOptions& options) {
  if (!issuer_key.valid() || issuer.public_key() != issuer_key.public_key()) {
    return make_error(velo::Errc::invalid_argument,
                      "the issuer's key and certificate do not belong together");
  }
  if (!issuer.is_authority()) {
    return make_error(Errc::wrong_purpose, "the issuer is no authority");
  }
  if (options.serials.size() > limits::revoked_max) {
    return make_error(velo::Errc::invalid_argument, "too many serial numbers on one list");
  }
  if (options.lifetime <= Duration::zero()) {
    return make_error(velo::Errc::invalid_argument, "a lifetime must be positive");
  }
  return {};
}

static Result<void> add_entry(X509_CRL* list, const std::string& serial, const ASN1_TIME* when) {
  const IntegerPtr number = serial_of(serial);
  if (number == nullptr) {
    return make_error(velo::Errc::invalid_argument,
                      "'" + serial.substr(0, 80) + "' is no serial number");
  }
  std::unique_ptr<X509_REVOKED, Deleter<X509_REVOKED_free>> entry(X509_REVOKED_new());
  if (entry == nullptr || X509_REVOKED_set_serialNumber(entry.get(), number.get()) != 1 ||
      X509_REVOKED_set_revocationDate(entry.get(), const_cast<ASN1_TIME*>(when)) != 1 ||
      X509_CRL_add0_revoked(list, entry.get()) != 1) {
    return internal_failure("a revocation list");
  }
  static_cast<void>(entry.release());
  return {};
}

static bool set_header(X509_CRL* list, const Certificate& issuer, const ASN1_TIME* now,
                       const ASN1_TIME* next, std::uint64_t number) {
  X509* const from = native_certificate(issuer);
  const IntegerPtr value(ASN1_INTEGER_new());
  constexpr long version_2 = 1;
  X509V3_CTX context;
  X509V3_set_ctx(&context, from, nullptr, nullptr, list, 0);
  const std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> identifier(
      X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid"));
  return value != nullptr && ASN1_INTEGER_set_uint64(value.get(), number) == 1 &&
         X509_CRL_set_version(list, version_2) == 1 &&
         X509_CRL_set_issuer_name(list, X509_get_subject_name(from)) == 1 &&
         X509_CRL_set1_lastUpdate(list, now) == 1 && X509_CRL_set1_nextUpdate(list, next) == 1 &&
         X509_CRL_add1_ext_i2d(list, NID_crl_number, value.get(), 0, X509V3_ADD_DEFAULT) == 1 &&
         identifier != nullptr && X509_CRL_add_ext(list, identifier.get(), -1) == 1;
}

}  // namespace revocation_detail

Result<RevocationList> RevocationList::from_der(ByteSpan der) {
  const ErrorScope scope;
  if (der.size() > limits::file_bytes_max ||
      revocation_detail::entries_in(der) > limits::revoked_max) {
    return make_error(Errc::malformed, "a revocation list is too large");
  }
  const unsigned char* at = input(der);
  CrlPtr parsed(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  if (parsed == nullptr || at != input(der) + der.size()) {
    return failure(Errc::malformed, "no revocation list");
  }
  auto handle = std::make_shared<RevocationListHandle>();
  auto read = revocation_detail::read_into(*handle, parsed.get());
  if (!read.has_value()) return read.error();
  handle->list = std::move(parsed);
  RevocationList result;
  result.handle_ = std::move(handle);
  result.der_ = Bytes::copy(der);
  return result;
}

Result<RevocationList> RevocationList::from_pem(std::string_view pem) {
  const auto blocks = read_pem(pem, revocation_detail::label, 1, limits::file_bytes_max);
  if (!blocks.has_value()) return blocks.error();
  return from_der(blocks->front());
}

Result<std::vector<RevocationList>> read_revocation_lists(std::string_view pem) {
  const auto blocks =
      read_pem(pem, revocation_detail::label, limits::revocation_lists_max, limits::file_bytes_max);
  if (!blocks.has_value()) return blocks.error();
  std::vector<RevocationList> lists;
  for (const Bytes& block : *blocks) {
    auto list = RevocationList::from_der(block);
    if (!list.has_value()) return list.error();
    lists.push_back(std::move(*list));
  }
  return lists;
}

std::string RevocationList::to_pem() const {
  return valid() ? write_pem(revocation_detail::label, der_) : std::string();
}

std::vector<std::string> RevocationList::serials() const {
  const ErrorScope scope;
  std::vector<std::string> serials;
  if (!valid()) return serials;
  const STACK_OF(X509_REVOKED)* const entries = X509_CRL_get_REVOKED(handle_->list.get());
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    serials.push_back(
        serial_text(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i))));
  }
  return serials;
}

bool RevocationList::revokes(std::string_view serial) const {
  const ErrorScope scope;
  const IntegerPtr number = serial_of(serial);
  if (!valid() || number == nullptr) return false;
  X509_REVOKED* found = nullptr;
  return X509_CRL_get0_by_serial(handle_->list.get(), &found, number.get()) != 0;
}

std::string RevocationList::issuer_common_name() const {
  const ErrorScope scope;
  if (!valid()) return {};
  return common_name_of(X509_CRL_get_issuer(handle_->list.get())).value_or(std::string());
}

Result<void> RevocationList::verify(const Certificate& issuer) const {
  const ErrorScope scope;
  X509* const from = native_certificate(issuer);
  if (!valid() || from == nullptr) return make_error(Errc::malformed, "no revocation list");
  X509_CRL* const list = handle_->list.get();
  if (!issuer.is_authority() || (X509_get_key_usage(from) & KU_CRL_SIGN) == 0 ||
      X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(from)) != 0 ||
      X509_CRL_verify(list, X509_get0_pubkey(from)) != 1) {
    return failure(Errc::bad_signature, "a revocation list not of this authority");
  }
  return {};
}

std::uint64_t RevocationList::number() const { return handle_ ? handle_->number : 0; }

WallTime RevocationList::this_update() const { return handle_ ? handle_->this_update : WallTime(); }

WallTime RevocationList::next_update() const { return handle_ ? handle_->next_update : WallTime(); }

void* RevocationList::native() const noexcept { return handle_ ? handle_->list.get() : nullptr; }

Result<RevocationList> revoke(const PrivateKey& issuer_key, const Certificate& issuer,
                              const RevocationOptions& options) {
  const ErrorScope scope;
  if (auto checked = revocation_detail::check(issuer_key, issuer, options); !checked.has_value()) {
    return checked.error();
  }
  const CrlPtr list(X509_CRL_new());
  const TimePtr now(ASN1_TIME_set(nullptr, seconds_of(options.now)));
  const TimePtr next(ASN1_TIME_set(nullptr, seconds_of(plus(options.now, options.lifetime))));
  if (list == nullptr || now == nullptr || next == nullptr ||
      !revocation_detail::set_header(list.get(), issuer, now.get(), next.get(), options.number)) {
    return internal_failure("a revocation list");
  }
  std::vector<std::string> serials = options.serials;
  std::ranges::sort(serials);
  serials.erase(std::ranges::unique(serials).begin(), serials.end());
  for (const std::string& serial : serials) {
    auto added = revocation_detail::add_entry(list.get(), serial, now.get());
    if (!added.has_value()) return added.error();
  }
  if (X509_CRL_sort(list.get()) != 1 ||
      X509_CRL_sign(list.get(), native_key(issuer_key), digest_of(issuer_key.kind())) <= 0) {
    return internal_failure("signing a revocation list");
  }
  const Bytes der = encoded<i2d_X509_CRL>(list.get());
  if (der.empty()) return internal_failure("writing a revocation list");
  return RevocationList::from_der(der);
}

}  // namespace velo::crypto
