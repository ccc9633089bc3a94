// SPDX-License-Identifier: Apache-2.0
// The order of paths.

#include "path_choice.hpp"

#include <velo/messenger/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

namespace velo::messenger {
namespace path_choice_detail {

static bool contains(const std::vector<std::string>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// The place in the user's order; what is forced comes before it.
static std::size_t wish(const PathPolicy& policy, std::string_view forced, std::string_view key) {
  if (key == forced) return 0;
  const auto found = std::find(policy.prefer.begin(), policy.prefer.end(), key);
  return 1 + static_cast<std::size_t>(found - policy.prefer.begin());
}

static std::optional<std::string> rejection(const PathOption& option, const PathPolicy& policy) {
  if (contains(policy.never, option.key)) return "the user said never";
  if (option.refused) return option.refused;
  const bool beyond = option.reach.locality > transport::Locality::same_host;
  if (policy.private_beyond_host && beyond && !option.reach.is_private) {
    return "it is plain text beyond this host";
  }
  return std::nullopt;
}

/// Shorter by so much that it is not chance.
static bool clearly_shorter(Duration a, Duration b, int halves) {
  return a * halves < b * 2 && b - a >= limits::path_gain_min;
}

static std::string because(const PathOption& option, const PathPolicy& policy,
                           std::string_view forced) {
  std::string reason(transport::to_string(option.reach.locality));
  if (option.round_trip) reason += ", " + short_duration(*option.round_trip);
  if (option.key == forced) return reason + ", asked for";
  if (contains(policy.prefer, option.key)) reason += ", preferred by the user";
  return reason;
}

static std::string failure_of(const PathOption& option, TimePoint now) {
  std::string text =
      fmt::format("{} {} ago", option.failure, short_duration(now - option.failed_at));
  if (option.again_at == TimePoint::never()) return text + ", not tried again";
  return text + ", again in " + short_duration(option.again_at - now);
}

}  // namespace path_choice_detail

std::string short_duration(Duration duration) {
  const auto ns = std::max<std::int64_t>(duration.count(), 0);
  if (ns < 1'000) return fmt::format("{} ns", ns);
  if (ns < 1'000'000) return fmt::format("{:.1f} us", static_cast<double>(ns) / 1e3);
  if (ns < 1'000'000'000) return fmt::format("{:.1f} ms", static_cast<double>(ns) / 1e6);
  return fmt::format("{:.1f} s", static_cast<double>(ns) / 1e9);
}

std::vector<RankedPath> rank_paths(const std::vector<PathOption>& options, const PathPolicy& policy,
                                   std::string_view in_use, std::string_view forced,
                                   TimePoint now) {
  namespace detail = path_choice_detail;
  std::vector<RankedPath> ranked(options.size());
  for (std::size_t i = 0; i < options.size(); ++i) {
    const PathOption& option = options[i];
    RankedPath& path = ranked[i];
    path.option = i;
    if (auto why = detail::rejection(option, policy)) {
      path.reason = "rejected: " + *why;
      continue;
    }
    path.usable = true;
    path.waiting = option.failures != 0 && option.again_at > now && option.key != in_use;
  }
  const auto place = [&](const RankedPath& path) {
    const PathOption& option = options[path.option];
    return std::tuple(!path.usable, path.waiting, detail::wish(policy, forced, option.key),
                      option.reach.locality, path.option);
  };
  std::sort(ranked.begin(), ranked.end(),
            [&](const RankedPath& a, const RankedPath& b) { return place(a) < place(b); });
  // A measurement may overrule nearness and the builder, never the user.
  std::size_t best = 0;
  const auto equal_wish = [&](std::size_t a, std::size_t b) {
    return ranked[b].usable && !ranked[b].waiting &&
           detail::wish(policy, forced, options[ranked[a].option].key) ==
               detail::wish(policy, forced, options[ranked[b].option].key);
  };
  for (std::size_t i = 1; i < ranked.size() && equal_wish(best, i); ++i) {
    const PathOption& holder = options[ranked[best].option];
    const PathOption& rival = options[ranked[i].option];
    if (!holder.round_trip || !rival.round_trip) continue;
    // What is in use keeps its place by less than it takes to win it.
    const int halves =
        rival.key == in_use ? limits::path_gain_times + 1 : 2 * limits::path_gain_times;
    if (detail::clearly_shorter(*rival.round_trip, *holder.round_trip, halves)) best = i;
  }
  const bool measured = best != 0;
  if (measured) {
    std::rotate(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(best),
                ranked.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    RankedPath& path = ranked[i];
    if (!path.usable) continue;
    const PathOption& option = options[path.option];
    const std::string because = detail::because(option, policy, forced);
    if (path.waiting) {
      path.reason = "rejected: " + detail::failure_of(option, now);
    } else if (i == 0) {
      path.reason = "best: " + because + (measured ? ", measured shortest" : "");
    } else {
      path.reason = "behind: " + because;
    }
    if (option.key == in_use) path.reason = "chosen: " + because;
  }
  return ranked;
}

}  // namespace velo::messenger
