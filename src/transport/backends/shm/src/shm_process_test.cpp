// SPDX-License-Identifier: Apache-2.0
// Shared memory with other processes: those that are killed at any moment, and those that lie.

#include <velo/transport/backends/shm.hpp>

#include <velo/base/shared_memory.hpp>
#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "shm_peer.hpp"
#include "shm_testing.hpp"

namespace velo::transport {
namespace shm_process_test {

using namespace std::chrono_literals;
using shm_testing::Folder;
using shm_testing::Part;
using shm_testing::Zygote;

constexpr auto patience = 30s;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_sanitized = true;
#elif defined(__has_feature)
constexpr bool is_sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool is_sanitized = false;
#endif
constexpr int deaths_max = is_sanitized ? 200 : 2000;
/// Sanitizers keep what was freed for a while.
constexpr std::size_t growth_max = std::size_t{is_sanitized ? 512U : 96U} << 20;

static std::size_t open_descriptors() {
  const std::filesystem::directory_iterator begin("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin, std::filesystem::directory_iterator()));
}

static std::size_t mapped_regions() {
  std::ifstream file("/proc/self/maps");
  std::string line;
  std::size_t count = 0;
  while (std::getline(file, line)) {
    if (line.find("velo-shm") != std::string::npos) ++count;
  }
  return count;
}

static std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Accepts, answers what it gets, and keeps books.
class Server final : public AcceptHandler, public ConnectionEvents {
 public:
  explicit Server(const std::string& folder, Duration spin = Duration::zero()) {
    runtime::RuntimeOptions runtime;
    runtime.spin = spin;
    world_ = std::move(runtime::RealWorld::create(runtime)).value();
    ShmOptions options;
    options.folder = folder;
    transport_ = make_shm(options);
    const Result<void> started = transport_->start(
        TransportContext(*world_, InstanceId::random(world_->random()), *this, budget_));
    EXPECT_TRUE(started.has_value());
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    EXPECT_TRUE(wait([this] { return closed == accepted; }));
    transport_->stop();
    world_->stop();
  }

  std::string path() const {
    const std::string entry(transport_->address_entry().text());
    return entry.substr(entry.find('/', 6));
  }
  MemoryBudget& budget() { return *budget_; }

  template <class F>
  bool wait(F condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, condition);
  }
  // Under wait().
  std::size_t accepted = 0;
  std::size_t frames = 0;
  std::size_t closed = 0;
  std::set<std::string> reasons;

 private:
  void on_accepted(ConnectionPtr connection) override {
    {
      const std::lock_guard lock(mutex_);
      ++accepted;
      changed_.notify_all();
    }
    connection->start(*this);
  }
  void on_frame(Connection& connection, const InFrame& frame) override {
    static_cast<void>(connection.send(OutFrame(FrameType::message, {}, frame.payload())));
    const std::lock_guard lock(mutex_);
    ++frames;
    changed_.notify_all();
  }
  void on_written(Connection&) noexcept override {}
  void on_closed(Connection& /*connection*/, const Error& reason) override {
    const std::lock_guard lock(mutex_);
    ++closed;
    std::string text = reason.to_string();
    reasons.insert(text.substr(0, text.find(':')));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::shared_ptr<MemoryBudget> budget_ = std::make_shared<MemoryBudget>();
  std::unique_ptr<runtime::RealWorld> world_;
  std::unique_ptr<Transport> transport_;
};

static void kill_peers(Server& server, const Folder& folder, int deaths) {
  const Zygote zygote(server.path());
  std::mt19937 random(3);  // NOLINT(bugprone-random-generator-seed): the same each time
  // The first one shows what is there when nobody is.
  std::size_t descriptors = 0;
  for (int i = 0; i < deaths; ++i) {
    const std::size_t before = server.frames;
    const pid_t peer = zygote.fork(Part::streams);
    ASSERT_GT(peer, 0);
    const std::size_t wanted = before + random() % 200;
    ASSERT_TRUE(server.wait([&] {
      return server.accepted == static_cast<std::size_t>(i) + 1 && server.frames >= wanted;
    })) << "peer "
        << i;
    ASSERT_EQ(::kill(peer, SIGKILL), 0);
    ASSERT_TRUE(server.wait([&] { return server.closed == server.accepted; })) << "peer " << i;
    if (i == 0) descriptors = open_descriptors();
  }
  EXPECT_EQ(server.reasons, std::set<std::string>{"transport.connection_lost"});
  EXPECT_LE(open_descriptors(), descriptors);
  EXPECT_EQ(mapped_regions(), 0U);
  EXPECT_EQ(server.budget().used(), 0U);
  const std::filesystem::directory_iterator files(folder.path());
  EXPECT_EQ(std::distance(files, std::filesystem::directory_iterator()), 1) << "the socket alone";
}

TEST(ShmProcess, APeerThatIsKilledUnderLoadIsALostConnectionAndLeavesNothing) {
  const Folder folder;
  Server server(folder.path());
  kill_peers(server, folder, deaths_max);
}

TEST(ShmProcess, ASpinningNodeLosesKilledPeersTheSameWay) {
  const Folder folder;
  Server server(folder.path(), 50us);
  kill_peers(server, folder, deaths_max / 4);
}

TEST(ShmProcess, PeersThatLieDoNoHarmAndKeepNobodyOut) {
  const Folder folder;
  Server server(folder.path());
  const Zygote zygote(server.path());
  const std::size_t resident = resident_bytes();
  const std::size_t descriptors = open_descriptors();
  std::size_t most = 0;
  for (int i = 0; i < 3; ++i) ASSERT_GT(zygote.fork(Part::lies), 0);
  constexpr std::size_t links = 3000;
  ASSERT_TRUE(server.wait([&] {
    most = std::max(most, resident_bytes());
    return server.closed >= links;
  })) << server.closed;
  // Meanwhile, somebody honest.
  const std::size_t honest_from = server.frames;
  const pid_t honest = zygote.fork(Part::streams);
  ASSERT_GT(honest, 0);
  EXPECT_TRUE(server.wait([&] { return server.frames > honest_from + 1000; }));
  ASSERT_TRUE(server.wait([&] { return server.closed >= 6000; })) << server.closed;
  ::kill(honest, SIGKILL);
  ASSERT_TRUE(server.wait([&] { return server.closed == server.accepted; }));
  EXPECT_LT(most, resident + growth_max);
  EXPECT_EQ(server.budget().used(), 0U);
  EXPECT_LE(open_descriptors(), descriptors + 4);
  for (const std::string& reason : server.reasons) {
    EXPECT_TRUE(reason == "transport.connection_lost" || reason == "transport.malformed_frame" ||
                reason == "transport.frame_too_large" || reason == "transport.peer_too_slow")
        << reason;
  }
  EXPECT_TRUE(server.reasons.contains("transport.malformed_frame")) << "nobody lied well enough";
}

}  // namespace shm_process_test
}  // namespace velo::transport
