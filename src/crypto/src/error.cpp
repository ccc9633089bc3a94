// SPDX-License-Identifier: Apache-2.0
// Names of the error codes.

#include <velo/crypto/error.hpp>

namespace velo::crypto {
namespace error_detail {

static std::string_view name(std::uint16_t value) noexcept {
  switch (static_cast<Errc>(value)) {
    case Errc::malformed: return "malformed";
    case Errc::unsupported_key: return "unsupported_key";
    case Errc::bad_signature: return "bad_signature";
    case Errc::untrusted: return "untrusted";
    case Errc::expired: return "expired";
    case Errc::not_yet_valid: return "not_yet_valid";
    case Errc::wrong_purpose: return "wrong_purpose";
    case Errc::revoked: return "revoked";
    case Errc::wrong_secret: return "wrong_secret";
    case Errc::name_mismatch: return "name_mismatch";
    case Errc::unsafe_permissions: return "unsafe_permissions";
  }
  return {};
}

}  // namespace error_detail

ErrorCode error_code(Errc value) noexcept {
  return {Room::crypto, static_cast<std::uint16_t>(value)};
}

Error make_error(Errc value, std::string context) {
  static const bool registered = [] {
    register_error_names(Room::crypto, &error_detail::name);
    return true;
  }();
  static_cast<void>(registered);
  return {error_code(value), Retry::never, std::move(context)};
}

}  // namespace velo::crypto
