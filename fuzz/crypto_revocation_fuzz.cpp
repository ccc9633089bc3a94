// SPDX-License-Identifier: Apache-2.0
// Any bytes as a revocation list, in DER and PEM; what is accepted is within its limits, is written
// and read back the same, and its entries can be issued again.

#include <velo/base/check.hpp>
#include <velo/crypto/certificate.hpp>
#include <velo/crypto/limits.hpp>

#include <array>

#include "certificate_names.hpp"

namespace velo::crypto::revocation_fuzz {

constexpr WallTime now{1'767'225'600'000'000'000};

struct Authority {
  PrivateKey key = PrivateKey::ed25519_from_seed(std::array<std::byte, 32>{}).value();
  Certificate certificate = [this] {
    IssueOptions options;
    options.common_name = "root";
    options.purpose = Purpose::authority;
    options.not_before = now;
    return issue(key, nullptr, key.public_key(), options).value();
  }();
};

static void check(const RevocationList& list) {
  static const Authority authority;
  VELO_CHECK(list.valid() && list.native() != nullptr);
  const auto serials = list.serials();
  VELO_CHECK(serials.size() <= limits::revoked_max);
  for (const std::string& serial : serials) VELO_CHECK(list.revokes(serial));
  VELO_CHECK(list.issuer_common_name().size() <= limits::name_bytes_max);
  const auto again = RevocationList::from_pem(list.to_pem());
  VELO_CHECK(again.has_value() && again->der() == list.der());
  static_cast<void>(list.verify(authority.certificate));
  static_cast<void>(list.this_update() < list.next_update());

  RevocationOptions options;
  options.serials = serials;
  options.number = list.number();
  options.now = now;
  const auto made = revoke(authority.key, authority.certificate, options);
  VELO_CHECK(made.has_value());
  VELO_CHECK(made->verify(authority.certificate).has_value());
  VELO_CHECK(made->number() == list.number());
  for (const std::string& serial : serials) VELO_CHECK(made->revokes(serial));
}

}  // namespace velo::crypto::revocation_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto list = velo::crypto::RevocationList::from_der(velo::as_bytes(text));
  if (list.has_value()) velo::crypto::revocation_fuzz::check(*list);
  const auto lists = velo::crypto::read_revocation_lists(text);
  if (!lists.has_value()) return 0;
  VELO_CHECK(lists->size() <= velo::crypto::limits::revocation_lists_max);
  for (const auto& each : *lists) velo::crypto::revocation_fuzz::check(each);
  return 0;
}
