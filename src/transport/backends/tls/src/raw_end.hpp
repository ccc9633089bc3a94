// SPDX-License-Identifier: Apache-2.0
// RawEnd: the stream under TLS. It is attached once, for the handshake, and tells whoever owns it
// now.
// Threading: as ByteStream says.
#pragma once

#include <velo/base/network.hpp>

#include <memory>
#include <utility>

namespace velo::transport::tls {

class RawEnd final : private StreamEvents {
 public:
  explicit RawEnd(std::unique_ptr<ByteStream> stream) noexcept : stream_(std::move(stream)) {}
  RawEnd(const RawEnd&) = delete;
  RawEnd& operator=(const RawEnd&) = delete;

  void attach() { stream_->attach(*this); }
  /// Null: nobody listens.
  void tell(StreamEvents* events) noexcept { events_ = events; }
  ByteStream& stream() noexcept { return *stream_; }
  const ByteStream& stream() const noexcept { return *stream_; }

 private:
  // Whoever is told may destroy this.
  void on_readable() override {
    if (events_ != nullptr) events_->on_readable();
  }
  void on_writable() override {
    if (events_ != nullptr) events_->on_writable();
  }

  const std::unique_ptr<ByteStream> stream_;
  StreamEvents* events_ = nullptr;
};

}  // namespace velo::transport::tls
