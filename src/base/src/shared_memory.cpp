// SPDX-License-Identifier: Apache-2.0
// What a World without shared memory answers.

#include <velo/base/shared_memory.hpp>

#include <velo/base/world.hpp>

#include <utility>

namespace velo {
namespace shared_memory_detail {

static constexpr const char* none = "this World has no shared memory";

/// An attempt that fails; on the shard's thread, but for its making.
class Refusal final : public Connecting {
 public:
  Refusal(Shard& shard, SharedMemoryHandler done)
      : done_(std::make_shared<SharedMemoryHandler>(std::move(done))) {
    post(shard, [done = done_] {
      SharedMemoryHandler handler = std::exchange(*done, nullptr);
      if (handler) handler(make_error(Errc::unsupported, none));
    });
  }
  ~Refusal() override { *done_ = nullptr; }

 private:
  std::shared_ptr<SharedMemoryHandler> done_;
};

}  // namespace shared_memory_detail

std::string Network::unix_socket_identity(const std::string& /*path*/) { return {}; }

Result<std::unique_ptr<Listener>> Network::listen_shared_memory(
    Shard& /*shard*/, const Endpoint& /*local*/, const SharedMemoryOptions& /*options*/,
    SharedMemoryHandler /*on_accept*/) {
  return make_error(Errc::unsupported, shared_memory_detail::none);
}

std::unique_ptr<Connecting> Network::connect_shared_memory(Shard& shard, const Endpoint& /*remote*/,
                                                           const SharedMemoryOptions& /*options*/,
                                                           SharedMemoryHandler done) {
  return std::make_unique<shared_memory_detail::Refusal>(shard, std::move(done));
}

}  // namespace velo
