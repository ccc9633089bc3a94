// SPDX-License-Identifier: Apache-2.0
// A stream over shared memory: when its owner is told, and how it ends.

#include "shm_stream.hpp"

#include <velo/runtime/real_world.hpp>
#include <velo/transport/limits.hpp>

#include <gtest/gtest.h>

#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shm_testing.hpp"

namespace velo::transport {
namespace shm_stream_test {

using std::chrono::milliseconds;

/// Reads once each time it is told, as far as `space` goes.
struct Owner final : StreamEvents {
  void on_readable() override {
    ++told;
    if (!reads) return;
    std::string buffer(space, '\0');
    last = stream->try_read(std::as_writable_bytes(std::span(buffer)));
    if (last.status == IoResult::Status::ok) heard += buffer.substr(0, last.bytes);
    if (destroys) stream.reset();
  }
  void on_writable() override {
    ++writable;
    if (destroys) stream.reset();
  }
  IoResult say(std::string text) {
    const iovec part{text.data(), text.size()};
    return stream->try_write(std::span(&part, 1));
  }

  std::unique_ptr<ByteStream> stream;
  std::string heard;
  IoResult last;
  std::size_t space = 4096;
  int told = 0;
  int writable = 0;
  bool reads = true;
  bool destroys = false;
};

class ShmStreamTest : public testing::Test {
 protected:
  void SetUp() override {
    runtime::RuntimeOptions options;
    options.external_first_shard = true;
    options.workers = 1;
    world_ = std::move(runtime::RealWorld::create(options)).value();
    const Endpoint where = Endpoint::unix_socket(folder_.path() + "/s");
    SharedMemoryOptions memory;
    memory.bytes = region_bytes(velo::transport::limits::shm_ring_bytes_min);
    Network& network = world_->network();
    listener_ = std::move(network.listen_shared_memory(
                              world_->shard(0), where, memory,
                              [this](Result<std::unique_ptr<SharedMemoryLink>> link) {
                                far_memory_ = (*link)->memory();
                                far_.stream = ShmStream::over(std::move(*link));
                              }))
                    .value();
    const auto handle = network.connect_shared_memory(
        world_->shard(0), where, memory, [this](Result<std::unique_ptr<SharedMemoryLink>> link) {
          near_.stream = ShmStream::over(std::move(*link));
        });
    ASSERT_TRUE(until([this] { return near_.stream != nullptr && far_.stream != nullptr; }));
  }
  bool until(const std::function<bool()>& condition) {
    const TimePoint give_up = world_->clock().now() + std::chrono::seconds(20);
    while (!condition()) {
      if (world_->clock().now() > give_up) return false;
      world_->run_once(milliseconds(100));
    }
    return true;
  }
  void settle() {
    while (world_->run_once(milliseconds(5)) > 0) {
    }
  }
  void attach() {
    near_.stream->attach(near_);
    far_.stream->attach(far_);
    settle();
  }

  shm_testing::Folder folder_;
  std::unique_ptr<runtime::RealWorld> world_;
  std::unique_ptr<Listener> listener_;
  std::span<std::byte> far_memory_;
  Owner near_;
  Owner far_;
};

TEST_F(ShmStreamTest, TellsOfWhatWasWrittenBeforeItWasAttached) {
  ASSERT_EQ(near_.say("early").bytes, 5U);
  attach();
  EXPECT_EQ(far_.heard, "early");
}

TEST_F(ShmStreamTest, AReaderThatStopsAtAShortReadIsToldOfTheEnd) {
  attach();
  ASSERT_EQ(near_.say("last words").bytes, 10U);
  near_.stream.reset();
  ASSERT_TRUE(until([this] { return far_.last.status == IoResult::Status::end; }));
  EXPECT_EQ(far_.heard, "last words");
}

TEST_F(ShmStreamTest, AReaderThatComesBackByItselfFindsEverythingAndTheEnd) {
  attach();
  far_.reads = false;
  far_.told = 0;
  ASSERT_EQ(near_.say(std::string(4096, 'x')).bytes, 4096U);
  near_.stream.reset();
  ASSERT_TRUE(until([this] { return far_.told > 0; }));
  settle();
  far_.reads = true;
  far_.space = 1000;
  // Outside of any event; whole reads, so that nothing has to be told.
  for (int i = 0; i < 4; ++i) far_.on_readable();
  EXPECT_EQ(far_.heard.size(), 4000U);
  far_.on_readable();
  EXPECT_EQ(far_.heard.size(), 4096U);
  ASSERT_TRUE(until([this] { return far_.last.status == IoResult::Status::end; }));
}

TEST_F(ShmStreamTest, AWriterIsToldOnceThereIsRoom) {
  attach();
  far_.reads = false;
  ASSERT_EQ(near_.say(std::string(5000, 'x')).bytes, 4096U);
  ASSERT_EQ(near_.say("x").status, IoResult::Status::would_block);
  near_.stream->want_write();
  settle();
  EXPECT_EQ(near_.writable, 0);
  far_.reads = true;
  far_.space = 100;
  far_.on_readable();
  settle();
  EXPECT_EQ(near_.writable, 0) << "a little room is not worth it";
  far_.space = 4096;
  far_.on_readable();
  ASSERT_TRUE(until([this] { return near_.writable == 1; }));
  EXPECT_EQ(near_.say("more").bytes, 4U);
  ASSERT_TRUE(until([this] { return far_.heard.ends_with("more"); }));
}

TEST_F(ShmStreamTest, RoomThatIsThereAlreadyIsToldLaterNotAtOnce) {
  attach();
  near_.stream->want_write();
  EXPECT_EQ(near_.writable, 0);
  ASSERT_TRUE(until([this] { return near_.writable == 1; }));
}

TEST_F(ShmStreamTest, ItsOwnerMayDestroyItWheneverItIsTold) {
  attach();
  far_.destroys = true;
  near_.destroys = true;
  near_.stream->want_write();
  ASSERT_EQ(near_.say("x").bytes, 1U);
  ASSERT_TRUE(until([this] { return far_.stream == nullptr && near_.stream == nullptr; }));
}

TEST_F(ShmStreamTest, APositionThatCannotBeIsAnErrorForReadingAndWriting) {
  attach();
  const std::uint64_t lie = 1 << 20;
  // What the far end reads next, and how far it may write.
  std::memcpy(far_memory_.data() + ring_layout::written, &lie, sizeof lie);
  near_.say("x");
  std::memcpy(far_memory_.data() + ring_layout::written, &lie, sizeof lie);
  ASSERT_TRUE(until([this] { return far_.last.status == IoResult::Status::error; }));
  EXPECT_EQ(far_.last.system_error, EBADMSG);
  const IoResult written = far_.say("y");
  EXPECT_EQ(written.status, IoResult::Status::error);
  EXPECT_EQ(written.system_error, EBADMSG);
}

TEST_F(ShmStreamTest, WritingToNobodyIsAnError) {
  attach();
  near_.stream.reset();
  ASSERT_TRUE(until([this] { return far_.last.status == IoResult::Status::end; }));
  const IoResult written = far_.say("y");
  EXPECT_EQ(written.status, IoResult::Status::error);
  EXPECT_EQ(written.system_error, EPIPE);
}

}  // namespace shm_stream_test
}  // namespace velo::transport
