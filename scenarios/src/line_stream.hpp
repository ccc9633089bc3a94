// SPDX-License-Identifier: Apache-2.0
// Lines over a byte stream, both ways. Bounded: a peer that sends no line end, or does not read,
// ends the stream.
// Threading: the shard of the stream.
#pragma once

#include <velo/base/network.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace velo::scenarios {

class LineStream final : private StreamEvents {
 public:
  /// Bytes waiting in either direction.
  static constexpr std::size_t bytes_max = std::size_t{64} << 10;

  /// `on_line` gets each line without its end. It may say(), but not destroy the LineStream.
  LineStream(std::unique_ptr<ByteStream> stream, std::function<void(std::string_view)> on_line);
  LineStream(const LineStream&) = delete;
  LineStream& operator=(const LineStream&) = delete;
  ~LineStream();

  void say(std::string_view line);
  /// The peer ended it, it failed, or a bound was passed: nothing comes any more.
  bool over() const noexcept { return over_; }

 private:
  void on_readable() override;
  void on_writable() override { flush(); }
  void flush();
  void take_lines();

  std::unique_ptr<ByteStream> stream_;
  std::function<void(std::string_view)> on_line_;
  std::string heard_;
  std::string unsent_;
  bool over_ = false;
};

}  // namespace velo::scenarios
