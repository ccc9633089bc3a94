// SPDX-License-Identifier: Apache-2.0
// Owners of OpenSSL's objects, and its errors as ours. Every public function of the room opens an
// ErrorScope, so that nothing is left in the thread's error queue for others to find.
// Threading: pure, but for the error queue, which is the thread's own.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/crypto/error.hpp>

#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace velo::crypto {

template <auto free_function>
struct Deleter {
  template <class T>
  void operator()(T* object) const noexcept {
    free_function(object);
  }
};

inline void free_memory(void* memory) noexcept { OPENSSL_free(memory); }
inline void free_name_stack(STACK_OF(X509) * stack) noexcept { sk_X509_free(stack); }

using PkeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using PkeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, Deleter<X509_CRL_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using IntegerPtr = std::unique_ptr<ASN1_INTEGER, Deleter<ASN1_INTEGER_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, Deleter<ASN1_TIME_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using MemoryPtr = std::unique_ptr<unsigned char, Deleter<free_memory>>;
/// Borrows its certificates.
using BorrowedStackPtr = std::unique_ptr<STACK_OF(X509), Deleter<free_name_stack>>;

/// What OpenSSL queues while this lives is gone afterwards; what was there before stays.
class ErrorScope {
 public:
  ErrorScope() noexcept { ERR_set_mark(); }
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;
  ~ErrorScope() { ERR_pop_to_mark(); }
};

/// `code`, or velo::Errc::overloaded if OpenSSL ran out of memory, which says nothing of the input.
inline Error failure(Errc code, std::string context) {
  const unsigned long last = ERR_peek_last_error();
  if (last != 0 && ERR_GET_REASON(last) == ERR_R_MALLOC_FAILURE) {
    return make_error(velo::Errc::overloaded, "no memory for " + context);
  }
  if (const char* reason = ERR_reason_error_string(last); reason != nullptr) {
    context += ": ";
    context += reason;
  }
  return make_error(code, std::move(context));
}

/// Of what cannot fail but for memory or a defect.
inline Error internal_failure(std::string context) {
  Error error = failure(Errc::malformed, std::move(context));
  if (error.is(velo::Errc::overloaded)) return error;
  return make_error(velo::Errc::internal, error.context());
}

inline const unsigned char* input(ByteSpan bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

inline ByteSpan output(const unsigned char* data, std::size_t size) noexcept {
  return {reinterpret_cast<const std::byte*>(data), size};
}

/// What an `i2d_` function writes of `object`; empty if it failed.
template <auto encode, class T>
Bytes encoded(T* object) {
  unsigned char* memory = nullptr;
  const int size = encode(object, &memory);
  const MemoryPtr owner(memory);
  if (size <= 0) return {};
  return Bytes::copy(output(memory, static_cast<std::size_t>(size)));
}

/// Rounded down.
inline std::time_t seconds_of(WallTime time) noexcept {
  constexpr std::int64_t second = 1'000'000'000;
  const std::int64_t seconds = time.unix_nanoseconds / second;
  return time.unix_nanoseconds % second < 0 ? seconds - 1 : seconds;
}

/// Saturates at what WallTime holds (1678 to 2262); nothing for what is no time.
std::optional<WallTime> wall_time_of(const ASN1_TIME* time) noexcept;
WallTime plus(WallTime time, Duration duration) noexcept;

/// Upper-case hexadecimal digits, an even number; empty for a negative number or one of more than
/// 20 bytes.
std::string serial_text(const ASN1_INTEGER* serial);
/// Null for what serial_text() does not write.
IntegerPtr serial_of(std::string_view text);

}  // namespace velo::crypto
