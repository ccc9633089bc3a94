// SPDX-License-Identifier: Apache-2.0
// TrustStore: one X509_STORE, made once, without any of the system's; revocation is judged here, so
// that each issuer's newest list counts and a stale one refuses.

#include <velo/crypto/trust.hpp>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <velo/crypto/limits.hpp>

#include <algorithm>
#include <utility>

#include "handles.hpp"

namespace velo::crypto {

struct TrustStore::Native {
  struct Issuer {
    NodeId node;
    Certificate certificate;
    RevocationList newest;
  };

  StorePtr store;
  std::vector<Issuer> issuers;  ///< those with a list
  std::vector<NodeId> pinned;   ///< sorted, as is the next
  std::vector<NodeId> denied;

  bool is_denied(const NodeId& node) const { return std::ranges::binary_search(denied, node); }
  bool is_pinned(const NodeId& node) const { return std::ranges::binary_search(pinned, node); }
  /// SIZE_MAX if it has no list.
  std::size_t find(const NodeId& node, const X509_NAME* name) const;
  Result<void> add(const RevocationList& list, const std::vector<Certificate>& authorities);
  Result<void> check_alone(const Certificate& leaf, Purpose purpose, WallTime now) const;
  Result<void> check_chain(std::span<const Certificate> chain, Purpose purpose, WallTime now,
                           bool need_lists) const;
  Result<void> check_path(const STACK_OF(X509) * path, Purpose purpose, WallTime now,
                          bool need_lists) const;
  Result<void> check_revocation(X509* certificate, X509* issuer, WallTime now,
                                bool need_list) const;
  /// The path ends at the first authority that is trusted, which another one may have withdrawn.
  Result<void> check_anchor(X509* anchor, WallTime now) const;
};

namespace trust_detail {

/// Of signatures and keys: 112 bits, which excludes SHA-1.
constexpr int security_level = 2;

static Errc code_of(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return Errc::expired;
    case X509_V_ERR_CERT_NOT_YET_VALID: return Errc::not_yet_valid;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_INVALID_NON_CA:
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN: return Errc::wrong_purpose;
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
    case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
    case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD: return Errc::malformed;
    default: return Errc::untrusted;
  }
}

static bool signed_by(X509* certificate, X509* issuer) {
  return X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(issuer)) == 0 &&
         X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
}

static NodeId node_of(X509* certificate) {
  return NodeId::of(encoded<i2d_X509_PUBKEY>(X509_get_X509_PUBKEY(certificate)));
}

static std::string name_of(const Certificate& certificate) {
  return "'" + certificate.common_name() + "'";
}

/// OpenSSL passes over an issuer that is no authority, and says that it found none.
static bool issued_by_a_leaf(X509* certificate, std::span<const Certificate> chain) {
  return certificate != nullptr && std::ranges::any_of(chain, [&](const Certificate& sent) {
           return !sent.is_authority() && native_certificate(sent) != certificate &&
                  signed_by(certificate, native_certificate(sent));
         });
}

static Error error_of(X509_STORE_CTX* context, std::span<const Certificate> chain) {
  const int error = X509_STORE_CTX_get_error(context);
  if (error == X509_V_ERR_OUT_OF_MEM) {
    return make_error(velo::Errc::overloaded, "no memory for verifying");
  }
  Errc code = code_of(error);
  std::string text = X509_verify_cert_error_string(error);
  if (code == Errc::untrusted &&
      issued_by_a_leaf(X509_STORE_CTX_get_current_cert(context), chain)) {
    code = Errc::wrong_purpose;
    text = "its issuer is no authority";
  }
  return make_error(code, name_of(chain.front()) + ": " + text);
}

