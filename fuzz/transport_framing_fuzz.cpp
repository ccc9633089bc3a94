// SPDX-License-Identifier: Apache-2.0
// Framing: a stream cut into arbitrary turns and reads gives the same frames, and the same fault,
// as parsing it whole. The input is [u16 cuts][cuts bytes that say how long the pieces are][the
// stream].

#include <velo/base/bytes.hpp>
#include <velo/transport/framing.hpp>
#include <velo/transport/limits.hpp>

#include <velo/transport/frame_reader.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::transport::transport_framing_fuzz {

struct Frame {
  FrameType type;
  std::string header;
  std::string payload;
  std::size_t dropped = 0;
  friend bool operator==(const Frame&, const Frame&) = default;
};

struct Outcome {
  std::vector<Frame> frames;
  FrameFault fault = FrameFault::none;
};

static void require(bool condition) {
  if (!condition) std::abort();
}

static Outcome parse_whole(ByteSpan stream) {
  Outcome outcome;
  FrameParser parser(stream);
  for (;;) {
    const FrameParser::Status status = parser.next();
    if (status == FrameParser::Status::malformed) outcome.fault = parser.fault();
    if (status == FrameParser::Status::incomplete) require(parser.missing_bytes() > 0);
    if (status != FrameParser::Status::frame) return outcome;
    outcome.frames.push_back({parser.type(), std::string(as_text(parser.header())),
                              std::string(as_text(parser.payload())), 0});
    // What was parsed is what encoding gives.
    std::vector<std::byte> again(parser.frame_bytes());
    encode_frame(again, {parser.type(), parser.header(), parser.payload()});
    require(as_text(again) == as_text(parser.rest().first(again.size())));
  }
}

static Outcome parse_in_pieces(ByteSpan stream, ByteSpan cuts,
                               const std::shared_ptr<MemoryBudget>& budget) {
  Outcome outcome;
  FrameReader reader(budget);
  std::vector<std::byte> scratch(limits::read_buffer_bytes);
  std::size_t cut = 0;
  const auto piece = [&]() -> std::size_t {
    if (cuts.empty()) return SIZE_MAX;
    const auto value = std::to_integer<std::size_t>(cuts[cut++ % cuts.size()]);
    return value < 128 ? value + 1 : (value - 127) * 1500;
  };
  while (!stream.empty()) {
    reader.begin(scratch);
    // The high bit of a first piece decides how many reads a turn has.
    for (std::size_t reads = 1 + piece() % 3; reads > 0 && !stream.empty(); --reads) {
      const std::span<std::byte> space = reader.space();
      require(!space.empty());
      const std::size_t count = std::min({stream.size(), space.size(), piece()});
      std::copy_n(stream.begin(), count, space.begin());
      stream = stream.subspan(count);
      outcome.fault = reader.commit(count, [&](const InFrame& frame) {
        outcome.frames.push_back({frame.type(), std::string(as_text(frame.header())),
                                  frame.retain_payload().to_string(), frame.dropped_bytes()});
        return true;
      });
      if (outcome.fault != FrameFault::none) return outcome;
    }
    reader.park();
    require(reader.held_bytes() <=
            preamble_bytes + velo::limits::frame_bytes_max + FrameReader::block_slack_bytes + 512);
  }
  return outcome;
}

/// Without room for large frames each still comes, and says how much is missing of it.
static void check_without_room(ByteSpan stream, ByteSpan cuts, const Outcome& whole) {
  const auto budget = std::make_shared<MemoryBudget>();
  budget->take(budget->bytes_max());
  const Outcome poor = parse_in_pieces(stream, cuts, budget);
  require(budget->used() == budget->bytes_max());
  require(poor.fault == whole.fault && poor.frames.size() == whole.frames.size());
  for (std::size_t i = 0; i < poor.frames.size(); ++i) {
    const Frame& frame = poor.frames[i];
    Frame expected = whole.frames[i];
    if (frame.dropped != 0) expected.dropped = std::exchange(expected.payload, {}).size();
    require(frame == expected);
  }
}

/// A receiver that has had enough after `taken` frames gets no more, and nothing is held for it.
static void check_stopping(ByteSpan stream, const Outcome& whole, std::size_t taken,
                           std::size_t room) {
  if (whole.frames.size() <= taken) return;
  const auto budget = std::make_shared<MemoryBudget>();
  budget->take(budget->bytes_max() - room);
  FrameReader reader(budget);
  // So short that large frames do not fit.
  std::vector<std::byte> scratch(FrameReader::own_block_bytes_min);
  reader.begin(scratch);
  std::size_t seen = 0;
  bool stopped = false;
  while (!stopped) {
    const std::span<std::byte> space = reader.space();
    const std::size_t count = std::min(stream.size(), space.size());
    require(count > 0);
    std::copy_n(stream.begin(), count, space.begin());
    stream = stream.subspan(count);
    const FrameFault fault = reader.commit(count, [&](const InFrame&) {
      require(!stopped);
      stopped = seen++ == taken;
      return !stopped;
    });
    require(fault == FrameFault::none);
  }
  reader.clear();
  require(reader.held_bytes() == 0 && reader.idle() && seen == taken + 1);
}

}  // namespace velo::transport::transport_framing_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = velo::transport::transport_framing_fuzz;
  const velo::ByteSpan input(reinterpret_cast<const std::byte*>(data), size);
  if (size < 2) return 0;
  const std::size_t wanted = data[0] | (std::size_t{data[1]} << 8U);
  const std::size_t cuts = std::min(wanted, size - 2);
  const velo::ByteSpan stream = input.subspan(2 + cuts);
  const fuzz::Outcome whole = fuzz::parse_whole(stream);
  const fuzz::Outcome pieces =
      fuzz::parse_in_pieces(stream, input.subspan(2, cuts), std::make_shared<velo::MemoryBudget>());
  fuzz::require(whole.frames == pieces.frames);
  fuzz::require(whole.fault == pieces.fault);
  fuzz::check_without_room(stream, input.subspan(2, cuts), whole);
  for (const std::size_t taken : {std::size_t{0}, wanted % 4}) {
    fuzz::check_stopping(stream, whole, taken, velo::limits::frame_bytes_max * 2);
    fuzz::check_stopping(stream, whole, taken, 0);
  }
  return 0;
}
