// SPDX-License-Identifier: Apache-2.0
// Guards that need no handshake.

#include <velo/base/check.hpp>
#include <velo/transport/stream_transport.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace velo::transport {
namespace stream_guards_detail {

class PlainGuard final : public StreamGuard {
 public:
  PlainGuard() {
    auto near = std::make_shared<ConnectionSecurity>();
    near->same_host = true;
    here_ = std::move(near);
  }
  Result<SecurityPtr> inspect(const ByteStream& stream) const override {
    return stream.remote().is_loopback() ? here_ : elsewhere_;
  }

 private:
  SecurityPtr here_;
  SecurityPtr elsewhere_ = std::make_shared<ConnectionSecurity>();
};

/// Lets processes of certain users through.
class UserGuard final : public StreamGuard {
 public:
  UserGuard(std::vector<std::uint32_t> allowed, bool allow_any)
      : allowed_(std::move(allowed)), allow_any_(allow_any) {}

  Result<SecurityPtr> inspect(const ByteStream& stream) const override {
    auto security = std::make_shared<ConnectionSecurity>();
    security->is_private = true;
    security->same_host = true;
    security->user = stream.peer_credentials();
    if (!allow_any_) {
      if (!security->user) {
        return make_error(Errc::not_authenticated, "the system does not say whose process it is");
      }
      const std::uint32_t user = security->user->user;
      if (std::find(allowed_.begin(), allowed_.end(), user) == allowed_.end()) {
        return make_error(Errc::not_authenticated,
                          "user " + std::to_string(user) + " is not among the allowed ones");
      }
    }
    return SecurityPtr(std::move(security));
  }

 private:
  const std::vector<std::uint32_t> allowed_;
  const bool allow_any_;
};

}  // namespace stream_guards_detail

std::unique_ptr<Securing> StreamGuard::secure(std::unique_ptr<ByteStream> /*stream*/,
                                              StreamRole /*role*/, TimePoint /*deadline*/,
                                              SecuredHandler /*done*/) const {
  VELO_CHECK(false);  // only asked of a guard that says it secures
  return nullptr;
}

std::shared_ptr<const StreamGuard> make_plain_guard() {
  return std::make_shared<stream_guards_detail::PlainGuard>();
}

std::shared_ptr<const StreamGuard> make_user_guard(std::vector<std::uint32_t> allowed,
                                                   bool allow_any) {
  return std::make_shared<stream_guards_detail::UserGuard>(std::move(allowed), allow_any);
}

}  // namespace velo::transport
