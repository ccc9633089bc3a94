// SPDX-License-Identifier: Apache-2.0
// What an anchor holds, and the order in which it is handed out.

#include "anchor_state.hpp"

#include <velo/streaming/anchor.hpp>
#include <velo/streaming/call.hpp>
#include <velo/streaming/limits.hpp>

#include <algorithm>
#include <utility>

namespace velo::streaming {
namespace anchor_detail {

/// Frames that may stay in the batch they came in: it is kept as long as one of them is.
constexpr std::size_t shared_frames_max = 16;
/// Larger ones are never copied: they are most of their batch.
constexpr std::size_t copied_bytes_max = 8'192;
/// What was taken is told from here on, or when there is nothing left to take of its sender.
constexpr std::uint64_t report_bytes = 4'096;

static bool ends_sender(FrameKind kind) noexcept {
  return kind != FrameKind::item && kind != FrameKind::sender_error;
}
static bool ends_stream(FrameKind kind) noexcept {
  return ends_sender(kind) && kind != FrameKind::detached;
}

static Tally::End end_of(FrameKind kind) noexcept {
  switch (kind) {
    case FrameKind::finalized: return Tally::End::finalized;
    case FrameKind::detached: return Tally::End::detached;
    case FrameKind::transport_error: return Tally::End::lost;
    default: return Tally::End::dropped;
  }
}

static Error over() { return make_error(Errc::stream_over, "the stream is over"); }

}  // namespace anchor_detail

Anchor::Anchor(Executor& callbacks, StreamAnchorHandle handle, StreamOptions options, TimePoint now,
               std::shared_ptr<Tally> tally)
    : callbacks_(callbacks),
      handle_(handle),
      options_(options),
      tally_(std::move(tally)),
      unattached_since_(now) {}

std::size_t Anchor::senders() const {
  const std::lock_guard lock(mutex_);
  return attached_;
}

OpState& Anchor::start_next(const std::shared_ptr<Anchor>& anchor) {
  using Ready = std::shared_ptr<Anchor>;
  Anchor& self = *anchor;
  const std::lock_guard lock(self.mutex_);
  if (self.reader_) {
    auto busy = make_error(Errc::busy, "a next() of this anchor waits already");
    return *Op<Ready>::ready(self.callbacks_, std::move(busy)).release().first;
  }
  if (!self.queue_.empty() || self.over_ || self.last_) {
    return *Op<Ready>::ready(self.callbacks_, anchor).release().first;
  }
  Promise<Ready> promise(self.callbacks_);
  promise.on_cancel([anchor]() noexcept { anchor->cancel_next(); });
  OpState& state = *promise.op().release().first;
  self.reader_.emplace(std::move(promise), anchor);
  return state;
}

void Anchor::cancel_next() noexcept {
  std::optional<Reader> reader;
  {
    const std::lock_guard lock(mutex_);
    reader = std::exchange(reader_, std::nullopt);
  }
  if (reader) reader->promise.set(velo::make_error(velo::Errc::cancelled, "next() was given up"));
}

void Anchor::wake_reader(std::vector<Wake>& wakes) {
  if (!reader_) return;
  wakes.push_back({std::move(reader_->promise), std::move(reader_->self)});
  reader_.reset();
}

Anchor::Report Anchor::account(const Entry& entry) {
  Attachment& from = *entry.from;
  --from.queued;
  ++from.taken_frames;
  from.taken_bytes += entry.size;
  Report report;
  const bool ends = anchor_detail::ends_sender(entry.kind);
  if (from.taken_frames < std::max(1U, options_.frames / 8) &&
      from.taken_bytes < anchor_detail::report_bytes && from.queued != 0 && !ends) {
    return report;
  }
  report.source = from.source;
  report.slot = from.slot;
  report.frames = std::exchange(from.taken_frames, 0);
  report.bytes = std::exchange(from.taken_bytes, 0);
  report.finish = ends;
  if (ends) attachments_.erase(from.id);
  return report;
}

std::optional<Result<RawFrame>> Anchor::take(bool for_op) {
  Report report;
  RawFrame frame;
  std::move_only_function<void()> forget;
  {
    const std::lock_guard lock(mutex_);
    if (!for_op && reader_) return std::nullopt;
    if (over_) return Result<RawFrame>(anchor_detail::over());
    if (queue_.empty()) {
      if (!last_) return std::nullopt;
      over_ = true;
      return Result<RawFrame>(*std::exchange(last_, std::nullopt));
    }
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    frame = RawFrame(entry.kind, entry.from->id, std::move(entry.body));
    report = account(entry);
    if (!many() && anchor_detail::ends_stream(entry.kind)) {
      over_ = true;
      forget = std::exchange(forget_, nullptr);
    }
  }
  if (report.source != nullptr) {
    report.source->consumed(report.slot, report.frames, report.bytes);
    if (report.finish) report.source->finish(report.slot);
  }
  if (forget) forget();
  return Result<RawFrame>(std::move(frame));
}

void Anchor::cancel() noexcept {
  std::map<SenderId, std::shared_ptr<Attachment>> attachments;
  std::deque<Entry> queue;
  std::vector<Wake> wakes;
  std::move_only_function<void()> forget;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    ending_ = true;
    attached_ = 0;
    attachments.swap(attachments_);
    queue.swap(queue_);
    wake_reader(wakes);
    for (const auto& [id, attachment] : attachments) nobody_reads(*attachment);
    forget = std::exchange(forget_, nullptr);
  }
  for (const auto& [id, attachment] : attachments) {
    if (attachment->source != nullptr) attachment->source->refuse(attachment->slot);
  }
  if (forget) forget();
  for (Wake& wake : wakes) wake();
}

