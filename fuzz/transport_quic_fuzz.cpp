// SPDX-License-Identifier: Apache-2.0
// Any datagrams at an endpoint over QUIC, from strangers and from who stands between it and a
// client; and, from a peer that is let in, any bytes on streams and in datagrams. What is answered
// to those who proved nothing stays below what came, nothing is kept for them, frames come out as
// they were put in, and whoever else is connected notices nothing. The input: [kind][options] and
// then steps, whose first byte says which.

#include "quic_let_in.hpp"
#include "quic_outside.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace velo::transport::transport_quic_fuzz;
  if (size < 2) return 0;
  Input input(velo::ByteSpan(reinterpret_cast<const std::byte*>(data) + 2, size - 2));
  if (data[0] % 2 == 0) {
    LetIn(data[1]).run_steps(input);
  } else {
    Outside(data[1]).run_steps(input);
  }
  return 0;
}
