// SPDX-License-Identifier: Apache-2.0
// Any texts as the files of an identity, divided by lines of "%%%": certificate, key, trust,
// revocations. What loads is consistent, and is stored and loaded again the same.

#include <velo/base/check.hpp>
#include <velo/crypto/identity_store.hpp>

#include <array>
#include <string>
#include <string_view>

#include "memory_files.hpp"

namespace velo::crypto::identity_fuzz {

static std::array<std::string, 4> divide(std::string_view text) {
  constexpr std::string_view divider = "%%%\n";
  std::array<std::string, 4> parts;
  for (std::string& part : parts) {
    const std::size_t end = std::min(text.find(divider), text.size());
    part = text.substr(0, end);
    text.remove_prefix(std::min(end + divider.size(), text.size()));
  }
  return parts;
}

static void store_again(const Credentials& credentials) {
  testing::MemoryFiles files;
  IdentityStore store(files, "again");
  VELO_CHECK(store.create_key(credentials.key, std::nullopt).has_value());
  VELO_CHECK(store.store_certificate(credentials.chain).has_value());
  VELO_CHECK(store.store_trust(credentials.trust->options().authorities).has_value());
  VELO_CHECK(store.store_revocations(credentials.trust->options().revocations).has_value());
  VELO_CHECK(store.rotate(credentials.key, credentials.chain, std::nullopt).has_value());
  const auto loaded = store.load(std::nullopt);
  VELO_CHECK(loaded.has_value() && loaded->chain == credentials.chain);
}

}  // namespace velo::crypto::identity_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace crypto = velo::crypto;
  const auto parts = crypto::identity_fuzz::divide({reinterpret_cast<const char*>(data), size});
  crypto::testing::MemoryFiles files;
  std::string key_name = "id/key-" + std::string(64, '0') + ".pem";
  if (const auto chain = crypto::Certificate::chain_from_pem(parts[0]); chain.has_value()) {
    key_name = "id/key-" + chain->front().node_id().to_string() + ".pem";
  }
  if (!parts[0].empty()) files.files["id/certificate.pem"] = parts[0];
  files.files[key_name] = parts[1];
  files.files["id/trust.pem"] = parts[2];
  if (!parts[3].empty()) files.files["id/revoked.pem"] = parts[3];
  crypto::IdentityStore store(files, "id");
  static_cast<void>(store.key_is_sealed());
  static_cast<void>(store.load_key(std::nullopt));
  const auto loaded = store.load(std::nullopt);
  if (!loaded.has_value()) return 0;
  VELO_CHECK(crypto::CredentialSource::create(*loaded).has_value());
  crypto::identity_fuzz::store_again(*loaded);
  return 0;
}
