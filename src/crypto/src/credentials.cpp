// SPDX-License-Identifier: Apache-2.0
// The holder of what a transport presents, and its replacement.

#include <velo/crypto/credentials.hpp>

#include <velo/crypto/limits.hpp>

#include <algorithm>
#include <utility>

namespace velo::crypto {
namespace credentials_detail {

static Result<void> check(const Credentials& credentials) {
  const auto invalid = [](const char* why) {
    return make_error(velo::Errc::invalid_argument, why);
  };
  if (!credentials.key.valid()) return invalid("credentials without a key");
  if (credentials.trust == nullptr) return invalid("credentials that trust nobody");
  const auto& chain = credentials.chain;
  if (chain.empty() || chain.size() > limits::chain_length_max ||
      !std::ranges::all_of(chain, &Certificate::valid)) {
    return invalid("credentials without a certificate, or with too many");
  }
  if (chain.front().public_key() != credentials.key.public_key()) {
    return invalid("key and certificate do not belong together");
  }
  return {};
}

}  // namespace credentials_detail

CredentialSource::CredentialSource(std::shared_ptr<const Credentials> first)
    : current_(std::move(first)) {}

Result<std::shared_ptr<CredentialSource>> CredentialSource::create(Credentials credentials) {
  auto checked = credentials_detail::check(credentials);
  if (!checked.has_value()) return checked.error();
  return std::shared_ptr<CredentialSource>(
      new CredentialSource(std::make_shared<const Credentials>(std::move(credentials))));
}

std::shared_ptr<const Credentials> CredentialSource::current() const {
  const std::scoped_lock lock(mutex_);
  return current_;
}

Result<void> CredentialSource::replace(Credentials credentials) {
  auto checked = credentials_detail::check(credentials);
  if (!checked.has_value()) return checked;
  auto next = std::make_shared<const Credentials>(std::move(credentials));
  // Declared before the lock, so that the old ones end after it.
  const std::scoped_lock lock(mutex_);
  current_.swap(next);
  // Within it: who sees the new generation finds the new credentials.
  generation_.fetch_add(1, std::memory_order_acq_rel);
  return {};
}

}  // namespace velo::crypto
