// SPDX-License-Identifier: Apache-2.0
// The order of paths, and the reasons that are given for it.

#include "path_choice.hpp"

#include <velo/messenger/limits.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace velo::messenger::path_choice_test {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using transport::Locality;
using transport::Reach;

static const TimePoint now = TimePoint() + 100s;

static PathOption option(std::string_view key, Reach reach) {
  PathOption made;
  made.key = key;
  made.reach = reach;
  return made;
}

/// tcp, uds and inproc, as a builder might have them.
static std::vector<PathOption> three() {
  return {option("tcp", Reach(Locality::same_host, true)),
          option("uds", Reach(Locality::same_host, true)),
          option("inproc", Reach(Locality::same_process, true))};
}

static std::vector<std::string> order(const std::vector<PathOption>& options,
                                      const PathPolicy& policy = PathPolicy(),
                                      std::string_view in_use = {}, std::string_view forced = {}) {
  std::vector<std::string> keys;
  for (const RankedPath& path : rank_paths(options, policy, in_use, forced, now)) {
    if (path.usable && !path.waiting) keys.emplace_back(options[path.option].key);
  }
  return keys;
}

static std::string reason_of(const std::vector<PathOption>& options, std::string_view key,
                             const PathPolicy& policy = PathPolicy(),
                             std::string_view in_use = {}) {
  for (const RankedPath& path : rank_paths(options, policy, in_use, {}, now)) {
    if (options[path.option].key == key) return path.reason;
  }
  return "";
}

using Keys = std::vector<std::string>;

TEST(PathChoice, TheNearestComesFirstAndThenTheBuildersOrder) {
  EXPECT_EQ(order(three()), (Keys{"inproc", "tcp", "uds"}));
  EXPECT_EQ(reason_of(three(), "inproc"), "best: same process");
  EXPECT_EQ(reason_of(three(), "tcp"), "behind: same host");
}

TEST(PathChoice, TheUsersOrderComesBeforeNearness) {
  PathPolicy policy;
  policy.prefer = {"uds", "tcp"};
  EXPECT_EQ(order(three(), policy), (Keys{"uds", "tcp", "inproc"}));
  policy.never = {"uds"};
  EXPECT_EQ(order(three(), policy), (Keys{"tcp", "inproc"}));
  EXPECT_EQ(reason_of(three(), "uds", policy), "rejected: the user said never");
}

TEST(PathChoice, WhatIsAskedForByNameComesBeforeEverything) {
  PathPolicy policy;
  policy.prefer = {"inproc"};
  EXPECT_EQ(order(three(), policy, "inproc", "uds"), (Keys{"uds", "inproc", "tcp"}));
}

TEST(PathChoice, PlainTextBeyondTheHostIsRejectedWhereTheUserWantsPrivacy) {
  std::vector<PathOption> options{option("tcp", Reach(Locality::same_subnet, false)),
                                  option("tls", Reach(Locality::same_subnet, true))};
  PathPolicy policy;
  EXPECT_EQ(order(options, policy), (Keys{"tcp", "tls"}));
  policy.private_beyond_host = true;
  EXPECT_EQ(order(options, policy), (Keys{"tls"}));
  EXPECT_EQ(reason_of(options, "tcp", policy), "rejected: it is plain text beyond this host");
}

TEST(PathChoice, AnEntryThatCannotBeUsedIsRejectedWithItsReason) {
  std::vector<PathOption> options = three();
  options[1].refused = "the socket is not visible here";
  EXPECT_EQ(order(options), (Keys{"inproc", "tcp"}));
  EXPECT_EQ(reason_of(options, "uds"), "rejected: the socket is not visible here");
}

TEST(PathChoice, WhatFailedWaitsForItsTimeAndSaysSo) {
  std::vector<PathOption> options = three();
  options[2].failures = 1;
  options[2].failure = "connect refused";
  options[2].failed_at = now + (-3s);
  options[2].again_at = now + 2s;
  EXPECT_EQ(order(options), (Keys{"tcp", "uds"}));
  EXPECT_EQ(reason_of(options, "inproc"), "rejected: connect refused 3.0 s ago, again in 2.0 s");
  options[2].again_at = now;
  EXPECT_EQ(order(options), (Keys{"inproc", "tcp", "uds"}));
}

TEST(PathChoice, AMeasurementOverrulesNearnessOnlyWhenClearlyShorter) {
  std::vector<PathOption> options = three();
  options[2].round_trip = 100us;
  options[0].round_trip = 60us;
  EXPECT_EQ(order(options).front(), "inproc") << "not twice as fast";
  options[0].round_trip = 20us;
  EXPECT_EQ(order(options).front(), "tcp");
  EXPECT_NE(reason_of(options, "tcp").find("measured shortest"), std::string::npos);
  options[2].round_trip = 2us;
  options[0].round_trip = 500ns;
  EXPECT_EQ(order(options).front(), "inproc") << "the gain is too small to matter";
}

TEST(PathChoice, WhatIsInUseIsGivenUpLaterThanItWasWon) {
  std::vector<PathOption> options = three();
  options[2].round_trip = 100us;
  options[0].round_trip = 60us;
  EXPECT_EQ(order(options, PathPolicy(), "inproc").front(), "inproc");
  EXPECT_EQ(order(options, PathPolicy(), "tcp").front(), "tcp");
  options[0].round_trip = 70us;
  EXPECT_EQ(order(options, PathPolicy(), "tcp").front(), "inproc");
}

TEST(PathChoice, AMeasurementNeverOverrulesTheUser) {
  std::vector<PathOption> options = three();
  PathPolicy policy;
  policy.prefer = {"uds"};
  options[1].round_trip = 1ms;
  options[0].round_trip = 10us;
  EXPECT_EQ(order(options, policy).front(), "uds");
}

TEST(PathChoice, WhatIsInUseSaysHowFarAndHowFast) {
  std::vector<PathOption> options = three();
  options[2].round_trip = 1100ns;
  EXPECT_EQ(reason_of(options, "inproc", PathPolicy(), "inproc"), "chosen: same process, 1.1 us");
}

TEST(PathChoice, DurationsAreShort) {
  EXPECT_EQ(short_duration(900ns), "900 ns");
  EXPECT_EQ(short_duration(1500us), "1.5 ms");
  EXPECT_EQ(short_duration(-5s), "0 ns");
}

}  // namespace velo::messenger::path_choice_test
