// SPDX-License-Identifier: Apache-2.0
// What the handshake of shared memory lets through, and what it does not.

#include <velo/base/shared_memory.hpp>

#include <gtest/gtest.h>
#include <sys/timerfd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "shared_memory_testing.hpp"

namespace velo::runtime {
namespace shared_memory_fraud_test {

using std::chrono::milliseconds;
using testing::good_files;
using testing::memory_file;
using testing::open_descriptors;

class SharedMemoryHandshake : public testing::SharedMemoryTest {};

constexpr std::size_t usual = testing::usual_region;

TEST_F(SharedMemoryHandshake, TakesWhatFollowsTheRules) {
  listen();
  const Descriptor socket = visitor();
  ASSERT_EQ(send_greeting(socket, usual, good_files(usual)), 0);
  EXPECT_TRUE(until([&] { return accepted_.size() == 1; }));
}

/// What a visitor shows instead of what it should.
struct Fraud {
  const char* name;
  std::function<int(const Descriptor&)> show;
};

static int with(const Descriptor& socket, const std::function<void(GreetingFiles&)>& change,
                std::size_t said = usual) {
  GreetingFiles files = good_files(usual);
  change(files);
  return send_greeting(socket, said, files);
}

static const Fraud memory_frauds[] = {
    {"NotSealed",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) { f.region = memory_file(usual, 0); });
     }},
    {"CanShrink",
     [](const Descriptor& s) {
       return with(
           s, [](GreetingFiles& f) { f.region = memory_file(usual, F_SEAL_GROW | F_SEAL_SEAL); });
     }},
    {"SealsMayStillChange",
     [](const Descriptor& s) {
       return with(
           s, [](GreetingFiles& f) { f.region = memory_file(usual, F_SEAL_GROW | F_SEAL_SHRINK); });
     }},
    {"CannotBeWritten",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) {
         f.region = memory_file(usual, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL);
       });
     }},
    {"ShorterThanSaid",
     [](const Descriptor& s) { return with(s, [](GreetingFiles&) {}, 2 * usual); }},
    {"LongerThanSaid",
     [](const Descriptor& s) { return with(s, [](GreetingFiles&) {}, usual / 2); }},
    {"NoMemoryAtAll",
     [](const Descriptor& s) {
       return with(
           s,
           [](GreetingFiles& f) {
             f.region = memory_file(0, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
           },
           0);
     }},
    {"TooMuchMemory",
     [](const Descriptor& s) {
       constexpr std::size_t huge = std::size_t{1} << 40;
       return with(
           s,
           [](GreetingFiles& f) {
             f.region = memory_file(huge, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
           },
           huge);
     }},
    {"APlainFile",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) {
         f.region = Descriptor(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
         EXPECT_EQ(::ftruncate(f.region.get(), usual), 0);
       });
     }},
    {"ASocketForMemory",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) {
         f.region = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
       });
     }},
};

static const Fraud other_frauds[] = {
    {"AFileForABell",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) { f.makers_bell = memory_file(usual, 0); });
     }},
    {"APipeForABell",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) {
         int ends[2];
         EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
         const Descriptor unread(ends[0]);
         f.makers_bell = Descriptor(ends[1]);
       });
     }},
    {"ATimerForABell",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) {
         f.accepters_bell = Descriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
       });
     }},
    {"NoDescriptors",
     [](const Descriptor& s) {
       const auto bytes = encode_greeting(usual);
       return ::send(s.get(), bytes.data(), bytes.size(), 0) > 0 ? 0 : errno;
     }},
    {"DescriptorsTwice",
     [](const Descriptor& s) {
       // The first piece is a whole greeting's descriptors with a greeting that is not whole.
       const GreetingFiles files = good_files(usual);
       const int first = send_greeting(s, usual, files);
       return first != 0 ? first : send_greeting(s, usual, files);
     }},
    {"AnotherProtocol",
     [](const Descriptor& s) {
       return ::send(s.get(), "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18 ? 0 : errno;
     }},
    {"AnotherVersion",
     [](const Descriptor& s) {
       auto bytes = encode_greeting(usual);
       bytes[8] = std::byte{2};
       return ::send(s.get(), bytes.data(), bytes.size(), 0) > 0 ? 0 : errno;
     }},
};

