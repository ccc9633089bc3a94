// SPDX-License-Identifier: Apache-2.0
// The floor of shared memory: a ring each way between two processes, written plainly: an eight-byte
// header, a futex to wake who sleeps, or, when it spins, nothing at all. Nothing is checked.

#include "floor_shm.hpp"

#include "floor_socket.hpp"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <climits>
#include <new>

namespace velo::bench {
namespace floor_shm_detail {

using floor_detail::end_of_stream;
using floor_detail::fail;
using floor_detail::Header;
using floor_detail::time_round_trips;

constexpr std::size_t ring_bytes = std::size_t{256} << 10;
/// The other end learns of long messages in pieces of this length, so that both work at once.
constexpr std::size_t piece_bytes = std::size_t{32} << 10;

struct Ring {
  alignas(128) std::atomic<std::uint64_t> written{0};
  alignas(128) std::atomic<std::uint64_t> read{0};
  alignas(128) std::atomic<std::uint32_t> reader_sleeps{0};
  alignas(128) std::atomic<std::uint32_t> writer_sleeps{0};
  alignas(128) char data[ring_bytes];
};

static void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Ready>
static void wait(std::atomic<std::uint32_t>& sleeps, bool spins, Ready ready) {
  while (!ready()) {
    if (spins) {
      relax();
      continue;
    }
    sleeps.store(1);
    if (ready()) break;
    ::syscall(SYS_futex, &sleeps, FUTEX_WAIT, 1, nullptr, nullptr, 0);
  }
  if (!spins) sleeps.store(0, std::memory_order_relaxed);
}

static void wake(std::atomic<std::uint32_t>& sleeps, bool spins) {
  if (spins || sleeps.load() == 0 || sleeps.exchange(0) == 0) return;
  ::syscall(SYS_futex, &sleeps, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

/// One end of both rings.
class End {
 public:
  End(Ring& in, Ring& out, bool spins) : in_(in), out_(out), spins_(spins) {}

  void send(const Header& header, const char* payload) {
    put(reinterpret_cast<const char*>(&header), sizeof header, header.length == 0);
    if (header.length > 0) put(payload, header.length, true);
  }
  Header receive(char* payload) {
    Header header{};
    take(reinterpret_cast<char*>(&header), sizeof header);
    if (header.length > 0) take(payload, header.length);
    return header;
  }

 private:
  void put(const char* from, std::size_t size, bool last) {
    while (size > 0) {
      if (written_ - read_seen_ == ring_bytes) {
        publish();
        wait(out_.writer_sleeps, spins_, [this] {
          read_seen_ = out_.read.load();
          return written_ - read_seen_ < ring_bytes;
        });
      }
      const std::size_t at = written_ % ring_bytes;
      const std::size_t count =
          std::min({size, ring_bytes - at, ring_bytes - (written_ - read_seen_), piece_bytes});
      std::memcpy(out_.data + at, from, count);
      from += count;
      size -= count;
      written_ += count;
      if (size > 0) publish();
    }
    if (last) publish();
  }
  void publish() {
    out_.written.store(written_);
    wake(out_.reader_sleeps, spins_);
  }
  void take(char* into, std::size_t size) {
    while (size > 0) {
      if (written_seen_ == read_) {
        wait(in_.reader_sleeps, spins_, [this] {
          written_seen_ = in_.written.load();
          return written_seen_ != read_;
        });
      }
      const std::size_t at = read_ % ring_bytes;
      const std::size_t count =
          std::min({size, ring_bytes - at, written_seen_ - read_, piece_bytes});
      std::memcpy(into, in_.data + at, count);
      into += count;
      size -= count;
      read_ += count;
      in_.read.store(read_);
      wake(in_.writer_sleeps, spins_);
    }
  }

  Ring& in_;
  Ring& out_;
  const bool spins_;
  std::uint64_t written_ = 0;
  std::uint64_t read_seen_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t written_seen_ = 0;
};

static void serve(const Spec& spec, End end, int ready) {
  if (::write(ready, "\n", 1) != 1) fail("ready");
  std::vector<char> payload(spec.payload_bytes + sizeof(std::uint64_t));
  std::uint64_t count = 0;
  for (;;) {
    const Header header = end.receive(payload.data());
    if (spec.shape != Shape::one_way) {
      end.send(header, payload.data());
    } else if (header.id != end_of_stream) {
      ++count;
    } else {
      end.send(Header{sizeof count, 1}, reinterpret_cast<const char*>(&count));
      count = 0;
    }
  }
}

static Measurement one_way(const Spec& spec, End& end, std::vector<char>& payload) {
  const auto run = [&](double seconds) {
    Measurement result;
    const Header header{static_cast<std::uint32_t>(spec.payload_bytes), 1};
    const std::int64_t begin = now_ns();
    const std::int64_t until = begin + static_cast<std::int64_t>(seconds * 1e9);
    while (now_ns() < until) {
      for (std::size_t i = 0; i < spec.outstanding; ++i) end.send(header, payload.data());
      result.messages += static_cast<double>(spec.outstanding);
    }
    end.send(Header{0, end_of_stream}, nullptr);
    (void)end.receive(payload.data());
    std::uint64_t counted = 0;
    std::memcpy(&counted, payload.data(), sizeof counted);
    if (static_cast<double>(counted) != result.messages) fail("the floor lost messages");
    result.seconds = static_cast<double>(now_ns() - begin) / 1e9;
    return result;
  };
  run(spec.warm_up_seconds);
  return run(spec.seconds);
}

}  // namespace floor_shm_detail

Measurement run_shm_floor(const Spec& spec) {
  using namespace floor_shm_detail;
  void* at = ::mmap(nullptr, 2 * sizeof(Ring), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) fail("mmap");
  auto* rings = new (at) Ring[2];
  (void)start_server(
      spec, [&spec, rings](int ready) { serve(spec, End(rings[0], rings[1], spec.spin), ready); });
  End end(rings[1], rings[0], spec.spin);
  std::vector<char> payload(spec.payload_bytes + sizeof(std::uint64_t), 'x');
  if (spec.shape == Shape::one_way) return one_way(spec, end, payload);
  const Header header{static_cast<std::uint32_t>(spec.payload_bytes), 1};
  return time_round_trips(spec, [&] {
    end.send(header, payload.data());
    (void)end.receive(payload.data());
  });
}

}  // namespace velo::bench
