// SPDX-License-Identifier: Apache-2.0
// Any bytes at a TLS listener: as a client's handshake, in pieces, and, from one that is let in, as
// the contents of records. Nothing that comes makes it answer much or hold much, and what is
// carried comes out as it went in.

#include <velo/base/check.hpp>
#include <velo/base/network.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/transport/conformance/identities.hpp>

#include "handshake.hpp"
#include "testing/read_pipe.hpp"
#include "tls_stream.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport::tls::transport_tls_fuzz {

constexpr WallTime now{conformance::identities_begin.unix_nanoseconds + 86'400'000'000'000};
constexpr std::size_t answer_bytes_max = std::size_t{8} << 10;

static std::shared_ptr<const Context> context() {
  static const auto made = Context::create(conformance::test_credentials(1)->current()).value();
  return made;
}

static void check_handshake(ByteSpan bytes, std::size_t piece) {
  Handshake server(context(), StreamRole::accepted, limits::handshake_bytes_max);
  std::size_t answered = 0;
  while (!bytes.empty()) {
    const std::size_t count = std::min(piece, bytes.size());
    const auto state = server.advance(bytes.first(count), now);
    answered += server.take_output().size();
    VELO_CHECK(state != Handshake::State::done);
    VELO_CHECK(answered <= answer_bytes_max);
    if (state == Handshake::State::failed) {
      VELO_CHECK(!server.refusal().error.to_string().empty());
    }
    bytes = bytes.subspan(count);
  }
}

constexpr unsigned no_type = 255;
constexpr unsigned not_sealed = 254;

/// Records of the types and lengths that the bytes say, sealed as a peer would.
static void check_records(ByteSpan bytes, std::size_t piece, std::size_t read) {
  static sim::Simulation simulation(1);
  static sim::SimNode& node = simulation.add_node("node");
  DirectionSecret secret;
  RecordSealer sealer(secret);
  std::vector<std::byte> sent;
  std::string carried;
  bool data_only = true;
  while (bytes.size() >= 3) {
    const auto kind = std::to_integer<unsigned>(bytes[0]);
    // None at all, now and then, and what was not sealed.
    const auto type = kind == no_type ? ContentType{0} : static_cast<ContentType>(kind % 4 + 20);
    if (kind == not_sealed) {
      const ByteSpan rest = bytes.subspan(1);
      sent.insert(sent.end(), rest.begin(), rest.end());
      break;
    }
    const std::size_t claimed =
        std::to_integer<std::size_t>(bytes[1]) << 6 | std::to_integer<std::size_t>(bytes[2]);
    bytes = bytes.subspan(3);
    const ByteSpan content = bytes.first(std::min(claimed, bytes.size()));
    bytes = bytes.subspan(content.size());
    data_only = data_only && type == ContentType::application_data && !content.empty() &&
                content.size() <= record_content_bytes_max;
    if (data_only) carried += as_text(content);
    const std::size_t at = sent.size();
    sent.resize(at + content.size() + record_overhead_bytes);
    VELO_CHECK(sealer.seal(type, content, sent.data() + at));
  }
  auto raw = std::make_unique<RawEnd>(
      std::make_unique<testing::ReadPipe>(node.shard(0), std::move(sent), piece));
  Established established{RecordSealer(secret), RecordOpener(secret), {}, {}};
  const auto budget = std::make_shared<MemoryBudget>();
  TlsStream stream(std::move(raw), std::move(established), std::make_shared<Environment>(budget));
  std::string heard;
  std::vector<std::byte> buffer(read);
  for (;;) {
    const IoResult result = stream.try_read(buffer);
    if (result.status == IoResult::Status::would_block) continue;
    if (result.status != IoResult::Status::ok) break;
    VELO_CHECK(result.bytes != 0 && result.bytes <= buffer.size());
    heard += as_text(ByteSpan(buffer).first(result.bytes));
  }
  VELO_CHECK(heard.starts_with(carried));
}

}  // namespace velo::transport::tls::transport_tls_fuzz

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace velo::transport::tls::transport_tls_fuzz;
  if (size < 3) return 0;
  const velo::ByteSpan bytes(reinterpret_cast<const std::byte*>(data) + 3, size - 3);
  const std::size_t piece = std::size_t{1} + data[1] * std::size_t{64};
  if (data[0] % 2 == 0) {
    check_handshake(bytes, piece);
  } else {
    check_records(bytes, piece, std::size_t{1} + data[2] * std::size_t{100});
  }
  return 0;
}