void Anchor::nobody_reads(Attachment& attachment) noexcept {
  if (attachment.phase == Attachment::Phase::open) tally_->count(Tally::End::cancelled);
  attachment.phase = Attachment::Phase::ended;
}

void Anchor::stop(const Error& why) {
  std::vector<Report> refused;
  std::vector<Wake> wakes;
  {
    const std::lock_guard lock(mutex_);
    if (!ending_) last_ = why;
    ending_ = true;
    attached_ = 0;
    for (const auto& [id, attachment] : attachments_) {
      if (attachment->source == nullptr) continue;
      refused.push_back({std::exchange(attachment->source, nullptr), attachment->slot, 0, 0, true});
      nobody_reads(*attachment);
    }
    wake_reader(wakes);
  }
  for (const Report& report : refused) report.source->refuse(report.slot);
  for (Wake& wake : wakes) wake();
}

void Anchor::call_over(const Result<void>& answered) {
  std::vector<Wake> wakes;
  {
    const std::lock_guard lock(mutex_);
    const bool anybody = next_sender_ != 1;
    if (!takes_senders() || opened_ || (answered && !anybody)) return;
    const Error why = answered ? make_error(Errc::transport_error, "the stream was never opened")
                               : answered.error();
    if (attached_ != 0) {
      without_opening_ = why;
      return;
    }
    ending_ = true;
    last_ = why;
    wake_reader(wakes);
  }
  for (Wake& wake : wakes) wake();
}

Result<void> Anchor::reserve(std::uint64_t session, const InstanceId& peer, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (!takes_senders()) return make_error(Errc::anchor_not_found, "the stream is over");
  if (!many() && attached_ != 0) {
    return make_error(Errc::already_attached, "the anchor has a sender");
  }
  if (attached_ >= options_.senders_max) {
    return make_error(Errc::max_senders_reached,
                      "the anchor has " + std::to_string(attached_) + " senders");
  }
  auto attachment = std::make_shared<Attachment>();
  attachment->id = next_sender_++;
  attachment->session = session;
  attachment->peer = peer;
  attachment->since = now;
  ++attached_;
  attachments_.emplace(attachment->id, std::move(attachment));
  return {};
}

std::shared_ptr<Attachment> Anchor::bind(std::uint64_t session, const InstanceId& peer,
                                         std::shared_ptr<Source> source, Slot slot) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, attachment] : attachments_) {
    if (attachment->session != session || attachment->peer != peer ||
        attachment->phase != Attachment::Phase::reserved) {
      continue;
    }
    attachment->phase = Attachment::Phase::open;
    opened_ = true;
    attachment->source = std::move(source);
    attachment->slot = slot;
    return attachment;
  }
  return nullptr;
}

