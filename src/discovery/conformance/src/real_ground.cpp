// SPDX-License-Identifier: Apache-2.0
// The real World with a temporary folder, and processes that are this test program again with peers
// in its environment.

#include "cut_world.hpp"
#include "ground.hpp"

#include <velo/runtime/real_world.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace velo::discovery::conformance {
namespace real_ground_detail {

constexpr const char* peers_variable = "VELO_CONFORMANCE_PEERS";
constexpr const char* medium_variable = "VELO_CONFORMANCE_MEDIUM";
// Above what a test has open.
constexpr int ready_descriptor = 200;
constexpr int release_descriptor = 201;

static std::unique_ptr<runtime::RealWorld> make_world() {
  runtime::RuntimeOptions options;
  options.workers = 3;
  auto world = runtime::RealWorld::create(options);
  if (!world) std::abort();
  return std::move(*world);
}

static std::string make_folder() {
  std::string path = testing::TempDir() + "velo_discovery_XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) std::abort();
  return path;
}

/// A pipe whose ends children do not inherit by accident.
struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
  }
  Pipe(const Pipe&) = delete;
  ~Pipe() {
    close(0);
    close(1);
  }
  void close(std::size_t end) {
    if (ends[end] >= 0) ::close(std::exchange(ends[end], -1));
  }
};

class RealProcess final : public Process {
 public:
  RealProcess(const std::string& test, const std::string& medium,
              const std::vector<PeerInfo>& peers) {
    std::string list = std::string(peers_variable) + '=';
    for (const PeerInfo& peer : peers) list += peer.instance_id.to_string() + ' ';
    std::string folder = std::string(medium_variable) + '=' + medium;
    std::vector<char*> environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      // The runner's files are the parent's: a child would write over its results.
      if (std::string_view(*variable).starts_with("GTEST_")) continue;
      environment.push_back(*variable);
    }
    environment.insert(environment.end(), {list.data(), folder.data(), nullptr});
    std::string program = "/proc/self/exe";
    std::string filter = "--gtest_filter=" + test;
    std::array<char*, 3> arguments{program.data(), filter.data(), nullptr};

    Pipe ready;
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ready.ends[1], ready_descriptor);
    ::posix_spawn_file_actions_adddup2(&actions, release_.ends[0], release_descriptor);
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    const int error = ::posix_spawn(&id_, program.c_str(), &actions, nullptr, arguments.data(),
                                    environment.data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) std::abort();
    ready.close(1);
    char byte = 0;
    ready_ = ::read(ready.ends[0], &byte, 1) == 1;
  }
  RealProcess(const RealProcess&) = delete;
  ~RealProcess() override { kill(); }

  bool ready() const { return ready_; }
  void kill() override {
    if (id_ > 0) ::kill(id_, SIGKILL);
    reap();
  }
  void leave() override {
    release_.close(1);
    reap();
  }

 private:
  void reap() {
    if (id_ > 0) ::waitpid(std::exchange(id_, -1), nullptr, 0);
  }

  Pipe release_;
  pid_t id_ = -1;
  bool ready_ = false;
};

class RealGround final : public Ground {
 public:
  explicit RealGround(const Backend& backend) : backend_(backend) {}
  ~RealGround() override {
    only_.reset();
    world_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  World& world() override { return *world_; }
  std::shared_ptr<PeerDiscovery> join() override {
    if (backend_.outage == Outage::at_participants) {
      cut_worlds_.push_back(make_cut_world(*world_, cut_));
      return backend_.make(*cut_worlds_.back(), folder_);
    }
    if (backend_.reach == Reach::processes) return backend_.make(*world_, folder_);
    if (!only_) only_ = backend_.make(*world_, folder_);
    return only_;
  }
  std::unique_ptr<Process> start_process(const std::vector<PeerInfo>& peers) override {
    auto process = std::make_unique<RealProcess>(announcer_test(backend_), folder_, peers);
    EXPECT_TRUE(process->ready()) << "the process ended before it had announced its peers";
    return process;
  }
  bool wait_until(const std::function<bool()>& condition) override {
    const TimePoint end = world_->clock().now() + std::chrono::seconds(20);
    while (!condition()) {
      if (world_->clock().now() > end) return false;
      let_pass(std::chrono::microseconds(200));
    }
    return true;
  }
  void let_pass(Duration duration) override {
    std::unique_lock lock(mutex_);
    never_.wait_for(lock, duration);
  }
  Lapse lapse() const override { return backend_.lapse; }
  void set_outage(bool out) override {
    if (backend_.real_outage) return backend_.real_outage(out);
    *cut_ = out;
  }
  void end_world() override { world_->stop(); }

 private:
  Backend backend_;
  std::string folder_ = make_folder();
  const Cut cut_ = std::make_shared<std::atomic<bool>>(false);
  std::vector<std::unique_ptr<World>> cut_worlds_;  ///< outlive the threads of the World
  std::unique_ptr<runtime::RealWorld> world_ = make_world();
  std::shared_ptr<PeerDiscovery> only_;
  std::mutex mutex_;
  std::condition_variable never_;
};

}  // namespace real_ground_detail

std::string announcer_test(const Backend& backend) {
  return "DiscoveryAnnouncer_" + backend.name + ".Announces";
}

std::unique_ptr<Ground> make_real_ground(const Backend& backend) {
  return std::make_unique<real_ground_detail::RealGround>(backend);
}

std::vector<PeerInfo> peers_of_this_process() {
  std::vector<PeerInfo> peers;
  const char* list = std::getenv(real_ground_detail::peers_variable);
  std::istringstream words(list != nullptr ? list : "");
  for (std::string word; words >> word;) {
    const auto id = InstanceId::parse(word);
    if (!id) std::abort();
    peers.push_back(PeerInfo{*id, {{"tcp", Bytes::copy(word)}}});
  }
  return peers;
}

void run_announcer_process(const Backend& backend, const std::vector<PeerInfo>& peers) {
  using namespace real_ground_detail;
  const auto world = make_world();
  const auto discovery = backend.make(*world, std::getenv(medium_variable));
  std::vector<std::unique_ptr<Registration>> registrations;
  for (const PeerInfo& peer : peers) {
    auto announced = discovery->announce(peer).get();
    ASSERT_TRUE(announced) << announced.error().to_string();
    registrations.push_back(std::move(*announced));
  }
  char byte = 1;
  ASSERT_EQ(::write(ready_descriptor, &byte, 1), 1);
  ASSERT_EQ(::read(release_descriptor, &byte, 1), 0);
}

}  // namespace velo::discovery::conformance
