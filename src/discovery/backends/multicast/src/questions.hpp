// SPDX-License-Identifier: Apache-2.0
// The questions that wait for answers: about one peer, which ends with its answer, and about
// everybody, which ends with its time. Values in, questions to ask out; time is an argument.
// Threading: a value; belongs to one owner.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>
#include <velo/discovery/backends/multicast/message.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace velo::discovery::multicast {

/// Called once: with the answer, or null when the time is over; an error when given up.
using Answered = std::move_only_function<void(Result<const Row*>)>;

class Questions {
 public:
  /// Asks now, and twice more before `time` is over.
  std::uint64_t ask(Question question, TimePoint now, Duration time, Answered done,
                    std::vector<Question>& out) {
    question.number = ++last_;
    out.push_back(question);
    const TimePoint again = now + time / 4;
    waiting_.emplace(question.number, Waiting{question, now + time, time / 4, std::move(done)});
    due_.emplace(again, question.number);
    return question.number;
  }
  std::size_t size() const noexcept { return waiting_.size(); }

  void answer(std::uint64_t number, const Row& row) {
    const auto found = waiting_.find(number);
    if (found == waiting_.end() || !fits(found->second.question, row)) return;
    Waiting waiting = std::move(found->second);
    waiting_.erase(found);
    waiting.done(&row);
  }

  void tick(TimePoint now, std::vector<Question>& out) {
    while (!due_.empty() && due_.begin()->first <= now) {
      const std::uint64_t number = due_.begin()->second;
      due_.erase(due_.begin());
      const auto found = waiting_.find(number);
      if (found == waiting_.end()) continue;  // answered meanwhile
      Waiting& waiting = found->second;
      if (waiting.end <= now) {
        Waiting over = std::move(waiting);
        waiting_.erase(found);
        over.done(static_cast<const Row*>(nullptr));
        continue;
      }
      out.push_back(waiting.question);
      due_.emplace(waiting.pause == Duration::zero() ? waiting.end
                                                     : std::min(waiting.end, now + waiting.pause),
                   number);
      waiting.pause = Duration::zero();
    }
  }

  TimePoint wake() const noexcept {
    return due_.empty() ? TimePoint::never() : due_.begin()->first;
  }

  void give_up() {
    auto all = std::exchange(waiting_, {});
    due_.clear();
    for (auto& [number, waiting] : all) {
      waiting.done(velo::make_error(velo::Errc::cancelled, "the discovery has ended"));
    }
  }

 private:
  struct Waiting {
    Question question;
    TimePoint end;
    Duration pause{0};  ///< until it is asked the last time
    Answered done;
  };

  static bool fits(const Question& question, const Row& row) {
    if (!row.service.empty()) return false;
    if (question.about == Question::About::instance) return row.id == question.instance;
    if (question.about == Question::About::worker) {
      return row.id.worker_id().value() == question.id;
    }
    return false;
  }

  std::map<std::uint64_t, Waiting> waiting_;
  std::set<std::pair<TimePoint, std::uint64_t>> due_;  ///< when to ask again, or to end
  std::uint64_t last_ = 0;
};

}  // namespace velo::discovery::multicast
