// SPDX-License-Identifier: Apache-2.0
// One stream of the scenario `streams`: what is to happen to it, what both ends saw, and the ends
// themselves, which live and die with their machines.
// Threading: the one thread that drives the simulation.
#pragma once

#include <velo/codec/describe.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/sim/simulation.hpp>
#include <velo/streaming/streams.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace velo::scenarios {

struct StreamItem {
  std::uint64_t flow = 0;
  std::uint64_t writer = 0;
  std::uint64_t number = 0;
  std::string filler;
};
VELO_DESCRIBE(StreamItem, flow, writer, number, filler);

enum class StreamWay : std::uint8_t {
  finalize,     ///< one sender says everything
  drop,         ///< it goes away without an ending
  hand_over,    ///< it detaches halfway, and another one goes on
  cancel,       ///< the consumer has enough after a while
  many_to_one,  ///< several senders
};
constexpr std::size_t stream_ways = 5;

/// What happened to a stream, kept beyond the machines.
struct StreamRecord {
  std::uint64_t id = 0;
  StreamWay way = StreamWay::finalize;
  std::uint64_t items = 0;  ///< of each sender, or of both that hand over
  std::uint64_t cancel_after = 0;
  std::uint64_t read = 0;
  int ends = 0;                                 ///< of the stream, at its consumer
  std::string end;                              ///< "finalized", or the error's code
  std::map<std::uint64_t, std::uint64_t> next;  ///< by writer
  std::map<SenderId, std::uint64_t> writer_of;  ///< of many to one
  std::map<SenderId, std::string> sender_ends;  ///< the same
  std::uint64_t detachments = 0;
  bool calm = false;  ///< no fault may have touched it
};

struct StreamMember;

/// What callbacks keep of an end: a machine that crashes takes its ends along, and what they had
/// under way ends after them. The last member, so that it goes first.
template <class T>
class WhileHere {
 public:
  explicit WhileHere(T& end) : here_(std::make_shared<T*>(&end)) {}

  /// A callback that does nothing once the end is gone.
  template <class F>
  auto guard(F call) const {
    return [weak = std::weak_ptr<T*>(here_), call = std::move(call)](auto&&... results) mutable {
      if (const auto here = weak.lock()) {
        call(**here, std::forward<decltype(results)>(results)...);
      }
    };
  }

 private:
  std::shared_ptr<T*> here_;
};

/// The consuming end.
class StreamReader {
 public:
  using Fail = std::function<void(std::string)>;

  StreamReader(StreamMember& member, StreamRecord& record, Fail fail)
      : member_(member), record_(record), fail_(std::move(fail)) {}
  /// The handle to attach to.
  Result<StreamAnchorHandle> open();

 private:
  void read_on();
  void wait();
  /// False: nothing more is to be read now.
  bool take(SenderId sender, const Result<StreamFrame<StreamItem>>& frame);
  void take_item(SenderId sender, const StreamItem& item);
  bool take_end(SenderId sender, const std::string& end);
  void over(const std::string& end);

  StreamMember& member_;
  StreamRecord& record_;
  const Fail fail_;
  std::optional<StreamAnchor<StreamItem>> one_;
  std::optional<MpscStreamAnchor<StreamItem>> many_;
  WhileHere<StreamReader> here_{*this};
};

/// A sending end.
class StreamWriter {
 public:
  using Done = std::function<void(const StreamWriter&)>;

  StreamWriter(StreamMember& member, StreamRecord& record, std::uint64_t writer,
               std::uint64_t first, std::uint64_t count, StreamReader::Fail fail, Done done)
      : member_(member),
        record_(record),
        writer_(writer),
        next_(first),
        end_(first + count),
        fail_(std::move(fail)),
        done_(std::move(done)) {}
  void attach(const StreamAnchorHandle& handle);

  bool over() const noexcept { return over_; }
  /// It has detached, and another one may go on.
  bool handed_over() const noexcept { return handed_over_; }
  const std::string& error() const noexcept { return error_; }

 private:
  void write_on();
  void finish();
  void ended(const Result<void>& result);
  void leave(std::string error);

  StreamMember& member_;
  StreamRecord& record_;
  const std::uint64_t writer_;
  std::uint64_t next_;
  const std::uint64_t end_;
  const StreamReader::Fail fail_;
  const Done done_;
  std::optional<StreamSender<StreamItem>> sender_;
  bool over_ = false;
  bool handed_over_ = false;
  std::string error_;
  WhileHere<StreamWriter> here_{*this};
};

/// One run of a machine. Its ends go before its streams.
struct StreamMember {
  std::size_t place = 0;
  sim::SimNode* node = nullptr;
  Random* random = nullptr;
  std::unique_ptr<Messenger> messenger;
  std::optional<Streams> streams;
  std::deque<StreamReader> readers;
  std::deque<StreamWriter> writers;
};

}  // namespace velo::scenarios
