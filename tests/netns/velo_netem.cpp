// SPDX-License-Identifier: Apache-2.0
// A link between two TAP devices: `velo_netem NAME NAME [--delay-ms N] [--jitter-ms N] [--loss N]
// [--duplicate N] [--reorder N] [--mbit N] [--seed N]`, shares in thousandths. It makes the
// devices, says "ready", and moves Ethernet frames between them, also after they were moved to
// other network namespaces, until its input ends. Lines of input: "cut", "heal", "counts" (answers
// with a line of JSON).

#include <velo/base/check.hpp>
#include <velo/codec/describe.hpp>
#include <velo/codec/json.hpp>
#include <velo/runtime/real_world.hpp>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "impairment.hpp"

namespace velo::netns {

VELO_DESCRIBE(ImpairmentCounts, packets, lost, cut, overflowed, duplicated, reordered);

/// Packets under way in one direction; more are lost.
constexpr std::size_t under_way_max = 20'000;
constexpr std::size_t packet_bytes_max = 65'536;

static int open_tap(const std::string& name) {
  const int device = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  if (device < 0 || ::ioctl(device, TUNSETIFF, &request) != 0) {
    std::cerr << "velo_netem: " << name << ": " << std::strerror(errno) << '\n';
    return -1;
  }
  return device;
}

/// One direction: what was read from `from` is written to `to` when it arrives.
class Direction {
 public:
  Direction(int from, int to, const ImpairmentOptions& options, std::uint64_t seed)
      : from_(from), to_(to), link_(options, seed) {}

  void take(TimePoint now) {
    for (;;) {
      const ssize_t count = ::read(from_, scratch_.data(), scratch_.size());
      if (count <= 0) return;
      const auto size = static_cast<std::size_t>(count);
      const Fate fate = link_.decide(now, size);
      for (int i = 0; i < fate.copies && under_way_.size() < under_way_max; ++i) {
        under_way_.push(
            Packet{fate.arrival, ++number_, std::string(scratch_.data(), scratch_.data() + size)});
      }
    }
  }
  void deliver(TimePoint now) {
    while (!under_way_.empty() && under_way_.top().arrival <= now) {
      const std::string& bytes = under_way_.top().bytes;
      // A device that is down, or full, loses it.
      static_cast<void>(!::write(to_, bytes.data(), bytes.size()));
      under_way_.pop();
    }
  }
  TimePoint next() const {
    return under_way_.empty() ? TimePoint::never() : under_way_.top().arrival;
  }
  void set_cut(bool cut) {
    link_.set_cut(cut);
    if (cut) under_way_ = {};
  }
  const ImpairmentCounts& counts() const noexcept { return link_.counts(); }

 private:
  struct Packet {
    TimePoint arrival;
    std::uint64_t number;
    std::string bytes;

    bool operator<(const Packet& other) const noexcept {  // the queue's top is its greatest
      return arrival != other.arrival ? arrival > other.arrival : number > other.number;
    }
  };

  int from_;
  int to_;
  Impairment link_;
  std::priority_queue<Packet> under_way_;
  std::uint64_t number_ = 0;
  std::vector<char> scratch_ = std::vector<char>(packet_bytes_max);
};

/// False at the end of the input.
static bool obey(std::string& input, std::array<Direction, 2>& directions) {
  std::array<char, 256> piece{};
  const ssize_t count = ::read(STDIN_FILENO, piece.data(), piece.size());
  if (count <= 0) return false;
  input.append(piece.data(), static_cast<std::size_t>(count));
  for (std::size_t end = 0; (end = input.find('\n')) != std::string::npos;) {
    const std::string line = input.substr(0, end);
    input.erase(0, end + 1);
    if (line == "cut" || line == "heal") {
      for (Direction& direction : directions) direction.set_cut(line == "cut");
      std::cout << line << std::endl;
    } else if (line == "counts") {
      std::cout << codec::to_json(std::vector{directions[0].counts(), directions[1].counts()})
                << std::endl;
    }
  }
  return true;
}

static int run(Clock& clock, const std::array<int, 2>& taps, const ImpairmentOptions& options,
               std::uint64_t seed) {
  std::array directions{Direction(taps[0], taps[1], options, seed),
                        Direction(taps[1], taps[0], options, seed + 1)};
  std::array<pollfd, 3> watched{pollfd{taps[0], POLLIN, 0}, pollfd{taps[1], POLLIN, 0},
                                pollfd{STDIN_FILENO, POLLIN, 0}};
  std::cout << "ready" << std::endl;
  for (std::string input;;) {
    TimePoint now = clock.now();
    const TimePoint next = std::min(directions[0].next(), directions[1].next());
    timespec wait{};
    if (next > now) wait.tv_nsec = std::min<long>((next - now).count(), 500'000'000);
    static_cast<void>(::ppoll(watched.data(), watched.size(), &wait, nullptr));
    now = clock.now();
    for (std::size_t i = 0; i < directions.size(); ++i) {
      if (watched[i].revents != 0) directions[i].take(now);
      directions[i].deliver(now);
    }
    if (watched[2].revents != 0 && !obey(input, directions)) return 0;
  }
}

static std::optional<std::uint64_t> option(int count, char** words, std::string_view name) {
  for (int i = 3; i + 1 < count; i += 2) {
    if (words[i] != name) continue;
    const std::string_view text = words[i + 1];
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    VELO_CHECK(error == std::errc() && end == text.data() + text.size());
    return number;
  }
  return std::nullopt;
}

}  // namespace velo::netns

int main(int count, char** words) {
  using namespace velo;  // NOLINT(google-build-using-namespace)
  if (count < 3) return 2;
  const auto number = [&](const char* name) {
    return static_cast<std::int64_t>(netns::option(count, words, name).value_or(0));
  };
  netns::ImpairmentOptions options;
  options.delay = std::chrono::milliseconds(number("--delay-ms"));
  options.jitter = std::chrono::milliseconds(number("--jitter-ms"));
  options.loss = static_cast<std::uint32_t>(number("--loss"));
  options.duplicate = static_cast<std::uint32_t>(number("--duplicate"));
  options.reorder = static_cast<std::uint32_t>(number("--reorder"));
  options.bits_per_second = static_cast<std::uint64_t>(number("--mbit")) * 1'000'000;
  const std::array taps{netns::open_tap(words[1]), netns::open_tap(words[2])};
  if (taps[0] < 0 || taps[1] < 0) return 3;
  const auto world = runtime::RealWorld::create();
  VELO_CHECK(world.has_value());
  return netns::run((*world)->clock(), taps, options, static_cast<std::uint64_t>(number("--seed")));
}
