// SPDX-License-Identifier: Apache-2.0
// Dead letters in memory.

#include <velo/base/dead_letter.hpp>

#include <utility>

namespace velo {
namespace dead_letter_detail {

static std::size_t bytes_of(const DeadLetter& letter) noexcept {
  std::size_t bytes = sizeof(DeadLetter) + letter.source.size() + letter.id.size() +
                      letter.payload.size() + letter.reason.size();
  for (const auto& [name, value] : letter.headers) bytes += name.size() + value.size();
  return bytes;
}

}  // namespace dead_letter_detail

Result<void> MemoryDeadLetters::take(const DeadLetter& letter) {
  const std::size_t bytes = dead_letter_detail::bytes_of(letter);
  const std::lock_guard lock(mutex_);
  if (letters_.size() >= letters_max_ || bytes_ + bytes > bytes_max_) {
    return make_error(Errc::overloaded, "no room for another dead letter");
  }
  bytes_ += bytes;
  letters_.push_back(letter);
  return {};
}

std::size_t MemoryDeadLetters::size() const {
  const std::lock_guard lock(mutex_);
  return letters_.size();
}

std::vector<DeadLetter> MemoryDeadLetters::drain() {
  const std::lock_guard lock(mutex_);
  bytes_ = 0;
  return std::exchange(letters_, {});
}

}  // namespace velo
