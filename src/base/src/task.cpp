// SPDX-License-Identifier: Apache-2.0
// Resumption depth of coroutines, and exceptions turned into errors.

#include <velo/base/task.hpp>

namespace velo {

namespace base_detail {

constexpr int resume_depth_max = 16;

void resume_or_post(std::coroutine_handle<> next) noexcept {
  thread_local int depth = 0;
  Executor* executor = Executor::current();
  if (depth >= resume_depth_max && executor != nullptr) {
    executor->post(
        Task0{[](void* address) { std::coroutine_handle<>::from_address(address).resume(); },
              next.address()});
    return;
  }
  ++depth;
  next.resume();
  --depth;
}

Error error_of_current_exception() noexcept {
  try {
    throw;
  } catch (const std::exception& exception) {
    return make_error(Errc::internal, exception.what());
  } catch (...) {
    return make_error(Errc::internal, "an exception that is no std::exception");
  }
}

}  // namespace base_detail
}  // namespace velo
