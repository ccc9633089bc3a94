// SPDX-License-Identifier: Apache-2.0
// What the readers of all formats share: the cursor, and the one failure with the path at which it
// happened. Not a format. A read that fails returns false, and each level that returns adds its
// segment to the path.
// Threading: an Input belongs to one thread.
#pragma once

#include <velo/codec/error.hpp>
#include <velo/codec/int128.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace velo::codec {

enum class Kind : std::uint8_t {
  nil,
  boolean,
  integer,
  real,
  string,
  bytes,
  array,
  map,
  extension,
  invalid,  ///< the input ends here, or what follows cannot start a value
};

/// Where a reader is in an array or a map.
struct Sequence {
  std::uint32_t left = 0;  ///< items still to come, where the format says so in advance
  bool fresh = true;       ///< no item read yet
};

/// Arrays and maps nested deeper than this are refused by every reader.
inline constexpr std::uint32_t depth_max = 64;

class Input {
 public:
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  bool failed() const noexcept { return failure_ != nullptr; }
  /// Bytes consumed so far.
  std::size_t offset() const noexcept { return static_cast<std::size_t>(pos_ - begin_); }
  std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - pos_); }
  /// "peers[2].address: expected integer, found string at byte 17". Only after a failure.
  Error error() const;

  // Each of these records the first failure, or adds to its path, and returns false.
  /// `message` is completed with the place of the value last read.
  bool fail(Errc code, std::string message);
  bool fail_out_of_range(BigInteger value);
  bool fail_unknown_enumerator(std::string_view name);
  bool fail_missing_member(std::string_view name);
  bool fail_length(std::size_t expected);
  bool in_member(std::string_view name);
  bool in_index(std::size_t index);
  bool in_key(std::string_view key);

  /// How many items of `item_bytes` to reserve for: never more than 64 KiB on the input's word
  /// alone.
  static std::size_t reserve_count(const Sequence& sequence, std::size_t item_bytes) noexcept {
    const std::size_t most = (std::size_t{64} << 10U) / item_bytes + 1;
    return sequence.left < most ? sequence.left : most;
  }

 protected:
  explicit Input(std::string_view data) noexcept
      : begin_(reinterpret_cast<const std::uint8_t*>(data.data())),
        pos_(begin_),
        end_(begin_ + data.size()),
        mark_(begin_) {}
  ~Input() = default;

  bool fail_type(const char* expected, Kind found);
  bool fail_end();
  bool enter() {
    if (depth_ >= depth_max) [[unlikely]]
      return fail_depth();
    ++depth_;
    return true;
  }
  bool fail_depth();

  const std::uint8_t* begin_;
  const std::uint8_t* pos_;
  const std::uint8_t* end_;
  const std::uint8_t* mark_;  ///< start of the value last read, for messages
  std::uint32_t depth_ = 0;

 private:
  struct Failure {
    Errc code;
    std::string message;
    std::string path;
  };
  bool add_to_path(const std::string& segment);

  std::unique_ptr<Failure> failure_;
};

}  // namespace velo::codec
