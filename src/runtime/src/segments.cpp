// SPDX-License-Identifier: Apache-2.0
// Sending and receiving datagrams in bulk.

#include "segments.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace velo::runtime {
namespace segments_detail {

/// The system's own limits of one call.
constexpr std::size_t segments_per_call_max = 64;
constexpr std::size_t bytes_per_call_max = 65'000;

static IoResult call(int fd, const msghdr& message) noexcept {
  for (;;) {
    const ssize_t size = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (size >= 0) return {IoResult::Status::ok, static_cast<std::size_t>(size), 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return {IoResult::Status::would_block, 0, 0};
    return {IoResult::Status::error, 0, errno};
  }
}

/// What goes with a message beside its contents.
class Control {
 public:
  template <class T>
  void add(int level, int type, const T& value) noexcept {
    static_assert(CMSG_SPACE(sizeof(T)) <= CMSG_SPACE(sizeof(in6_pktinfo)));
    cmsghdr header{};
    header.cmsg_level = level;
    header.cmsg_type = type;
    header.cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(bytes_.data() + size_, &header, sizeof header);
    std::memcpy(bytes_.data() + size_ + CMSG_LEN(0), &value, sizeof value);
    size_ += CMSG_SPACE(sizeof value);
  }
  void add_source(const NetAddress& from) noexcept {
    if (from.v6) {
      in6_pktinfo info{};
      std::memcpy(&info.ipi6_addr, from.ip.data(), sizeof info.ipi6_addr);
      info.ipi6_ifindex = from.scope;
      add(IPPROTO_IPV6, IPV6_PKTINFO, info);
    } else {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, from.ip.data(), sizeof info.ipi_spec_dst);
      add(IPPROTO_IP, IP_PKTINFO, info);
    }
  }
  void attach(msghdr& message) noexcept {
    if (size_ == 0) return;
    message.msg_control = bytes_.data();
    message.msg_controllen = size_;
  }

 private:
  alignas(cmsghdr) std::array<std::byte, 2 * CMSG_SPACE(sizeof(in6_pktinfo))> bytes_{};
  std::size_t size_ = 0;
};

/// One message; the system cuts it unless `segment_bytes` is 0.
static IoResult send_message(int fd, const SegmentRoute& route, ByteSpan run,
                             std::size_t segment_bytes) noexcept {
  iovec contents{const_cast<std::byte*>(run.data()), run.size()};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(route.to.get());
  message.msg_namelen = route.to.size;
  message.msg_iov = &contents;
  message.msg_iovlen = 1;
  Control control;
  if (route.from != nullptr) control.add_source(*route.from);
  if (segment_bytes != 0) {
    control.add(SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(segment_bytes));
  }
  control.attach(message);
  return call(fd, message);
}

/// Neither the kernel nor, for this run, the way there can cut: the latter is no reason not to ask
/// again.
static bool cannot_cut(int code) noexcept {
  return code == EINVAL || code == EIO || code == ENOPROTOOPT || code == EOPNOTSUPP ||
         code == EMSGSIZE;
}

}  // namespace segments_detail

IoResult SegmentSender::send(int fd, const SegmentRoute& route, ByteSpan datagrams,
                             std::size_t segment_bytes) noexcept {
  using namespace segments_detail;  // NOLINT(google-build-using-namespace)
  if (segment_bytes == 0) return {IoResult::Status::error, 0, EINVAL};
  if (datagrams.size() <= segment_bytes) return send_message(fd, route, datagrams, 0);
  const std::size_t segments =
      std::clamp<std::size_t>(bytes_per_call_max / segment_bytes, 1, segments_per_call_max);
  std::size_t taken = 0;
  while (taken < datagrams.size()) {
    const std::size_t size = std::min(segments * segment_bytes, datagrams.size() - taken);
    const IoResult sent = send_run(fd, route, datagrams.subspan(taken, size), segment_bytes);
    if (sent.status == IoResult::Status::ok) taken += sent.bytes;
    if (sent.status != IoResult::Status::ok && taken == 0) return sent;
    if (sent.status != IoResult::Status::ok || sent.bytes < size) break;
  }
  return {IoResult::Status::ok, taken, 0};
}

IoResult SegmentSender::send_run(int fd, const SegmentRoute& route, ByteSpan run,
                                 std::size_t segment_bytes) noexcept {
  using namespace segments_detail;  // NOLINT(google-build-using-namespace)
  if (offload_ && run.size() > segment_bytes) {
    const IoResult sent = send_message(fd, route, run, segment_bytes);
    if (sent.status != IoResult::Status::error || !cannot_cut(sent.system_error)) return sent;
    if (sent.system_error != EINVAL && sent.system_error != EMSGSIZE) offload_ = false;
  }
  std::size_t taken = 0;
  while (taken < run.size()) {
    const std::size_t size = std::min(segment_bytes, run.size() - taken);
    const IoResult sent = send_message(fd, route, run.subspan(taken, size), 0);
    if (sent.status != IoResult::Status::ok) {
      return taken > 0 ? IoResult{IoResult::Status::ok, taken, 0} : sent;
    }
    taken += size;
  }
  return {IoResult::Status::ok, taken, 0};
}

SegmentReader::SegmentReader()
    : buffer_(std::make_unique_for_overwrite<std::byte[]>(messages_max * message_bytes_max)) {}

int SegmentReader::receive(int fd) noexcept {
  for (std::size_t i = 0; i < messages_max; ++i) {
    vectors_.at(i) = {buffer_.get() + i * message_bytes_max, message_bytes_max};
    SocketAddress& from = from_.at(i);
    from.size = sizeof from.storage;
    msghdr& message = messages_.at(i).msg_hdr;
    message.msg_name = from.get();
    message.msg_namelen = from.size;
    message.msg_iov = &vectors_.at(i);
    message.msg_iovlen = 1;
    message.msg_control = control_.at(i).bytes.data();
    message.msg_controllen = control_.at(i).bytes.size();
    message.msg_flags = 0;
  }
  const int count = ::recvmmsg(fd, messages_.data(), messages_max, MSG_DONTWAIT, nullptr);
  if (count < 0) return -errno;
  for (int i = 0; i < count; ++i) {
    const auto index = static_cast<std::size_t>(i);
    from_.at(index).size = messages_.at(index).msg_hdr.msg_namelen;
  }
  return count;
}

std::size_t SegmentReader::segment_bytes(std::size_t index) noexcept {
  msghdr& message = messages_.at(index).msg_hdr;
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_UDP || one->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(one), sizeof size);
    if (size > 0) return static_cast<std::size_t>(size);
  }
  return contents(index).size();
}

}  // namespace velo::runtime
