// SPDX-License-Identifier: Apache-2.0
// What the other processes of the tests do.

#include "shm_peer.hpp"

#include <velo/base/shared_memory.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/framing.hpp>
#include <velo/transport/stream_transport.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "ring.hpp"
#include "shm_stream.hpp"

namespace velo::transport::shm_testing {
namespace shm_peer_detail {

constexpr const char* path_variable = "VELO_SHM_TEST_PATH";
constexpr int answers_descriptor = 3;
constexpr int lies_max = 2000;

/// A link to the socket, or the end of this process.
static std::unique_ptr<SharedMemoryLink> connect(runtime::RealWorld& world, const std::string& path,
                                                 std::size_t ring_bytes) {
  std::unique_ptr<SharedMemoryLink> made;
  bool failed = false;
  SharedMemoryOptions options;
  options.bytes = region_bytes(ring_bytes);
  const auto handle =
      world.network().connect_shared_memory(world.shard(0), Endpoint::unix_socket(path), options,
                                            [&](Result<std::unique_ptr<SharedMemoryLink>> link) {
                                              failed = !link.has_value();
                                              if (link.has_value()) made = std::move(*link);
                                            });
  while (made == nullptr && !failed) world.run_once(Duration::max());
  if (failed) ::_exit(0);
  return made;
}

static std::unique_ptr<runtime::RealWorld> make_world() {
  runtime::RuntimeOptions options;
  options.external_first_shard = true;
  options.workers = 1;
  return std::move(runtime::RealWorld::create(options)).value();
}

struct Ignore final : ConnectionEvents {
  void on_frame(Connection&, const InFrame&) override {}
  void on_written(Connection&) noexcept override {}
  void on_closed(Connection&, const Error&) override { ::_exit(0); }
};

[[noreturn]] static void stream(const std::string& path, std::uint32_t seed) {
  const auto world = make_world();
  Ignore ignore;
  const ConnectionPtr connection =
      make_stream_connection(ShmStream::over(connect(*world, path, std::size_t{16} << 10)), "shm",
                             std::make_shared<MemoryBudget>());
  connection->start(ignore);
  std::mt19937 random(seed);
  const std::string payload(100'000, 'p');
  for (;;) {
    while (connection->queued() < 200'000) {
      const std::size_t size = random() % 16 == 0 ? random() % payload.size() : random() % 300;
      static_cast<void>(connection->send(
          OutFrame(FrameType::message, {}, as_bytes(std::string_view(payload)).first(size))));
    }
    world->run_once(Duration::max());
  }
}

/// Frames that are right, then whatever comes to mind.
static void lie(SharedMemoryLink& link, std::mt19937_64& random) {
  const RingPair rings = split_region(link.memory()).value();
  RingWriter writer(rings.from_maker);
  std::vector<std::byte> frame(600);
  const std::vector<std::byte> payload(500);
  for (int step = 0; step < 12; ++step) {
    std::uint64_t word = random();
    if (random() % 2 == 0) word %= 20'000;
    switch (random() % 5) {
      case 0: std::memcpy(link.memory().data() + random() % 128 * 8, &word, sizeof word); break;
      case 1: {
        const std::size_t size = encode_frame(
            frame, OutFrame(FrameType::message, {}, ByteSpan(payload).first(word % 500)));
        writer.put(ByteSpan(frame).first(size));
        static_cast<void>(writer.publish());
        break;
      }
      case 2: {  // a frame that says that it is long, and is changed while it is read
        std::array<std::byte, preamble_bytes> preamble{};
        encode_preamble(preamble, FrameType::message, word % 100'000, random() % (32U << 20));
        writer.put(preamble);
        static_cast<void>(writer.publish());
        break;
      }
      case 3:
        for (int i = 0; i < 64; ++i) {
          rings.from_maker.data[random() % rings.from_maker.data.size()] =
              static_cast<std::byte>(random());
        }
        break;
      case 4: std::memset(rings.to_maker.control, static_cast<int>(word), 512); break;
    }
    link.ring();
  }
}

[[noreturn]] static void tell_lies(const std::string& path, std::uint32_t seed) {
  const auto world = make_world();
  std::mt19937_64 random(seed);
  for (int i = 0; i < lies_max; ++i) {
    const auto link = connect(*world, path, limits::shm_ring_bytes_min);
    lie(*link, random);
    if (random() % 4 == 0) world->run_once(std::chrono::milliseconds(1));
  }
  ::_exit(0);
}

/// Forks for each order that comes, until there are no more.
[[noreturn]] static void serve(const std::string& path) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGCHLD, SIG_IGN);
  std::uint32_t seed = 0;
  char order = 0;
  while (::read(STDIN_FILENO, &order, 1) == 1) {
    ++seed;
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (order == static_cast<char>(Part::streams)) stream(path, seed);
      tell_lies(path, seed);
    }
    if (::write(answers_descriptor, &child, sizeof child) != sizeof child) break;
  }
  ::_exit(0);
}

/// Before any test: is this process one of the others?
class Turn final : public testing::Environment {
  void SetUp() override {
    if (const char* path = std::getenv(path_variable)) serve(path);
  }
};

static const testing::Environment* const turn = testing::AddGlobalTestEnvironment(new Turn);

}  // namespace shm_peer_detail

Zygote::Zygote(const std::string& path) {
  int orders[2];
  int answers[2];
  EXPECT_EQ(::pipe2(orders, O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(answers, O_CLOEXEC), 0);
  const std::string variable = std::string(shm_peer_detail::path_variable) + "=" + path;
  process_ = ::fork();
  if (process_ == 0) {
    ::dup2(orders[0], STDIN_FILENO);
    // What the test program says before the tests goes nowhere; the answers have their own place.
    ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    ::dup2(answers[1], shm_peer_detail::answers_descriptor);
    std::array<char*, 3> arguments = {const_cast<char*>("peer"),
                                      const_cast<char*>("--gtest_brief=1"), nullptr};
    std::array<char*, 2> environment = {const_cast<char*>(variable.c_str()), nullptr};
    ::execve("/proc/self/exe", arguments.data(), environment.data());
    ::_exit(1);
  }
  ::close(orders[0]);
  ::close(answers[1]);
  orders_ = orders[1];
  answers_ = answers[0];
}

Zygote::~Zygote() {
  ::close(orders_);
  ::close(answers_);
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

pid_t Zygote::fork(Part part) const {
  const char order = static_cast<char>(part);
  EXPECT_EQ(::write(orders_, &order, 1), 1);
  pid_t child = -1;
  std::size_t have = 0;
  while (have < sizeof child) {
    const ssize_t got =
        ::read(answers_, reinterpret_cast<char*>(&child) + have, sizeof child - have);
    if (got <= 0) return -1;
    have += static_cast<std::size_t>(got);
  }
  return child;
}

}  // namespace velo::transport::shm_testing
