// SPDX-License-Identifier: Apache-2.0
// Sending and receiving the handshake of shared memory.

#include "shared_memory_greeting.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace velo::runtime {
namespace shared_memory_greeting_detail {

constexpr std::array<char, 8> magic = {'v', 'e', 'l', 'o', '-', 's', 'h', 'm'};

/// Room for the descriptors that belong there; of more, the kernel says that it cut them off.
union ControlBuffer {
  cmsghdr align;
  std::array<char, CMSG_SPACE(GreetingFiles::count * sizeof(int))> bytes;
};

static void put_u32(std::byte* out, std::uint32_t value) noexcept {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<std::byte>(value >> (8 * i));
}

static std::uint32_t get_u32(const std::byte* from) noexcept {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | std::to_integer<std::uint32_t>(from[i]);
  return value;
}

/// Bytes that were read; 0 when there are none yet; -1 when the other end broke off.
static ssize_t receive(const Descriptor& socket, msghdr& message) noexcept {
  for (;;) {
    const ssize_t got = ::recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got > 0) return got;
    if (got == 0) return -1;
    if (errno == EINTR) continue;
    return errno == EAGAIN ? 0 : -1;
  }
}

}  // namespace shared_memory_greeting_detail

using namespace shared_memory_greeting_detail;  // NOLINT(google-build-using-namespace)

std::array<std::byte, greeting_bytes> encode_greeting(std::size_t region_bytes) noexcept {
  std::array<std::byte, greeting_bytes> bytes{};
  std::memcpy(bytes.data(), magic.data(), magic.size());
  put_u32(bytes.data() + 8, greeting_version);
  put_u32(bytes.data() + 12, static_cast<std::uint32_t>(region_bytes / region_unit_bytes));
  return bytes;
}

std::optional<std::size_t> decode_greeting(
    const std::array<std::byte, greeting_bytes>& bytes) noexcept {
  if (std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) return std::nullopt;
  if (get_u32(bytes.data() + 8) != greeting_version) return std::nullopt;
  return std::size_t{get_u32(bytes.data() + 12)} * region_unit_bytes;
}

int send_greeting(const Descriptor& socket, std::size_t region_bytes,
                  const GreetingFiles& files) noexcept {
  auto bytes = encode_greeting(region_bytes);
  const std::array<int, GreetingFiles::count> descriptors = {
      files.region.get(), files.makers_bell.get(), files.accepters_bell.get()};
  ControlBuffer control{};
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
  for (;;) {
    const ssize_t sent = ::sendmsg(socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) return 0;
    if (sent >= 0) return EMSGSIZE;
    if (errno != EINTR) return errno;
  }
}

int send_answer(const Descriptor& socket) noexcept {
  for (;;) {
    const ssize_t sent =
        ::send(socket.get(), magic.data(), magic.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(magic.size())) return 0;
    if (sent >= 0) return EMSGSIZE;
    if (errno != EINTR) return errno;
  }
}

bool GreetingReader::take_descriptors(msghdr& message) noexcept {
  bool as_expected = (message.msg_flags & MSG_CTRUNC) == 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      as_expected = false;
      continue;
    }
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      Descriptor descriptor(fd);  // what is not wanted is closed here
      const std::array<Descriptor*, GreetingFiles::count> places = {
          &files_.region, &files_.makers_bell, &files_.accepters_bell};
      if (descriptors_ < places.size()) {
        *places[descriptors_++] = std::move(descriptor);
      } else {
        as_expected = false;
      }
    }
  }
  return as_expected;
}

GreetingReader::Progress GreetingReader::read(const Descriptor& socket) noexcept {
  while (have_ < bytes_.size()) {
    ControlBuffer control{};
    iovec part{bytes_.data() + have_, bytes_.size() - have_};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    const ssize_t got = receive(socket, message);
    if (got < 0) return Progress::broken;
    if (got == 0) return Progress::incomplete;
    if (!take_descriptors(message)) return Progress::broken;
    have_ += static_cast<std::size_t>(got);
  }
  const auto bytes = decode_greeting(bytes_);
  if (!bytes.has_value() || descriptors_ != GreetingFiles::count) return Progress::broken;
  region_bytes_ = *bytes;
  return Progress::complete;
}

GreetingReader::Progress AnswerReader::read(const Descriptor& socket) noexcept {
  while (have_ < bytes_.size()) {
    iovec part{bytes_.data() + have_, bytes_.size() - have_};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t got = receive(socket, message);
    if (got < 0) return GreetingReader::Progress::broken;
    if (got == 0) return GreetingReader::Progress::incomplete;
    have_ += static_cast<std::size_t>(got);
  }
  return std::memcmp(bytes_.data(), magic.data(), magic.size()) == 0
             ? GreetingReader::Progress::complete
             : GreetingReader::Progress::broken;
}

std::optional<PeerCredentials> credentials_of(const Descriptor& socket) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return PeerCredentials{peer.uid, peer.gid, peer.pid};
}

bool is_allowed(const PeerCredentials& peer, const SharedMemoryOptions& options) noexcept {
  if (peer.user == 0 || peer.user == ::geteuid()) return true;
  return std::find(options.allowed_users.begin(), options.allowed_users.end(), peer.user) !=
         options.allowed_users.end();
}

}  // namespace velo::runtime
