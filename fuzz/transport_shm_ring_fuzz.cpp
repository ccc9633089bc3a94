// SPDX-License-Identifier: Apache-2.0
// Rings in shared memory with an end that does as it likes. The input is what it does: [u8 action]
// and what that needs, until it ends. However it behaves: no access outside of the ring, and
// whatever was found broken stays so.

#include <velo/base/bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ring.hpp"

namespace velo::transport::transport_shm_ring_fuzz {

static void require(bool condition) {
  if (!condition) std::abort();
}

class Input {
 public:
  explicit Input(ByteSpan bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    size = std::min(size, rest_.size());
    std::memcpy(&value, rest_.data(), size);
    rest_ = rest_.subspan(size);
    return value;
  }
  ByteSpan bytes(std::size_t size) {
    const ByteSpan taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

 private:
  ByteSpan rest_;
};

static void play(Input input) {
  constexpr std::size_t ring_bytes = 4096;
  // Exactly as long as it is, so that a step outside is found.
  const auto words = std::make_unique<std::uint64_t[]>(region_bytes(ring_bytes) / 8);
  const std::span<std::byte> region(reinterpret_cast<std::byte*>(words.get()),
                                    region_bytes(ring_bytes));
  const std::optional<RingPair> rings = split_region(region);
  require(rings.has_value());
  RingWriter writer(rings->from_maker);
  RingReader reader(rings->to_maker);
  std::vector<std::byte> space(3 * ring_bytes);
  while (!input.empty()) {
    const bool reader_was_broken = reader.broken();
    const bool writer_was_broken = writer.broken();
    switch (input.number(1) % 8) {
      case 0: {  // a word of the control parts
        const std::size_t at = input.number(1) % 128 * 8;
        const std::uint64_t word = input.number(8);
        std::memcpy(region.data() + at, &word, sizeof word);
        break;
      }
      case 1: {  // moves on by a little, as an honest end would
        const bool is_read = input.number(1) % 2 == 0;
        std::byte* at = is_read ? rings->from_maker.control + ring_layout::read
                                : rings->to_maker.control + ring_layout::written;
        std::uint64_t word = 0;
        std::memcpy(&word, at, sizeof word);
        word += input.number(2);
        std::memcpy(at, &word, sizeof word);
        break;
      }
      case 2: {  // data
        const std::size_t at = input.number(2) % ring_bytes;
        const ByteSpan data = input.bytes(input.number(1));
        const std::size_t count = std::min(data.size(), ring_bytes - at);
        if (count > 0) std::memcpy(rings->to_maker.data.data() + at, data.data(), count);
        break;
      }
      case 3: {
        const std::size_t wanted = input.number(2) % space.size();
        const std::size_t taken = reader.take(std::span(space).first(wanted));
        require(taken <= wanted);
        require(!reader_was_broken || taken == 0);
        break;
      }
      case 4: {
        const std::size_t count = input.number(2) % space.size();
        const std::size_t taken = writer.put(std::span(space).first(count));
        require(taken <= count && taken <= ring_bytes);
        require(!writer_was_broken || taken == 0);
        static_cast<void>(writer.publish());
        break;
      }
      case 5:
        reader.settle();
        static_cast<void>(reader.must_wake_writer());
        break;
      case 6:
        if (reader.fall_asleep()) reader.stay_awake();
        break;
      case 7:
        if (writer.wait_for_room()) require(!writer.broken());
        break;
    }
    require(!reader_was_broken || reader.broken());
    require(!writer_was_broken || writer.broken());
  }
}

}  // namespace velo::transport::transport_shm_ring_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace velo::transport::transport_shm_ring_fuzz;
  play(Input(velo::ByteSpan(reinterpret_cast<const std::byte*>(data), size)));
  return 0;
}
