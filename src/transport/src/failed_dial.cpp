// SPDX-License-Identifier: Apache-2.0
// A connecting attempt that failed before it began.

#include <velo/transport/failed_dial.hpp>

#include <utility>

namespace velo::transport {
namespace failed_dial_detail {

struct Attempt {
  ConnectHandler done;  ///< empty once it ran or was abandoned; touched on the shard only

  explicit Attempt(ConnectHandler handler) : done(std::move(handler)) {}
};

class FailedDial final : public Dial {
 public:
  explicit FailedDial(std::shared_ptr<Attempt> attempt) noexcept : attempt_(std::move(attempt)) {}
  FailedDial(const FailedDial&) = delete;
  FailedDial& operator=(const FailedDial&) = delete;
  ~FailedDial() override { attempt_->done = nullptr; }

 private:
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace failed_dial_detail

std::unique_ptr<Dial> fail_dial(Shard& shard, ConnectHandler done, Error error) {
  auto attempt = std::make_shared<failed_dial_detail::Attempt>(std::move(done));
  auto dial = std::make_unique<failed_dial_detail::FailedDial>(attempt);
  post(shard, [attempt = std::move(attempt), error = std::move(error)]() mutable {
    if (ConnectHandler handler = std::exchange(attempt->done, nullptr)) handler(std::move(error));
  });
  return dial;
}

}  // namespace velo::transport
