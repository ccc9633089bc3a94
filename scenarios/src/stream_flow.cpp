// SPDX-License-Identifier: Apache-2.0
// Both ends of a stream, and what they must not see.

#include "stream_flow.hpp"

#include "fleet.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace velo::scenarios {
namespace stream_flow_detail {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

static std::string word(const Result<StreamFrame<StreamItem>>& frame) {
  if (!frame) return error_code_name(frame.error().code());
  return frame->finalized() ? "finalized" : "detached";
}

/// Whether an error of that code ends a one-to-one stream for its consumer.
static bool ends_the_stream(const std::string& end) { return end != "detached"; }

static std::string filler(std::uint64_t number) {
  return std::string(number * 37 % 600, static_cast<char>('a' + number % 26));
}

}  // namespace stream_flow_detail

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

// ---- the consumer

Result<StreamAnchorHandle> StreamReader::open() {
  StreamOptions options;
  options.unattached_timeout = 20s;
  options.frames = 1 + static_cast<std::uint32_t>(member_.random->below(40));
  if (record_.way == StreamWay::many_to_one) {
    auto made = member_.streams->create_mpsc_anchor<StreamItem>(options);
    if (!made) return made.error();
    many_.emplace(std::move(*made));
  } else {
    auto made = member_.streams->create_anchor<StreamItem>(options);
    if (!made) return made.error();
    one_.emplace(std::move(*made));
  }
  read_on();
  return many_ ? many_->handle() : one_->handle();
}

void StreamReader::read_on() {
  // A consumer that is slow now and then.
  if (member_.random->below(10) != 0) return wait();
  after(*member_.node, std::chrono::microseconds(member_.random->below(300'000)),
        here_.guard([](StreamReader& self) { self.wait(); }));
}

void StreamReader::wait() {
  if (many_) {
    auto taken = [](StreamReader& self, const Result<MpscFrame<StreamItem>>& frame) {
      if (!frame) return self.over(error_code_name(frame.error().code()));
      if (self.take(frame->sender(), frame->frame())) self.read_on();
    };
    many_->next().then(member_.node->shard(0), here_.guard(taken));
  } else {
    auto taken = [](StreamReader& self, const Result<StreamFrame<StreamItem>>& frame) {
      if (self.take(0, frame)) self.read_on();
    };
    one_->next().then(member_.node->shard(0), here_.guard(taken));
  }
}

bool StreamReader::take(SenderId sender, const Result<StreamFrame<StreamItem>>& frame) {
  if (record_.ends != 0) {
    fail_(fmt::format("stream {} goes on after its end", record_.id));
    return false;
  }
  if (!frame || !frame->is_item()) return take_end(sender, stream_flow_detail::word(frame));
  take_item(sender, frame->item());
  if (record_.way != StreamWay::cancel || record_.read < record_.cancel_after) return true;
  one_->cancel();
  over("cancelled");
  return false;
}

void StreamReader::take_item(SenderId sender, const StreamItem& item) {
  ++record_.read;
  if (item.flow != record_.id) {
    return fail_(fmt::format("stream {} got an item of {}", record_.id, item.flow));
  }
  if (item.filler != stream_flow_detail::filler(item.number)) {
    return fail_(fmt::format("stream {} got a damaged item", record_.id));
  }
  // Who hands over goes on with the other's numbers.
  const std::uint64_t order = record_.way == StreamWay::many_to_one ? item.writer : 0;
  std::uint64_t& next = record_.next[order];
  if (item.number != next) {
    return fail_(
        fmt::format("stream {} got item {} in place of {}", record_.id, item.number, next));
  }
  ++next;
  if (record_.way != StreamWay::many_to_one) return;
  if (record_.sender_ends.contains(sender)) {
    return fail_(fmt::format("stream {}: a sender goes on after its end", record_.id));
  }
  if (record_.writer_of.try_emplace(sender, item.writer).first->second != item.writer) {
    fail_(fmt::format("stream {}: two senders have one number", record_.id));
  }
}

bool StreamReader::take_end(SenderId sender, const std::string& end) {
  if (record_.way == StreamWay::many_to_one) {
    if (!record_.sender_ends.emplace(sender, end).second) {
      fail_(fmt::format("stream {}: a sender ends twice", record_.id));
    }
    return true;
  }
  if (!stream_flow_detail::ends_the_stream(end)) {
    ++record_.detachments;
    return true;
  }
  if (end == "finalized" && record_.next[0] != record_.items) {
    fail_(fmt::format("stream {} was finalized after {} of {} items", record_.id, record_.next[0],
                      record_.items));
  }
  over(end);
  return false;
}

void StreamReader::over(const std::string& end) {
  if (++record_.ends != 1) fail_(fmt::format("stream {} ends twice", record_.id));
  record_.end = end;
}

// ---- a sender

void StreamWriter::attach(const StreamAnchorHandle& handle) {
  auto op = handle.many_to_one() ? member_.streams->attach_mpsc_anchor<StreamItem>(handle)
                                 : member_.streams->attach_anchor<StreamItem>(handle);
  auto attached = [](StreamWriter& self, Result<StreamSender<StreamItem>> sender) {
    if (!sender) return self.leave(error_code_name(sender.error().code()));
    self.sender_.emplace(std::move(*sender));
    self.write_on();
  };
  std::move(op).then(member_.node->shard(0), here_.guard(attached));
}

void StreamWriter::write_on() {
  while (next_ != end_) {
    const StreamItem item{record_.id, writer_, next_, stream_flow_detail::filler(next_)};
    if (member_.random->below(3) != 0) {
      const auto sent = sender_->try_send(item);
      if (sent) {
        ++next_;
        continue;
      }
      if (!sent.error().is(streaming::Errc::no_credit)) {
        return leave(error_code_name(sent.error().code()));
      }
    }
    auto sent = [](StreamWriter& self, const Result<void>& result) {
      if (!result) return self.leave(error_code_name(result.error().code()));
      ++self.next_;
      self.write_on();
    };
    return sender_->send(item).then(member_.node->shard(0), here_.guard(sent));
  }
  finish();
}

void StreamWriter::finish() {
  const bool hands_over = record_.way == StreamWay::hand_over && end_ != record_.items;
  if (record_.way == StreamWay::drop) return leave({});
  auto op = hands_over ? sender_->detach() : sender_->finalize();
  auto said = [hands_over](StreamWriter& self, const Result<void>& result) {
    self.handed_over_ = hands_over && result;
    self.ended(result);
  };
  std::move(op).then(member_.node->shard(0), here_.guard(said));
}

void StreamWriter::ended(const Result<void>& result) {
  // What it was told has happened at the consumer.
  if (result && handed_over_ && record_.detachments == 0) {
    fail_(fmt::format("stream {}: detached, and the consumer does not know", record_.id));
  }
  if (result && !handed_over_ && record_.way != StreamWay::many_to_one &&
      record_.end != "finalized") {
    fail_(fmt::format("stream {}: finalized, and the consumer does not know", record_.id));
  }
  if (result && record_.way == StreamWay::many_to_one && record_.next[writer_] != end_) {
    fail_(fmt::format("stream {}: finalized after {} of {} items", record_.id,
                      record_.next[writer_], end_));
  }
  leave(result ? std::string() : error_code_name(result.error().code()));
}

void StreamWriter::leave(std::string error) {
  if (over_) return fail_(fmt::format("stream {}: a sender is over twice", record_.id));
  over_ = true;
  error_ = std::move(error);
  sender_.reset();
  done_(*this);
}

}  // namespace velo::scenarios
