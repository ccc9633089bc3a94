// SPDX-License-Identifier: Apache-2.0
// DeadLetterSink: where what could not be handled goes instead of vanishing: items of a queue that
// were delivered too often, and the like. MemoryDeadLetters keeps them in memory.
// Threading: take() and the functions of MemoryDeadLetters from any thread.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/time.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace velo {

struct DeadLetter {
  std::string source;  ///< "queue:orders": where it came from
  std::string id;      ///< its own
  Bytes payload;
  std::map<std::string, std::string, std::less<>> headers;
  std::uint32_t deliveries = 0;
  std::string reason;
  WallTime at;  ///< when it was given up
};

class DeadLetterSink {
 public:
  virtual ~DeadLetterSink() = default;
  /// An error says that it was not taken: whoever gives it keeps it, and tries again later. Must
  /// not block for long; never called with a lock of the giver's held.
  virtual Result<void> take(const DeadLetter& letter) = 0;
};

/// Bounded; a full one takes nothing (Errc::overloaded) until something was taken out.
class MemoryDeadLetters final : public DeadLetterSink {
 public:
  explicit MemoryDeadLetters(std::size_t letters_max = 1024,
                             std::size_t bytes_max = std::size_t{16} << 20)
      : letters_max_(letters_max), bytes_max_(bytes_max) {}

  Result<void> take(const DeadLetter& letter) override;
  std::size_t size() const;
  /// All there are, the oldest first, which are no longer here then.
  std::vector<DeadLetter> drain();

 private:
  const std::size_t letters_max_;
  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::vector<DeadLetter> letters_;
  std::size_t bytes_ = 0;
};

}  // namespace velo
