// SPDX-License-Identifier: Apache-2.0
// Before the greeting: how many may wait with it, for how long, and what they may ask meanwhile.

#include "strangers.hpp"

#include "impl.hpp"

#include <velo/base/log.hpp>

namespace velo::messenger {

bool Strangers::enter(const std::string& source) {
  const std::lock_guard lock(mutex_);
  if (count_ >= limits::strangers_max) return false;
  std::size_t& here = by_source_[source];
  if (here >= limits::strangers_per_source_max) return false;
  ++here;
  ++count_;
  return true;
}

void Strangers::leave(const std::string& source) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = by_source_.find(source);
  if (found == by_source_.end()) return;
  --count_;
  if (--found->second == 0) by_source_.erase(found);
}

std::size_t Strangers::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

std::string source_of(std::string_view remote) {
  const std::size_t port = remote.rfind(':');
  // "unix:" and "[::1]" have no port.
  const bool has_port = port != std::string_view::npos && port + 1 < remote.size() &&
                        remote.find_first_not_of("0123456789", port + 1) == std::string_view::npos;
  return std::string(has_port ? remote.substr(0, port) : remote);
}

std::shared_ptr<Link> Impl::admit_stranger(transport::ConnectionPtr connection) {
  std::string source = source_of(connection->remote());
  if (!strangers_.enter(source)) {
    VELO_LOG_WARN(messenger, "too many connections without a greeting, one refused",
                  {"remote", connection->remote()});
    return nullptr;
  }
  const TimePoint until = connection->shard().now() + limits::stranger_patience;
  std::shared_ptr<Link> link = add_link(std::move(connection), false);
  link->become_stranger(std::move(source), until);
  note_deadline(until);
  return link;
}

void Impl::stranger_over(Link& link) noexcept {
  if (link.end_stranger()) strangers_.leave(link.source());
}

bool Impl::stranger_may_ask(Link& link) {
  if (link.count_stranger_request() <= limits::stranger_requests_max) return true;
  link.connection().close(
      make_error(Errc::overloaded, "too many requests on a connection without a greeting"));
  return false;
}

TimePoint Impl::expire_stranger(Link& link, TimePoint now) {
  const TimePoint until = link.stranger_until();
  if (until > now) return until;
  link.connection().close(make_error(Errc::deadline_exceeded, "nobody greeted in time"));
  return TimePoint::never();
}

}  // namespace velo::messenger
