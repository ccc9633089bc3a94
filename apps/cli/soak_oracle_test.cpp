// SPDX-License-Identifier: Apache-2.0
// What a soak is judged by must be able to say no.

#include "soak_oracle.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace velo::cli {
namespace soak_oracle_test {

constexpr std::uint64_t hub = 0;

struct Judged {
  SoakOracle oracle;

  void says(std::uint64_t who, SoakWord word, SoakKind kind, std::uint64_t id,
            const std::string& more = {}) {
    const std::vector<SoakLine> lines = {{word, kind, id, more}};
    oracle.add(who, lines);
  }
  void call(std::uint64_t id, const std::string& outcome = "ok", int deeds = 1,
            SoakKind kind = SoakKind::call, const std::string& deed = {}) {
    says(1, SoakWord::begin, kind, id);
    for (int i = 0; i < deeds; ++i) says(hub, SoakWord::did, kind, id, deed);
    says(1, SoakWord::end, kind, id, outcome);
  }
  void item(std::uint64_t id, int takes, int settlements) {
    says(1, SoakWord::begin, SoakKind::item, id);
    says(1, SoakWord::end, SoakKind::item, id, "ok");
    for (int i = 0; i < takes; ++i) says(2, SoakWord::took, SoakKind::item, id);
    for (int i = 0; i < settlements; ++i) says(2, SoakWord::settled, SoakKind::item, id);
  }
};

TEST(SoakOracle, IsContentWithWhatIsRight) {
  Judged soak;
  soak.call(1);
  soak.call(2, "failed", 0);
  soak.call(3, "failed", 1);
  soak.call(4, "triggered", 1, SoakKind::event, "triggered");
  soak.call(5, "poisoned", 1, SoakKind::event, "poisoned");
  soak.item(6, 1, 1);
  soak.item(7, 3, 1);
  EXPECT_TRUE(soak.oracle.judge().empty()) << soak.oracle.judge().front();
  soak.oracle.finish();
  EXPECT_EQ(soak.oracle.counts()[0].begun, 3u);
  EXPECT_EQ(soak.oracle.counts()[0].failed, 2u);
}

TEST(SoakOracle, FindsWhatIsNot) {
  const auto complaint = [](auto plant) {
    Judged soak;
    for (std::uint64_t id = 100; id < 200; ++id) soak.call(id);
    plant(soak);
    const auto complaints = soak.oracle.judge();
    return complaints.size() == 1 ? complaints.front() : std::to_string(complaints.size());
  };
  EXPECT_EQ(complaint([](Judged& s) { s.call(1, "ok", 0); }),
            "call: it ended well, and was not done: 1");
  EXPECT_EQ(complaint([](Judged& s) { s.call(0x1f, "ok", 2); }), "call: it was done twice: 1f");
  EXPECT_EQ(complaint([](Judged& s) { s.call(1, "failed", 2); }), "call: it was done twice: 1");
  EXPECT_EQ(complaint([](Judged& s) { s.call(1, "bad"); }),
            "call: what came is not what was sent: 1");
  EXPECT_EQ(complaint([](Judged& s) { s.says(hub, SoakWord::did, SoakKind::call, 1); }),
            "call: nobody began it: 1");
  EXPECT_EQ(complaint([](Judged& s) { s.says(1, SoakWord::begin, SoakKind::stream, 1); }),
            "stream: it never ended: 1");
  EXPECT_EQ(complaint([](Judged& s) {
              s.call(1);
              s.says(1, SoakWord::end, SoakKind::call, 1, "ok");
            }),
            "call: it ended twice: 1");
  EXPECT_EQ(complaint([](Judged& s) { s.call(1, "triggered", 1, SoakKind::event, "poisoned"); }),
            "event: it ended as it was not completed: 1");
  EXPECT_EQ(complaint([](Judged& s) { s.item(1, 0, 0); }), "item: the item was lost: 1");
  EXPECT_EQ(complaint([](Judged& s) { s.item(1, 2, 2); }), "item: it was settled twice: 1");
}

TEST(SoakOracle, ForgivesAKilledWorkerWhatItCouldNotEnd) {
  Judged soak;
  soak.says(3, SoakWord::begin, SoakKind::call, 1);
  EXPECT_EQ(soak.oracle.judge().size(), 1u);
  soak.oracle.killed(3);
  EXPECT_TRUE(soak.oracle.judge().empty());
  soak.says(hub, SoakWord::did, SoakKind::call, 1);
  soak.says(hub, SoakWord::did, SoakKind::call, 1);
  EXPECT_EQ(soak.oracle.judge().size(), 1u) << "but not that it was done twice";
}

TEST(SoakOracle, KnowsWhichItemsNobodyWasGiven) {
  Judged soak;
  soak.says(1, SoakWord::begin, SoakKind::item, 1);
  EXPECT_EQ(soak.oracle.untaken(), 0u) << "it may not be queued";
  soak.says(1, SoakWord::end, SoakKind::item, 1, "ok");
  EXPECT_EQ(soak.oracle.untaken(), 1u);
  soak.says(2, SoakWord::took, SoakKind::item, 1);
  soak.says(2, SoakWord::took, SoakKind::item, 1);
  EXPECT_EQ(soak.oracle.untaken(), 0u);
  // Who took it was read before who sent it.
  soak.says(2, SoakWord::took, SoakKind::item, 2);
  soak.says(1, SoakWord::begin, SoakKind::item, 2);
  soak.says(1, SoakWord::end, SoakKind::item, 2, "ok");
  EXPECT_EQ(soak.oracle.untaken(), 0u);
}

TEST(SoakLog, LinesAreReadAsTheyWereWritten) {
  const SoakLine line{SoakWord::end, SoakKind::transfer, 0xabc, "failed"};
  EXPECT_EQ(parse_soak_line(to_line(line)), line);
  const SoakLine bare{SoakWord::took, SoakKind::item, 1, ""};
  EXPECT_EQ(parse_soak_line(to_line(bare)), bare);
  for (const char* text : {"", "end", "end transfer abc", "end transfer xyz\n", "done item 1\n",
                           "end cow 1\n", "end transfer \n"}) {
    EXPECT_FALSE(parse_soak_line(text)) << text;
  }
}

}  // namespace soak_oracle_test
}  // namespace velo::cli
