// SPDX-License-Identifier: Apache-2.0
// The bytes and descriptors of the handshake, one system call each; what they mean is decided in
// shared_memory_handshake.cpp and shared_memory_listener.cpp.
// Threading: values; any thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/network.hpp>
#include <velo/base/shared_memory.hpp>

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "descriptor.hpp"

namespace velo::runtime {

/// "velo-shm", u32 LE version, u32 LE length of the region in pages of 4096 bytes.
constexpr std::size_t greeting_bytes = 16;
/// "velo-shm": the link stands.
constexpr std::size_t answer_bytes = 8;
constexpr std::uint32_t greeting_version = 1;
constexpr std::size_t region_unit_bytes = 4096;

/// What comes with the greeting, in this order.
struct GreetingFiles {
  static constexpr std::size_t count = 3;
  Descriptor region;
  Descriptor makers_bell;     ///< who connects listens to it
  Descriptor accepters_bell;  ///< who accepts listens to it
};

std::array<std::byte, greeting_bytes> encode_greeting(std::size_t region_bytes) noexcept;
/// The region's length; nothing if it is no greeting.
std::optional<std::size_t> decode_greeting(
    const std::array<std::byte, greeting_bytes>& bytes) noexcept;

/// The whole greeting at once, with the descriptors. Zero or errno.
int send_greeting(const Descriptor& socket, std::size_t region_bytes,
                  const GreetingFiles& files) noexcept;
int send_answer(const Descriptor& socket) noexcept;

/// Reads a greeting as it comes in.
class GreetingReader {
 public:
  enum class Progress : std::uint8_t { incomplete, complete, broken };
  Progress read(const Descriptor& socket) noexcept;
  std::size_t region_bytes() const noexcept { return region_bytes_; }
  GreetingFiles& files() noexcept { return files_; }

 private:
  /// False if there are too many, or others than these.
  bool take_descriptors(msghdr& message) noexcept;

  std::array<std::byte, greeting_bytes> bytes_{};
  std::size_t have_ = 0;
  std::size_t descriptors_ = 0;
  std::size_t region_bytes_ = 0;
  GreetingFiles files_;
};

/// Reads the answer as it comes in; descriptors that come with it are dropped.
class AnswerReader {
 public:
  GreetingReader::Progress read(const Descriptor& socket) noexcept;

 private:
  std::array<std::byte, answer_bytes> bytes_{};
  std::size_t have_ = 0;
};

std::optional<PeerCredentials> credentials_of(const Descriptor& socket) noexcept;
/// Root, this process's own user, or one of the options.
bool is_allowed(const PeerCredentials& peer, const SharedMemoryOptions& options) noexcept;

}  // namespace velo::runtime
