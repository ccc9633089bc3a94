// SPDX-License-Identifier: Apache-2.0
// What the tests of this room share: waiting for conditions, running a shard by hand, pairs of
// connected streams.
// Threading: as noted at each.
#pragma once

#include <velo/base/executor.hpp>
#include <velo/base/network.hpp>
#include <velo/runtime/real_world.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "epoll_shard.hpp"
#include "socket_stream.hpp"

namespace velo::runtime::testing {

/// Longer than any machine needs: a test that waits for it fails.
constexpr std::chrono::seconds patience{20};

/// Counts up on any thread; wait_for() waits until a count is reached.
class Counter {
 public:
  void add(std::size_t count = 1) {
    // Told under the lock: whoever waits may destroy the counter as soon as it can take the lock.
    const std::scoped_lock lock(mutex_);
    count_ += count;
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return count_ >= count; });
  }
  std::size_t value() {
    const std::scoped_lock lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
};

inline std::unique_ptr<RealWorld> make_world(const RuntimeOptions& options = RuntimeOptions()) {
  auto world = RealWorld::create(options);
  EXPECT_TRUE(world.has_value()) << (world.has_value() ? "" : world.error().to_string());
  return std::move(world).value();
}

/// A World whose only shard runs on the test's own thread.
inline std::unique_ptr<RealWorld> make_external_world() {
  RuntimeOptions options;
  options.external_first_shard = true;
  options.workers = 1;
  return make_world(options);
}

/// Turns the external shard until `done()`; false if that takes too long.
template <class F>
[[nodiscard]] bool turn_until(RealWorld& world, F done) {
  const TimePoint give_up = world.clock().now() + patience;
  while (!done()) {
    if (world.clock().now() > give_up) return false;
    world.run_once(std::chrono::milliseconds(100));
  }
  return true;
}

/// Runs `function` on the executor and waits until it has run.
template <class F>
void run_on(Executor& executor, F function) {
  Counter ran;
  post(executor, [&] {
    function();
    ran.add();
  });
  ASSERT_TRUE(ran.wait_for(1));
}

inline EpollShard& epoll_shard(RealWorld& world, std::size_t index = 0) {
  return static_cast<EpollShard&>(world.shard(index));
}

/// Two ends of a connection: a stream on the shard, and a plain blocking descriptor.
struct StreamAndPeer {
  std::unique_ptr<SocketStream> stream;
  Descriptor peer;
};

inline StreamAndPeer make_pair(EpollShard& shard) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  Descriptor ours(ends[0]);
  EXPECT_EQ(::fcntl(ours.get(), F_SETFL, O_NONBLOCK), 0);
  return {std::make_unique<SocketStream>(shard, std::move(ours), Endpoint::unix_socket({})),
          Descriptor(ends[1])};
}

inline IoResult write_text(ByteStream& stream, std::string_view text) {
  iovec vector{};
  vector.iov_base = const_cast<char*>(text.data());
  vector.iov_len = text.size();
  return stream.try_write({&vector, 1});
}

/// Owns a stream and collects what it reads; on the stream's shard.
class Collector final : public StreamEvents {
 public:
  explicit Collector(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)) {
    stream_->attach(*this);
  }
  void on_readable() override {
    ++readable_calls;
    std::array<std::byte, 4096> buffer;
    for (;;) {
      const IoResult result = stream_->try_read(buffer);
      if (result.status == IoResult::Status::would_block) break;
      if (result.status == IoResult::Status::ok) {
        text += as_text({buffer.data(), result.bytes});
        continue;
      }
      ended = result.status == IoResult::Status::end;
      system_error = result.system_error;
      break;
    }
    if (after_read) after_read();
  }
  void on_writable() override {
    ++writable_calls;
    if (after_writable) after_writable();
  }
  ByteStream& stream() { return *stream_; }

  std::string text;
  bool ended = false;
  int system_error = 0;
  int readable_calls = 0;
  int writable_calls = 0;
  std::move_only_function<void()> after_read;
  std::move_only_function<void()> after_writable;

 private:
  std::unique_ptr<ByteStream> stream_;
};

/// A folder that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "velo-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(std::string_view name) const { return path_ + '/' + std::string(name); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace velo::runtime::testing