static void set_rules(X509_STORE_CTX* context, Purpose purpose, WallTime now) {
  X509_VERIFY_PARAM* const rules = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  X509_VERIFY_PARAM_set_time(rules, seconds_of(now));
  X509_VERIFY_PARAM_set_depth(rules, static_cast<int>(limits::chain_length_max));
  X509_VERIFY_PARAM_set_auth_level(rules, security_level);
  // What both ends of a connection need is held against the other one afterwards.
  if (purpose != Purpose::authority) {
    X509_VERIFY_PARAM_set_purpose(
        rules, purpose == Purpose::server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  }
}

/// Whether an authority's name constraints allow the leaf's common name. OpenSSL has held the other
/// names against them, but looks at this one only where there are no others; we take it for a name
/// in any case.
static Result<void> check_common_name(X509* leaf, X509* authority) {
  struct Free {
    void operator()(NAME_CONSTRAINTS* constraints) const noexcept {
      NAME_CONSTRAINTS_free(constraints);
    }
  };
  const std::unique_ptr<NAME_CONSTRAINTS, Free> constraints(static_cast<NAME_CONSTRAINTS*>(
      X509_get_ext_d2i(authority, NID_name_constraints, nullptr, nullptr)));
  if (constraints == nullptr) return {};
  const int error = NAME_CONSTRAINTS_check_CN(leaf, constraints.get());
  if (error == X509_V_OK) return {};
  return make_error(Errc::untrusted,
                    std::string("its common name: ") + X509_verify_cert_error_string(error));
}

static Result<BorrowedStackPtr> stack_of(std::span<const Certificate> chain) {
  BorrowedStackPtr stack(sk_X509_new_null());
  if (stack == nullptr) return internal_failure("verifying");
  for (const Certificate& certificate : chain) {
    if (sk_X509_push(stack.get(), native_certificate(certificate)) <= 0) {
      return internal_failure("verifying");
    }
  }
  return stack;
}

static Result<void> check(const TrustOptions& options) {
  if (options.authorities.empty() && options.pinned.empty()) {
    return make_error(velo::Errc::invalid_argument, "neither an authority nor a pinned node");
  }
  if (options.authorities.size() > limits::authorities_max ||
      options.revocations.size() > limits::revocation_lists_max ||
      options.pinned.size() > limits::node_list_max ||
      options.denied.size() > limits::node_list_max) {
    return make_error(velo::Errc::invalid_argument, "a trust store with too many members");
  }
  for (const Certificate& authority : options.authorities) {
    if (!authority.is_authority()) {
      return make_error(Errc::wrong_purpose, name_of(authority) + " is no authority");
    }
  }
  return {};
}

static PeerIdentity identity_of(const Certificate& leaf) {
  PeerIdentity identity;
  identity.node = leaf.node_id();
  identity.public_key = leaf.public_key().der();
  identity.common_name = leaf.common_name();
  identity.names = leaf.names();
  identity.serial = leaf.serial();
  identity.expires = leaf.not_after();
  return identity;
}

}  // namespace trust_detail

std::size_t TrustStore::Native::find(const NodeId& node, const X509_NAME* name) const {
  const auto found = std::ranges::find_if(issuers, [&](const Issuer& issuer) {
    return issuer.node == node &&
           X509_NAME_cmp(X509_get_subject_name(native_certificate(issuer.certificate)), name) == 0;
  });
  return found == issuers.end() ? SIZE_MAX : static_cast<std::size_t>(found - issuers.begin());
}

Result<void> TrustStore::Native::add(const RevocationList& list,
                                     const std::vector<Certificate>& authorities) {
  const auto issuer = std::ranges::find_if(authorities, [&](const Certificate& authority) {
    return list.verify(authority).has_value();
  });
  if (issuer == authorities.end()) {
    return make_error(Errc::bad_signature, "no authority signed the revocation list of '" +
                                               list.issuer_common_name() + "'");
  }
  const NodeId node = issuer->node_id();
  const std::size_t known = find(node, X509_get_subject_name(native_certificate(*issuer)));
  if (known == SIZE_MAX) {
    issuers.push_back(Issuer{node, *issuer, list});
    return {};
  }
  RevocationList& newest = issuers[known].newest;
  if (std::pair(list.number(), list.this_update()) >
      std::pair(newest.number(), newest.this_update())) {
    newest = list;
  }
  return {};
}

Result<void> TrustStore::Native::check_alone(const Certificate& leaf, Purpose purpose,
                                             WallTime now) const {
  const std::string name = trust_detail::name_of(leaf);
  if ((X509_get_extension_flags(native_certificate(leaf)) & EXFLAG_CRITICAL) != 0) {
    return make_error(Errc::untrusted, name + ": a critical extension that is unknown here");
  }
  if (!leaf.allows(purpose)) return make_error(Errc::wrong_purpose, name);
  if (now < leaf.not_before()) return make_error(Errc::not_yet_valid, name);
  if (leaf.not_after() <= now) return make_error(Errc::expired, name);
  return {};
}

Result<void> TrustStore::Native::check_revocation(X509* certificate, X509* issuer, WallTime now,
                                                  bool need_list) const {
  const std::string serial = serial_text(X509_get0_serialNumber(certificate));
  const std::size_t known = find(trust_detail::node_of(issuer), X509_get_subject_name(issuer));
  if (known == SIZE_MAX) {
    if (!need_list) return {};
    return make_error(Errc::untrusted, serial + ": its issuer has no revocation list here");
  }
  const RevocationList& newest = issuers[known].newest;
  if (newest.revokes(serial)) return make_error(Errc::revoked, serial);
  if (newest.next_update() <= now) {
    return make_error(Errc::expired, "the revocation list of '" + newest.issuer_common_name() +
                                         "' is out of date");
  }
  return {};
}

