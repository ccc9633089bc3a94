// SPDX-License-Identifier: Apache-2.0
// Times and serial numbers between OpenSSL and us.

#include "openssl.hpp"

#include <openssl/asn1.h>
#include <openssl/bn.h>

#include <cstdint>
#include <limits>

namespace velo::crypto {
namespace openssl_detail {

/// Of a serial number (RFC 5280, 4.1.2.2).
constexpr int serial_bytes_max = 20;

}  // namespace openssl_detail

std::optional<WallTime> wall_time_of(const ASN1_TIME* time) noexcept {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  const std::int64_t seconds = ::timegm(&parts);
  constexpr std::int64_t second = 1'000'000'000;
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / second;
  if (seconds > most) return WallTime{std::numeric_limits<std::int64_t>::max()};
  if (seconds < -most) return WallTime{std::numeric_limits<std::int64_t>::min()};
  return WallTime{seconds * second};
}

WallTime plus(WallTime time, Duration duration) noexcept {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(time.unix_nanoseconds, duration.count(), &sum)) {
    sum = duration.count() > 0 ? std::numeric_limits<std::int64_t>::max()
                               : std::numeric_limits<std::int64_t>::min();
  }
  return WallTime{sum};
}

std::string serial_text(const ASN1_INTEGER* serial) {
  const NumberPtr number(ASN1_INTEGER_to_BN(serial, nullptr));
  if (number == nullptr || BN_is_negative(number.get()) != 0 ||
      BN_num_bytes(number.get()) > openssl_detail::serial_bytes_max) {
    return {};
  }
  const std::unique_ptr<char, Deleter<free_memory>> text(BN_bn2hex(number.get()));
  return text == nullptr ? std::string() : std::string(text.get());
}

IntegerPtr serial_of(std::string_view text) {
  constexpr std::size_t digits_max = std::size_t{2} * openssl_detail::serial_bytes_max;
  if (text.empty() || text.size() > digits_max) return nullptr;
  if (text.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) return nullptr;
  BIGNUM* number = nullptr;
  const int read = BN_hex2bn(&number, std::string(text).c_str());
  const NumberPtr owner(number);
  if (read != static_cast<int>(text.size())) return nullptr;
  return IntegerPtr(BN_to_ASN1_INTEGER(number, nullptr));
}

}  // namespace velo::crypto
