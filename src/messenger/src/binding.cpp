// SPDX-License-Identifier: Apache-2.0
// Ids from keys, and the statements that greetings carry.

#include "binding.hpp"

#include <velo/messenger/error.hpp>

#include <algorithm>
#include <string_view>

namespace velo::messenger {
namespace binding_detail {

constexpr std::string_view id_label = "velo instance v1";
constexpr std::string_view statement_label = "velo instance binding v1";
static_assert(statement_label.size() + 16 + 8 + 1 + 32 == binding_statement_bytes);

/// A NodeId is the SHA-256 of what it is made of.
static std::array<std::uint8_t, 32> sha256(ByteSpan bytes) { return NodeId::of(bytes).bytes(); }

static InstanceId id_of(ByteSpan raw_key) {
  std::array<std::byte, id_label.size() + 32> labelled;
  const auto rest = std::ranges::copy(as_bytes(id_label), labelled.begin()).out;
  std::ranges::copy(raw_key, rest);
  const auto digest = sha256(labelled);
  std::array<std::uint8_t, 16> bytes;
  std::copy_n(digest.begin(), bytes.size(), bytes.begin());
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | 0x80U);  // version 8
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);  // the variant of RFC 9562
  return InstanceId(bytes);
}

template <class Out>
static Out put(Out out, std::span<const std::uint8_t> bytes) {
  return std::ranges::copy(std::as_bytes(bytes), out).out;
}

}  // namespace binding_detail

std::array<std::byte, binding_statement_bytes> encode_statement(const BindingStatement& statement) {
  std::array<std::byte, binding_statement_bytes> bytes;
  auto out = std::ranges::copy(as_bytes(binding_detail::statement_label), bytes.begin()).out;
  out = binding_detail::put(out, statement.instance.bytes());
  for (unsigned shift = 0; shift < 64; shift += 8) {
    *out++ = static_cast<std::byte>(statement.receiver.value() >> shift);
  }
  *out++ = static_cast<std::byte>(statement.role);
  binding_detail::put(out, statement.channel.bytes());
  return bytes;
}

Result<InstanceId> instance_of_key(const crypto::PublicKey& key) {
  const Bytes raw = key.valid() ? key.raw() : Bytes();
  if (raw.size() != 32) {
    return velo::make_error(velo::Errc::invalid_argument, "an instance's key is an Ed25519 key");
  }
  const InstanceId id = binding_detail::id_of(raw);
  // One key in 2^64: its holder makes another one.
  if (!id.worker_id().valid()) {
    return velo::make_error(velo::Errc::invalid_argument, "this key's worker id would be 0");
  }
  return id;
}

bool must_be_proven(const InstanceId& id) noexcept { return id.bytes()[6] >> 4 == 8; }

Result<Binding> bind(const crypto::PrivateKey& key, const BindingStatement& statement) {
  const auto signature = key.sign(encode_statement(statement));
  if (!signature) return signature.error();
  const Bytes raw = key.public_key().raw();
  Binding binding;
  if (raw.size() != binding.key.size() || signature->size() != binding.signature.size()) {
    return velo::make_error(velo::Errc::invalid_argument, "an instance's key is an Ed25519 key");
  }
  std::ranges::copy(raw.span(), binding.key.begin());
  std::ranges::copy(signature->span(), binding.signature.begin());
  return binding;
}

Result<void> verify(const Binding& binding, const BindingStatement& statement) {
  // The id first: it costs next to nothing, a signature does not.
  if (binding_detail::id_of(binding.key) != statement.instance) {
    return make_error(Errc::not_authenticated, "the instance id is not of the key in \"bind\"");
  }
  const auto key = crypto::PublicKey::ed25519(binding.key);
  if (!key || !key->verify(encode_statement(statement), binding.signature)) {
    return make_error(Errc::not_authenticated,
                      "\"bind\" is not signed for this receiver and this connection");
  }
  return {};
}

Result<bool> judge(const BindingClaim& claim) {
  const std::string id = claim.statement.instance.to_string();
  if (claim.binding) {
    if (auto proven = verify(*claim.binding, claim.statement); !proven) {
      return make_error(Errc::not_authenticated, id + ": " + proven.error().context());
    }
    return true;
  }
  if (claim.required || must_be_proven(claim.statement.instance)) {
    return make_error(Errc::not_authenticated, id + " has to be proven, and is not");
  }
  return false;
}

}  // namespace velo::messenger
