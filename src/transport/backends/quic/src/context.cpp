// SPDX-License-Identifier: Apache-2.0
// What a transport over QUIC begins with.

#include "context.hpp"

#include <velo/base/check.hpp>

#include <gnutls/crypto.h>

namespace velo::transport {

QuicContext::QuicContext(World& in, QuicOptions with, std::string speaks,
                         std::shared_ptr<MemoryBudget> memory)
    : world(in),
      options(std::move(with)),
      protocol(std::move(speaks)),
      budget(std::move(memory)),
      gate(std::make_shared<Gatekeeper>(options.gate)),
      tls(options.credentials) {
  // Keys: not from the World, whose random bits are made for speed and may follow from a seed.
  VELO_CHECK(gnutls_rnd(GNUTLS_RND_KEY, reset_secret.data(), reset_secret.size()) == 0);
  VELO_CHECK(gnutls_rnd(GNUTLS_RND_KEY, token_secret.data(), token_secret.size()) == 0);
}

}  // namespace velo::transport
