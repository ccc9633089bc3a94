// SPDX-License-Identifier: Apache-2.0
// Links of shared memory, and what the handshake lets through.

#include <velo/base/shared_memory.hpp>

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "network_testing.hpp"
#include "shared_memory_greeting.hpp"
#include "shared_region.hpp"

namespace velo::runtime {
namespace shared_memory_test {

using std::chrono::milliseconds;
using testing::make_external_world;
using testing::TemporaryFolder;
using testing::turn_until;

static std::size_t open_descriptors() {
  const std::filesystem::directory_iterator begin("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

struct Ears final : SharedMemoryEvents {
  void on_bell() override { ++bells; }
  void on_hangup() override { ++hangups; }
  int bells = 0;
  int hangups = 0;
};

/// Listens, and connects to itself.
class SharedMemory : public ::testing::Test {
 protected:
  void listen(const SharedMemoryOptions& options = SharedMemoryOptions()) {
    auto made = world_->network().listen_shared_memory(
        world_->shard(0), where_, options, [this](Result<std::unique_ptr<SharedMemoryLink>> link) {
          if (link.has_value()) accepted_.push_back(std::move(*link));
        });
    ASSERT_TRUE(made.has_value()) << made.error().to_string();
    listener_ = std::move(*made);
  }
  Result<std::unique_ptr<SharedMemoryLink>> connect(
      const SharedMemoryOptions& options = SharedMemoryOptions()) {
    std::optional<Result<std::unique_ptr<SharedMemoryLink>>> result;
    const auto handle = world_->network().connect_shared_memory(
        world_->shard(0), where_, options,
        [&](Result<std::unique_ptr<SharedMemoryLink>> link) { result.emplace(std::move(link)); });
    EXPECT_FALSE(result.has_value()) << "never inside connect_shared_memory()";
    EXPECT_TRUE(turn_until(*world_, [&] { return result.has_value(); }));
    return std::move(*result);
  }
  bool until(const std::function<bool()>& condition) { return turn_until(*world_, condition); }
  /// A plain socket that is connected to the listener.
  Descriptor visitor() {
    auto socket = make_stream_socket(AF_UNIX, 0);
    const auto address = to_socket_address(where_);
    EXPECT_EQ(::connect(socket->get(), address->get(), address->size), 0);
    return std::move(*socket);
  }
  /// Whether the listener has closed its end; the visitor says nothing more.
  bool is_turned_away(const Descriptor& socket) {
    return until([&] {
      char byte = 0;
      const ssize_t got = ::recv(socket.get(), &byte, 1, MSG_DONTWAIT);
      return got == 0 || (got < 0 && errno != EAGAIN);
    });
  }

  std::unique_ptr<RealWorld> world_ = make_external_world();
  TemporaryFolder folder_;
  const Endpoint where_ = Endpoint::unix_socket(folder_.file("s"));
  std::vector<std::unique_ptr<SharedMemoryLink>> accepted_;
  std::unique_ptr<Listener> listener_;
};

static GreetingFiles good_files(std::size_t bytes) {
  GreetingFiles files;
  files.region = std::move(make_region(bytes)->file);
  files.makers_bell = std::move(*make_bell());
  files.accepters_bell = std::move(*make_bell());
  return files;
}

static Descriptor memory_file(std::size_t bytes, int seals) {
  Descriptor file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  if (seals != 0) EXPECT_EQ(::fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

constexpr std::size_t usual = std::size_t{64} << 10;

TEST_F(SharedMemory, IsTheSameForBothEndsAndZeroAtFirst) {
  listen();
  SharedMemoryOptions options;
  options.bytes = 5000;
  auto maker = connect(options);
  ASSERT_TRUE(maker.has_value()) << maker.error().to_string();
  ASSERT_TRUE(until([&] { return accepted_.size() == 1; }));
  SharedMemoryLink& taker = *accepted_[0];
  EXPECT_TRUE((*maker)->is_maker());
  EXPECT_FALSE(taker.is_maker());
  ASSERT_EQ((*maker)->memory().size(), 8192U);
  ASSERT_EQ(taker.memory().size(), 8192U);
  EXPECT_TRUE(std::ranges::all_of(taker.memory(), [](std::byte b) { return b == std::byte{0}; }));
  (*maker)->memory()[8191] = std::byte{7};
  EXPECT_EQ(taker.memory()[8191], std::byte{7});
  EXPECT_EQ((*maker)->peer_credentials().process, ::getpid());
  EXPECT_EQ(taker.peer_credentials().user, ::geteuid());
  EXPECT_EQ((*maker)->remote(), where_);
}

TEST_F(SharedMemory, BellsReachTheOtherEndAndWakesThisOne) {
  listen();
  auto maker = connect();
  ASSERT_TRUE(maker.has_value() && until([&] { return accepted_.size() == 1; }));
  Ears near;
  Ears far;
  (*maker)->attach(near);
  accepted_[0]->attach(far);
  while (world_->run_once(milliseconds(5)) > 0) {
  }
  for (int i = 0; i < 3; ++i) {
    const int near_before = near.bells;
    const int far_before = far.bells;
    (*maker)->ring();
    ASSERT_TRUE(until([&] { return far.bells > far_before; })) << "each ring is an event";
    EXPECT_EQ(near.bells, near_before);
    accepted_[0]->ring();
    ASSERT_TRUE(until([&] { return near.bells > near_before; }));
    const int woken = near.bells;
    (*maker)->wake();
    ASSERT_TRUE(until([&] { return near.bells > woken; }));
  }
  EXPECT_EQ(near.hangups + far.hangups, 0);
}

TEST_F(SharedMemory, TheEndOfOneIsAHangupForTheOtherWhoStillHasTheMemory) {
  listen();
  auto maker = connect();
  ASSERT_TRUE(maker.has_value() && until([&] { return accepted_.size() == 1; }));
  Ears ears;
  accepted_[0]->attach(ears);
  (*maker)->memory()[0] = std::byte{9};
  maker->reset();
  ASSERT_TRUE(until([&] { return ears.hangups == 1; }));
  while (world_->run_once(milliseconds(5)) > 0) {
  }
  EXPECT_EQ(ears.hangups, 1) << "told once";
  EXPECT_EQ(accepted_[0]->memory()[0], std::byte{9});
}

TEST_F(SharedMemory, NobodyIsToldAfterClose) {
  listen();
  auto maker = connect();
  ASSERT_TRUE(maker.has_value() && until([&] { return accepted_.size() == 1; }));
  Ears near;
  Ears far;
  (*maker)->attach(near);
  accepted_[0]->attach(far);
  accepted_[0]->ring();
  (*maker)->close();
  ASSERT_TRUE(until([&] { return far.hangups == 1; }));
  EXPECT_EQ(near.bells + near.hangups, 0);
}

TEST_F(SharedMemory, ConnectingToNobodyFailsAndAnAbandonedAttemptIsSilent) {
  const auto refused = connect();
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(refused.error().is(Errc::io)) << refused.error().to_string();
  listen();
  int called = 0;
  for (int turns = 0; turns < 6; ++turns) {
    auto handle = world_->network().connect_shared_memory(
        world_->shard(0), where_, SharedMemoryOptions(),
        [&](Result<std::unique_ptr<SharedMemoryLink>>) { ++called; });
    for (int i = 0; i < turns && called == 0; ++i) world_->run_once(Duration::zero());
    const int before = called;
    handle.reset();
    while (world_->run_once(milliseconds(2)) > 0) {
    }
    EXPECT_EQ(called, before);
    called = 0;
  }
}

TEST_F(SharedMemory, AListenerThatSaysNothingIsLeftWhenTheTimeIsUp) {
  const Descriptor silent = testing::raw_listener(where_, 8);
  SharedMemoryOptions options;
  options.timeout = milliseconds(30);
  const auto result = connect(options);
  ASSERT_FALSE(result.has_value());
  EXPECT_TRUE(result.error().is(Errc::deadline_exceeded)) << result.error().to_string();
}

TEST_F(SharedMemory, AListenerThatAnswersSomethingElseIsLeft) {
  const Descriptor odd = testing::raw_listener(where_, 8);
  std::optional<Result<std::unique_ptr<SharedMemoryLink>>> result;
  const auto handle = world_->network().connect_shared_memory(
      world_->shard(0), where_, SharedMemoryOptions(),
      [&](Result<std::unique_ptr<SharedMemoryLink>> link) { result.emplace(std::move(link)); });
  world_->run_once(milliseconds(100));
  const Descriptor accepted(::accept(odd.get(), nullptr, nullptr));
  ASSERT_EQ(::send(accepted.get(), "HTTP/1.1 400", 12, 0), 12);
  ASSERT_TRUE(until([&] { return result.has_value(); }));
  EXPECT_FALSE(result->has_value());
}

TEST_F(SharedMemory, WhoeverIsNotAllowedIsTurnedAwayOnBothSides) {
  SharedMemoryOptions options;
  EXPECT_TRUE(is_allowed({0, 0, 1}, options));
  EXPECT_TRUE(is_allowed({::geteuid(), 0, 1}, options));
  const std::uint32_t stranger = ::geteuid() + 12345;
  EXPECT_FALSE(is_allowed({stranger, 0, 1}, options));
  options.allowed_users = {stranger};
  EXPECT_TRUE(is_allowed({stranger, 0, 1}, options));
  EXPECT_FALSE(is_allowed({stranger + 1, 0, 1}, options));
}

TEST_F(SharedMemory, TakesWhatFollowsTheRules) {
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

static const Fraud frauds[] = {
    {"NotSealed",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) { f.region = memory_file(usual, 0); });
     }},
    {"CanShrink",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) {
         f.region = memory_file(usual, F_SEAL_GROW | F_SEAL_SEAL);
       });
     }},
    {"SealsMayStillChange",
     [](const Descriptor& s) {
       return with(s, [](GreetingFiles& f) {
         f.region = memory_file(usual, F_SEAL_GROW | F_SEAL_SHRINK);
       });
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
       return with(s, [](GreetingFiles& f) {
         f.region = memory_file(0, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
       }, 0);
     }},
    {"TooMuchMemory",
     [](const Descriptor& s) {
       constexpr std::size_t huge = std::size_t{1} << 40;
       return with(s, [](GreetingFiles& f) {
         f.region = memory_file(huge, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
       }, huge);
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

class Frauds : public SharedMemory, public ::testing::WithParamInterface<Fraud> {};

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

INSTANTIATE_TEST_SUITE_P(SharedMemory, Frauds, ::testing::ValuesIn(frauds),
                         [](const auto& fraud) { return std::string(fraud.param.name); });

TEST_F(SharedMemory, AGreetingByteByByteIsTakenAndOneThatStopsIsDropped) {
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

TEST_F(SharedMemory, AFloodOfSilentVisitorsHoldsNoMoreThanItsLimitAndKeepsNobodyOut) {
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

TEST_F(SharedMemory, MakingAndEndingLinksLeavesNothingBehind) {
  listen();
  const auto maps = [] {
    std::ifstream file("/proc/self/maps");
    std::string line;
    int count = 0;
    while (std::getline(file, line)) {
      if (line.find("velo-shm") != std::string::npos) ++count;
    }
    return count;
  };
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 300; ++i) {
    auto maker = connect();
    ASSERT_TRUE(maker.has_value()) << maker.error().to_string();
    ASSERT_TRUE(until([&] { return accepted_.size() == 1; }));
    ASSERT_EQ(maps(), 2);
    accepted_.clear();
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(maps(), 0);
}

TEST_F(SharedMemory, ASocketsIdentityIsItsOwnAndTheSameForWhoeverSeesIt) {
  listen();
  Network& network = world_->network();
  const std::string identity = network.unix_socket_identity(where_.host);
  EXPECT_FALSE(identity.empty());
  EXPECT_EQ(identity.find('/'), std::string::npos);
  EXPECT_EQ(identity.find(' '), std::string::npos);
  EXPECT_EQ(identity, make_external_world()->network().unix_socket_identity(where_.host));
  EXPECT_EQ(network.unix_socket_identity(folder_.file("other")), "");
  EXPECT_NE(network.unix_socket_identity("@abstract"), "");
}

}  // namespace shared_memory_test
}  // namespace velo::runtime
