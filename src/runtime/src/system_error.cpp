// SPDX-License-Identifier: Apache-2.0
// The mapping from errno to error codes.

#include "system_error.hpp"

#include <cerrno>
#include <system_error>

namespace velo::runtime {
namespace system_error_detail {

static Errc code_of(int system_error) noexcept {
  switch (system_error) {
    case EACCES:
    case EPERM:
    case EROFS: return Errc::permission_denied;
    case ENOENT:
    case ENOTDIR: return Errc::not_found;
    case EEXIST:
    case EADDRINUSE: return Errc::already_exists;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN:
    case ENOSPC:
    case EDQUOT: return Errc::overloaded;
    case EINVAL:
    case EISDIR:
    case ENAMETOOLONG:
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL: return Errc::invalid_argument;
    case ETIMEDOUT: return Errc::deadline_exceeded;
    default: return Errc::io;
  }
}

}  // namespace system_error_detail

std::string system_error_text(std::string_view what, int system_error) {
  std::string text(what);
  text += ": ";
  text += std::generic_category().message(system_error);
  return text;
}

Error system_error(std::string_view what, int system_error) {
  return make_error(system_error_detail::code_of(system_error),
                    system_error_text(what, system_error));
}

Error connect_error(std::string_view what, int system_error) {
  switch (system_error) {
    case ENOENT:
    case EADDRNOTAVAIL: return make_error(Errc::io, system_error_text(what, system_error));
    case ETIMEDOUT:
      return {error_code(Errc::deadline_exceeded), Retry::elsewhere,
              system_error_text(what, system_error)};
    default: return runtime::system_error(what, system_error);
  }
}

}  // namespace velo::runtime