TimePoint Anchor::expire(TimePoint now, std::vector<Wake>& wakes) {
  const std::lock_guard lock(mutex_);
  TimePoint next = TimePoint::never();
  if (!takes_senders()) return next;
  for (auto it = attachments_.begin(); it != attachments_.end();) {
    const TimePoint until = it->second->since + limits::bind_patience;
    const bool reserved = it->second->phase == Attachment::Phase::reserved;
    if (reserved && until <= now) {
      if (--attached_ == 0) unattached_since_ = now;
      it = attachments_.erase(it);
      continue;
    }
    if (reserved) next = std::min(next, until);
    ++it;
  }
  if (attached_ == 0 && !opened_ && without_opening_) {
    ending_ = true;
    last_ = std::exchange(without_opening_, std::nullopt);
    wake_reader(wakes);
    return TimePoint::never();
  }
  if (attached_ != 0 || !options_.unattached_timeout) return next;
  const TimePoint until = unattached_since_ + *options_.unattached_timeout;
  if (until > now) return std::min(next, until);
  ending_ = true;
  last_ = make_error(Errc::nobody_attached, "nobody attached in time");
  wake_reader(wakes);
  return TimePoint::never();
}

void Anchor::add(Attachment& from, FrameKind kind, Bytes body, std::size_t size, TimePoint now) {
  queue_.push_back({kind, static_cast<std::uint32_t>(size), &from, std::move(body)});
  ++from.queued;
  if (!anchor_detail::ends_sender(kind)) return;
  from.phase = Attachment::Phase::ended;
  tally_->count(anchor_detail::end_of(kind));
  if (--attached_ == 0) {
    unattached_since_ = now;
    if (options_.unattached_timeout && look_at_) look_at_(now + *options_.unattached_timeout);
  }
  if (!many() && anchor_detail::ends_stream(kind)) ending_ = true;
}

bool Anchor::push(Attachment& from, const FrameView& frame, const Bytes& batch, std::size_t size,
                  TimePoint now, std::vector<Wake>& wakes) {
  const std::lock_guard lock(mutex_);
  if (over_ || from.phase != Attachment::Phase::open) return false;
  Bytes body;
  if (frame.kind != FrameKind::item) {
    body = Bytes::copy(frame.text);
  } else if (size <= anchor_detail::copied_bytes_max &&
             queue_.size() >= anchor_detail::shared_frames_max) {
    body = Bytes::copy(frame.item);
  } else {
    body =
        batch.slice(static_cast<std::size_t>(frame.item.data() - batch.data()), frame.item.size());
  }
  add(from, frame.kind, std::move(body), size, now);
  wake_reader(wakes);
  return true;
}

void Anchor::closed(Attachment& from, TimePoint now, std::vector<Wake>& wakes) {
  const std::lock_guard lock(mutex_);
  if (over_ || from.phase != Attachment::Phase::open) return;
  add(from, FrameKind::dropped, Bytes(), 0, now);
  wake_reader(wakes);
}

void Anchor::lost(Attachment& from, std::string_view why, TimePoint now, std::vector<Wake>& wakes) {
  const std::lock_guard lock(mutex_);
  if (over_) return;
  if (from.phase == Attachment::Phase::open) {
    add(from, FrameKind::transport_error, Bytes::copy(why), 0, now);
    wake_reader(wakes);
  }
  // Its slot is nobody's any longer.
  from.source = nullptr;
}

// ---- what consumers have of it

AnchorEnd::~AnchorEnd() {
  if (anchor_ != nullptr) anchor_->cancel();
}

const StreamAnchorHandle& AnchorEnd::handle() const noexcept { return anchor_->handle(); }
std::size_t AnchorEnd::senders() const { return anchor_->senders(); }
void AnchorEnd::cancel() noexcept { anchor_->cancel(); }
AnchorWatch AnchorEnd::watch() const { return AnchorWatch(anchor_); }
void AnchorWatch::call_over(const Result<void>& answered) const {
  if (const auto anchor = anchor_.lock()) anchor->call_over(answered);
}
OpState& AnchorEnd::start_next() { return Anchor::start_next(anchor_); }
std::optional<Result<RawFrame>> AnchorEnd::try_next_frame() { return anchor_->take(false); }

Result<RawFrame> AnchorEnd::next_frame(OpState& state) {
  using State = base_detail::PromiseState<std::shared_ptr<Anchor>>;
  auto ready = std::move(*static_cast<State&>(state).result);
  if (!ready) return ready.error();
  auto frame = (*ready)->take(true);
  if (!frame) return make_error(Errc::busy, "another call took what this one had ended for");
  return std::move(*frame);
}

}  // namespace velo::streaming
