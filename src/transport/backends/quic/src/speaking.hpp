// SPDX-License-Identifier: Apache-2.0
// A transport over QUIC that says by ALPN that it speaks something else than velo: tests show with
// it how such peers are refused. An empty protocol is not mentioned at all.
// Threading: as Transport.
#pragma once

#include <velo/transport/backends/quic.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace velo::transport {

/// What is spoken here (docs/protocols/quic.md).
constexpr std::string_view quic_protocol = "velo/1";

std::unique_ptr<Transport> make_quic_speaking(std::string protocol, QuicOptions options);

}  // namespace velo::transport