class Frauds : public SharedMemoryHandshake, public ::testing::WithParamInterface<Fraud> {};

TEST_P(Frauds, AreTurnedAwayAndLeaveNothing) {
  SharedMemoryOptions options;
  options.bytes_max = std::size_t{1} << 20;
  listen(options);
  const std::size_t before = open_descriptors();
  {
    const Descriptor socket = visitor();
    ASSERT_EQ(GetParam().show(socket), 0);
    if (std::string(GetParam().name) == "DescriptorsTwice") {
      // The first greeting is good; what comes behind it is never looked at.
      ASSERT_TRUE(until([&] { return accepted_.size() == 1; }));
      accepted_.clear();
    }
    EXPECT_TRUE(is_turned_away(socket));
  }
  EXPECT_TRUE(accepted_.empty());
  EXPECT_EQ(open_descriptors(), before);
  // And the next one is welcome.
  EXPECT_TRUE(connect().has_value());
}

static std::string name_of(const ::testing::TestParamInfo<Fraud>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(OfMemory, Frauds, ::testing::ValuesIn(memory_frauds), name_of);
INSTANTIATE_TEST_SUITE_P(OfBellsAndWords, Frauds, ::testing::ValuesIn(other_frauds), name_of);

TEST_F(SharedMemoryHandshake, AGreetingByteByByteIsTakenAndOneThatStopsIsDropped) {
  SharedMemoryOptions options;
  options.timeout = milliseconds(50);
  listen(options);
  const auto bytes = encode_greeting(usual);
  const Descriptor slow = visitor();
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
    ASSERT_EQ(::send(slow.get(), &bytes[i], 1, 0), 1);
    world_->run_once(Duration::zero());
  }
  EXPECT_TRUE(is_turned_away(slow));
  EXPECT_TRUE(accepted_.empty());
}

TEST_F(SharedMemoryHandshake, AFloodOfSilentVisitorsHoldsNoMoreThanItsLimitAndKeepsNobodyOut) {
  SharedMemoryOptions options;
  options.handshakes_max = 8;
  listen(options);
  const std::size_t before = open_descriptors();
  std::vector<Descriptor> visitors;
  for (int i = 0; i < 200; ++i) {
    visitors.push_back(visitor());
    world_->run_once(Duration::zero());
    world_->run_once(Duration::zero());
    ASSERT_LE(open_descriptors(), before + visitors.size() + options.handshakes_max);
  }
  EXPECT_TRUE(is_turned_away(visitors.front())) << "the oldest made room";
  EXPECT_TRUE(connect().has_value());
  listener_.reset();
  EXPECT_TRUE(is_turned_away(visitors.back())) << "and the rest went with the listener";
  visitors.clear();
  accepted_.clear();
  EXPECT_LE(open_descriptors(), before);
}

TEST(SharedMemoryGreeting, HasTheBytesOfItsPage) {
  const char* const tree = std::getenv("VELO_SOURCE_DIR");
  const std::filesystem::path root =
      tree != nullptr ? std::filesystem::path(tree)
                      : std::filesystem::path(__FILE__).parent_path() / "../../..";
  std::ifstream page(root / "docs/protocols/shm.md");
  ASSERT_TRUE(page) << "no page below " << root;
  std::string line;
  while (std::getline(page, line) && !line.starts_with("    76 65 6c 6f")) {
  }
  std::istringstream bytes(line);
  std::array<std::byte, greeting_bytes> greeting{};
  for (std::byte& byte : greeting) {
    unsigned value = 0;
    ASSERT_TRUE(bytes >> std::hex >> value);
    byte = static_cast<std::byte>(value);
  }
  EXPECT_EQ(decode_greeting(greeting), 2'101'248U);
  EXPECT_EQ(encode_greeting(2'101'248), greeting);
}

}  // namespace shared_memory_fraud_test
}  // namespace velo::runtime
