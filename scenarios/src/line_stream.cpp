// SPDX-License-Identifier: Apache-2.0
// Reading until there is nothing, writing while there is room.

#include "line_stream.hpp"

#include <sys/uio.h>

#include <array>
#include <utility>

namespace velo::scenarios {

LineStream::LineStream(std::unique_ptr<ByteStream> stream,
                       std::function<void(std::string_view)> on_line)
    : stream_(std::move(stream)), on_line_(std::move(on_line)) {
  stream_->attach(*this);
}

LineStream::~LineStream() = default;

void LineStream::say(std::string_view line) {
  if (over_) return;
  unsent_ += line;
  unsent_ += '\n';
  flush();
  if (unsent_.size() > bytes_max) over_ = true;
}

void LineStream::on_readable() {
  std::array<std::byte, 4096> buffer;
  while (!over_) {
    const IoResult got = stream_->try_read(buffer);
    if (got.status == IoResult::Status::would_block) break;
    if (got.status != IoResult::Status::ok) {
      over_ = true;
      break;
    }
    heard_ += as_text(ByteSpan(buffer).first(got.bytes));
    take_lines();
    if (heard_.size() > bytes_max) over_ = true;
  }
}

void LineStream::take_lines() {
  std::size_t done = 0;
  for (std::size_t end = heard_.find('\n'); end != std::string::npos;
       end = heard_.find('\n', done)) {
    on_line_(std::string_view(heard_).substr(done, end - done));
    done = end + 1;
  }
  heard_.erase(0, done);
}

void LineStream::flush() {
  while (!over_ && !unsent_.empty()) {
    const std::array<iovec, 1> parts{iovec{unsent_.data(), unsent_.size()}};
    const IoResult sent = stream_->try_write(parts);
    if (sent.status == IoResult::Status::would_block) return stream_->want_write();
    if (sent.status != IoResult::Status::ok) {
      over_ = true;
      return;
    }
    unsent_.erase(0, sent.bytes);
  }
}

}  // namespace velo::scenarios
