// SPDX-License-Identifier: Apache-2.0
// Delta debugging: leave out large parts, then smaller ones; then simplify what is left, one value
// at a time.

#include <velo/sim/shrink.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace velo::sim {

namespace shrink_detail {

class Shrinker {
 public:
  Shrinker(const FaultPlan& failing, const std::function<bool(const FaultPlan&)>& fails,
           std::size_t runs_max)
      : plan_(failing), fails_(fails), runs_left_(runs_max), runs_max_(runs_max) {}

  ShrinkResult shrink() {
    leave_out();
    // A simpler fault may make another one superfluous.
    while (simplify()) leave_out();
    return {std::move(plan_), runs_max_ - runs_left_, !out_of_runs_};
  }

 private:
  /// Takes the candidate over if it fails, too.
  bool attempt(FaultPlan candidate) {
    if (runs_left_ == 0) {
      out_of_runs_ = true;
      return false;
    }
    --runs_left_;
    if (!fails_(candidate)) return false;
    plan_ = std::move(candidate);
    return true;
  }

  /// Until no single fault can be left out.
  void leave_out() {
    std::size_t length = plan_.size();
    while (length != 0 && !out_of_runs_) {
      bool less = false;
      for (std::size_t begin = 0; begin < plan_.size() && !out_of_runs_;) {
        const std::size_t end = std::min(begin + length, plan_.size());
        FaultPlan candidate(plan_.begin(), plan_.begin() + static_cast<std::ptrdiff_t>(begin));
        candidate.insert(candidate.end(), plan_.begin() + static_cast<std::ptrdiff_t>(end),
                         plan_.end());
        if (attempt(std::move(candidate))) {
          less = true;
        } else {
          begin = end;
        }
      }
      if (length > 1) {
        length = (length + 1) / 2;
      } else if (!less) {
        return;
      }
      length = std::min(length, plan_.size());
    }
  }

  /// Tries one fault changed; what is no change is no run.
  template <class Change>
  bool changed(std::size_t index, Change change) {
    FaultPlan candidate = plan_;
    change(candidate[index]);
    if (candidate[index] == plan_[index]) return false;
    return attempt(std::move(candidate));
  }

  bool simplify() {
    bool any = false;
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      while (changed(i, [](Fault& fault) {
        // Zero would mean "for good".
        fault.duration = std::min(fault.duration, std::max(fault.duration / 2, shortest));
      })) {
        any = true;
      }
      while (changed(i, [](Fault& fault) { fault.amount /= 2; })) any = true;
      for (const Duration unit : units) {
        any |= changed(i, [unit](Fault& fault) {
          if (fault.duration >= unit) fault.duration -= fault.duration % unit;
        });
      }
      for (const Duration unit : units) {
        any |= changed(i, [unit](Fault& fault) { fault.at -= fault.at % unit; });
      }
    }
    return any && !out_of_runs_;
  }

  static constexpr Duration shortest = std::chrono::milliseconds(1);
  /// From rounder to less round: once a coarse one is taken, the finer change nothing.
  static constexpr std::array<Duration, 4> units{
      std::chrono::seconds(1), std::chrono::milliseconds(100), std::chrono::milliseconds(10),
      std::chrono::milliseconds(1)};

  FaultPlan plan_;
  const std::function<bool(const FaultPlan&)>& fails_;
  std::size_t runs_left_;
  std::size_t runs_max_;
  bool out_of_runs_ = false;
};

}  // namespace shrink_detail

ShrinkResult shrink_plan(const FaultPlan& failing,
                         const std::function<bool(const FaultPlan&)>& fails,
                         const ShrinkOptions& options) {
  return shrink_detail::Shrinker(failing, fails, options.runs_max).shrink();
}

}  // namespace velo::sim