Result<void> TrustStore::Native::check_path(const STACK_OF(X509) * path, Purpose purpose,
                                            WallTime now, bool need_lists) const {
  const int count = sk_X509_num(path);
  for (int i = 0; i < count; ++i) {
    X509* const member = sk_X509_value(path, i);
    const bool issues = i > 0 || purpose == Purpose::authority;
    if (issues && X509_check_ca(member) != 1) {
      return make_error(Errc::wrong_purpose, "a member of the chain is no authority");
    }
    if (i > 0) {
      auto named = trust_detail::check_common_name(sk_X509_value(path, 0), member);
      if (!named.has_value()) return named;
    }
    if (purpose == Purpose::peer &&
        X509_check_purpose(member, X509_PURPOSE_SSL_SERVER, i > 0 ? 1 : 0) <= 0) {
      return make_error(Errc::wrong_purpose, "not made for servers");
    }
    if (!denied.empty() && is_denied(trust_detail::node_of(member))) {
      return make_error(Errc::untrusted, "an authority that is denied here");
    }
    if (i + 1 == count) return check_anchor(member, now);
    auto valid = check_revocation(member, sk_X509_value(path, i + 1), now, need_lists);
    if (!valid.has_value()) return valid;
  }
  return {};
}

Result<void> TrustStore::Native::check_anchor(X509* anchor, WallTime now) const {
  for (const Issuer& issuer : issuers) {
    X509* const above = native_certificate(issuer.certificate);
    if (X509_cmp(above, anchor) == 0 || !trust_detail::signed_by(anchor, above)) continue;
    return check_revocation(anchor, above, now, false);
  }
  return {};
}

Result<void> TrustStore::Native::check_chain(std::span<const Certificate> chain, Purpose purpose,
                                             WallTime now, bool need_lists) const {
  const auto sent = trust_detail::stack_of(chain.subspan(1));
  if (!sent.has_value()) return sent.error();
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (context == nullptr ||
      X509_STORE_CTX_init(context.get(), store.get(), native_certificate(chain.front()),
                          sent->get()) != 1) {
    return internal_failure("verifying");
  }
  trust_detail::set_rules(context.get(), purpose, now);
  if (X509_verify_cert(context.get()) != 1) return trust_detail::error_of(context.get(), chain);
  if (!chain.front().allows(purpose)) {
    return make_error(Errc::wrong_purpose, trust_detail::name_of(chain.front()));
  }
  return check_path(X509_STORE_CTX_get0_chain(context.get()), purpose, now, need_lists);
}

TrustStore::TrustStore(TrustOptions options) : options_(std::move(options)) {}

Result<std::shared_ptr<const TrustStore>> TrustStore::create(TrustOptions options) {
  const ErrorScope scope;
  if (auto checked = trust_detail::check(options); !checked.has_value()) return checked.error();
  auto native = std::make_shared<Native>();
  native->store.reset(X509_STORE_new());
  if (native->store == nullptr) return internal_failure("a trust store");
  for (const Certificate& authority : options.authorities) {
    if (X509_STORE_add_cert(native->store.get(), native_certificate(authority)) != 1) {
      return internal_failure("a trust store");
    }
  }
  for (const RevocationList& list : options.revocations) {
    if (auto added = native->add(list, options.authorities); !added.has_value()) {
      return added.error();
    }
  }
  native->pinned = options.pinned;
  native->denied = options.denied;
  std::ranges::sort(native->pinned);
  std::ranges::sort(native->denied);
  const std::shared_ptr<TrustStore> made(new TrustStore(std::move(options)));
  made->native_ = std::move(native);
  return std::shared_ptr<const TrustStore>(made);
}

Result<PeerIdentity> TrustStore::verify(std::span<const Certificate> chain, Purpose purpose,
                                        WallTime now) const {
  const ErrorScope scope;
  if (chain.empty() || chain.size() > limits::chain_length_max ||
      !std::ranges::all_of(chain, &Certificate::valid)) {
    return make_error(Errc::malformed, "no chain, or one that is too long");
  }
  const Certificate& leaf = chain.front();
  const NodeId node = leaf.node_id();
  if (native_->is_denied(node)) {
    return make_error(Errc::untrusted, trust_detail::name_of(leaf) + " is denied here");
  }
  const bool pinned = native_->is_pinned(node);
  if (!native_->pinned.empty() && !pinned) {
    return make_error(Errc::untrusted, trust_detail::name_of(leaf) + " is not pinned here");
  }
  X509* const native = native_certificate(leaf);
  const bool alone = pinned && trust_detail::signed_by(native, native);
  const auto checked =
      alone ? native_->check_alone(leaf, purpose, now)
            : native_->check_chain(chain, purpose, now, options_.require_revocation_list);
  if (!checked.has_value()) return checked.error();
  return trust_detail::identity_of(leaf);
}

}  // namespace velo::crypto
