// SPDX-License-Identifier: Apache-2.0
// StreamAnchor<T> and MpscStreamAnchor<T>: the consuming end of a stream. Its handle travels to
// whoever shall send; what is sent is read with next(), in the order of sending.
// Threading: an anchor belongs to one thread at a time, its Ops too; cancel() from any thread.
#pragma once

#include <velo/base/op.hpp>
#include <velo/streaming/frame.hpp>
#include <velo/streaming/handle.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace velo {
namespace streaming {

class Anchor;
class AnchorWatch;

/// What both kinds of anchors share.
class AnchorEnd {
 public:
  explicit AnchorEnd(std::shared_ptr<Anchor> anchor) noexcept : anchor_(std::move(anchor)) {}
  AnchorEnd(AnchorEnd&& other) noexcept : anchor_(std::move(other.anchor_)) {}
  AnchorEnd& operator=(AnchorEnd&& other) noexcept {
    std::swap(anchor_, other.anchor_);
    return *this;
  }
  AnchorEnd(const AnchorEnd&) = delete;
  /// As cancel().
  ~AnchorEnd();

  const StreamAnchorHandle& handle() const noexcept;
  /// Senders that are attached now.
  std::size_t senders() const;
  /// Nobody reads on: senders are told (their sends end as Errc::channel_closed, their stop tokens
  /// stop), what was not read is dropped, and a next() that waits ends as Errc::stream_over.
  void cancel() noexcept;
  /// For <velo/streaming/call.hpp>.
  AnchorWatch watch() const;

 protected:
  /// Ends when next_frame() has something.
  OpState& start_next();
  static Result<RawFrame> next_frame(OpState& state);
  std::optional<Result<RawFrame>> try_next_frame();

 private:
  std::shared_ptr<Anchor> anchor_;
};

}  // namespace streaming

/// One sender at a time. After a detachment another one may attach; `finalized`, a dropped sender
/// and a lost connection are the end.
template <class T>
class [[nodiscard]] StreamAnchor : public streaming::AnchorEnd {
 public:
  using AnchorEnd::AnchorEnd;

  /// The next item or word, once there is one; errors are those of streaming::Errc "Reading", and
  /// streaming::Errc::stream_over after the end. One at a time: a second one ends as
  /// streaming::Errc::busy. Dropping it loses nothing.
  Op<StreamFrame<T>> next() {
    return Op<StreamFrame<T>>(start_next(), [](OpState& state) -> Result<StreamFrame<T>> {
      Result<streaming::RawFrame> raw = next_frame(state);
      if (!raw) return raw.error();
      return streaming::typed_frame<T>(*raw);
    });
  }
  /// What is there already; nullopt: nothing, or a next() is waiting.
  std::optional<Result<StreamFrame<T>>> try_next() {
    auto raw = try_next_frame();
    if (!raw) return std::nullopt;
    if (!*raw) return Result<StreamFrame<T>>(raw->error());
    return streaming::typed_frame<T>(**raw);
  }
};

/// Any number of senders up to StreamOptions::senders_max, each with an end of its own; the stream
/// ends when it is cancelled, or when nobody is attached for too long.
template <class T>
class [[nodiscard]] MpscStreamAnchor : public streaming::AnchorEnd {
 public:
  using AnchorEnd::AnchorEnd;

  /// As StreamAnchor::next(); fails only when the stream as a whole is over.
  Op<MpscFrame<T>> next() {
    return Op<MpscFrame<T>>(start_next(), [](OpState& state) -> Result<MpscFrame<T>> {
      Result<streaming::RawFrame> raw = next_frame(state);
      if (!raw) return raw.error();
      return MpscFrame<T>(raw->sender, streaming::typed_frame<T>(*raw));
    });
  }
  std::optional<Result<MpscFrame<T>>> try_next() {
    auto raw = try_next_frame();
    if (!raw) return std::nullopt;
    if (!*raw) return Result<MpscFrame<T>>(raw->error());
    return MpscFrame<T>((*raw)->sender, streaming::typed_frame<T>(**raw));
  }
};

}  // namespace velo
