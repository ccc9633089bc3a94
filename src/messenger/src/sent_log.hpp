// SPDX-License-Identifier: Apache-2.0
// SentLog: the requests of one connection that nobody has answered, kept as they were sent, so that
// another connection can carry them on when this one dies (path_resume.cpp). Fire-and-forget stays
// until the peer has confirmed that it was taken in. Bounded by limits::kept_requests_max and by
// the memory budget; what does not fit is not kept, and ends as it would without; fire-and-forget
// is counted then, since it has ended before anybody knows.
// Threading: any thread.
#pragma once

#include "peer.hpp"

#include <velo/base/budget.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace velo::messenger {

class SentLog {
 public:
  /// A request, and by what connection it went first; no token: by this one.
  struct Kept {
    PendingSend send;
    std::uint64_t order = 0;
    Bytes origin;
    std::uint32_t lane = 0;  ///< of that connection; 0 where it keeps all in order
    bool sent = false;       ///< the connection has taken it
    bool covered = false;    ///< a confirmation of it was asked for

    Kept() = default;
  };

  explicit SentLog(std::shared_ptr<MemoryBudget> memory) noexcept : memory_(std::move(memory)) {}

  /// Before it is sent, so that the order of the log is that of every sender.
  void add(PendingSend send, std::uint32_t lane, Bytes origin = {});
  /// The connection took it. True: nobody has asked for a confirmation of fire-and-forget, and the
  /// caller should.
  bool sent(MessageId id, Pattern pattern, std::uint32_t lane);
  /// It was answered, was not taken, or went elsewhere.
  void remove(MessageId id);
  /// All that was sent by now is about to be confirmed. In which lanes, as bits.
  std::uint32_t begin_confirmation();
  /// It is. True: there is more to ask for.
  bool confirmed();
  /// It was not answered: the next fire-and-forget asks again.
  void confirmation_failed();
  /// Of fire-and-forget that was sent, was not kept for lack of room, and is not confirmed. From
  /// here on they are not counted any more.
  std::uint64_t take_unkept();
  /// In the order of their sending.
  std::vector<Kept> take_all();
  /// Drops calls that have ended otherwise, when there may be many.
  void prune(const std::function<bool(MessageId)>& alive);
  std::size_t size();

 private:
  void erase(std::unordered_map<std::uint64_t, Kept>::iterator at);

  std::mutex mutex_;
  std::unordered_map<std::uint64_t, Kept> kept_;  ///< by the id's local part
  Holding memory_;
  std::uint64_t next_ = 0;
  std::size_t fires_ = 0;             ///< that nobody has asked to be confirmed
  std::uint64_t unkept_ = 0;          ///< fire-and-forget that was sent and could not be kept
  std::uint64_t unkept_covered_ = 0;  ///< of which a confirmation was asked for
  std::uint32_t fire_lanes_ = 0;      ///< of fires_
  std::uint32_t confirming_lanes_ = 0;
  bool confirming_ = false;
  std::size_t prune_at_ = 256;
};

}  // namespace velo::messenger
