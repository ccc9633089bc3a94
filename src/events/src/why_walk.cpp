// SPDX-License-Identifier: Apache-2.0
// Walks the graph of what waits for what, machine by machine, and finds its circles.

#include "why_walk.hpp"

#include <velo/events/limits.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>

namespace velo::events {
namespace why_detail {

/// One question at a time; owned by the continuation that waits for the answer.
class Walk : public std::enable_shared_from_this<Walk> {  // why: its continuations keep it
 public:
  Walk(std::shared_ptr<Engine> engine, const EventHandle& first)
      : engine_(std::move(engine)), first_(first), promise_(engine_->world().pool()) {
    queue_.push_back(first);
    seen_.insert(first);
  }

  Op<EventWhy> start() {
    Op<EventWhy> op = promise_.op();
    next();
    return op;
  }

 private:
  void next() {
    if (!queue_.empty()) {
      const EventHandle event = queue_.front();
      queue_.pop_front();
      return ask(event.system(), event, [](Walk& walk, EventReport report) {
        walk.follow(report);
        walk.found_.events.push_back(std::move(report));
      });
    }
    if (!watchers_.empty()) {
      const WorkerId watcher = watchers_.front();
      watchers_.pop_front();
      return ask(watcher, first_, [](Walk& walk, EventReport report) {
        walk.found_.awaited_by.push_back(std::move(report));
      });
    }
    found_.cycles = find_cycles(found_.events);
    promise_.set(std::move(found_));
  }

  using Take = void (*)(Walk&, EventReport);
  void ask(WorkerId whom, const EventHandle& event, Take take) {
    engine_->report_of(whom, event)
        .then(engine_->world().pool(),
              [self = shared_from_this(), whom, event, take](Result<EventReport> told) {
                if (!told) {
                  EventReport silent;
                  silent.event = event;
                  silent.told_by = whom;
                  silent.status = error_code_name(told.error().code());
                  silent.reason = told.error().context();
                  told = std::move(silent);
                }
                take(*self, std::move(*told));
                self->next();
              });
  }

  void follow(const EventReport& report) {
    if (report.event == first_) {
      watchers_.assign(report.subscribers.begin(), report.subscribers.end());
    }
    for (const EventHandle& other : report.waits_for) {
      if (!seen_.insert(other).second) continue;
      if (seen_.size() > limits::why_events_max) {
        found_.cut_off = true;
        return;
      }
      queue_.push_back(other);
    }
  }

  const std::shared_ptr<Engine> engine_;
  const EventHandle first_;
  Promise<EventWhy> promise_;
  EventWhy found_;
  std::deque<EventHandle> queue_;
  std::deque<WorkerId> watchers_;
  std::set<EventHandle> seen_;
};

}  // namespace why_detail

std::vector<std::vector<EventHandle>> find_cycles(const std::vector<EventReport>& events) {
  std::map<EventHandle, const EventReport*> by_event;
  for (const EventReport& each : events) by_event.emplace(each.event, &each);
  struct Step {
    const EventReport* at;
    std::size_t next = 0;
  };
  std::vector<std::vector<EventHandle>> cycles;
  std::set<EventHandle> done;
  for (const EventReport& root : events) {
    if (done.contains(root.event)) continue;
    std::vector<Step> path{{&root}};
    while (!path.empty()) {
      Step& top = path.back();
      if (top.next == top.at->waits_for.size()) {
        done.insert(top.at->event);
        path.pop_back();
        continue;
      }
      const EventHandle edge = top.at->waits_for[top.next++];
      const auto start =
          std::ranges::find_if(path, [&](const Step& step) { return step.at->event == edge; });
      if (start != path.end()) {
        auto& cycle = cycles.emplace_back();
        for (auto step = start; step != path.end(); ++step) cycle.push_back(step->at->event);
      } else if (const auto known = by_event.find(edge);
                 known != by_event.end() && !done.contains(edge)) {
        path.push_back({known->second});
      }
    }
  }
  return cycles;
}

Op<EventWhy> walk_why(std::shared_ptr<Engine> engine, const EventHandle& event) {
  return std::make_shared<why_detail::Walk>(std::move(engine), event)->start();
}

}  // namespace velo::events
