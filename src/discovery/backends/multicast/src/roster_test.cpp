// SPDX-License-Identifier: Apache-2.0
// Who is believed and what is not: replays, forgeries, floods, and rows that end.

#include "roster.hpp"

#include "testing/multicast_kit.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace velo::discovery::multicast {
namespace roster_test {

using namespace kit;  // NOLINT(google-build-using-namespace)

/// As sent by somebody who has the key, whatever it says.
static Datagrams signed_by(const Signing& signing, Statement said, std::uint64_t of = cluster) {
  said.key = signing.key();
  auto bytes = encode(of, said);
  const Signature signature = *signing.sign(bytes);
  const auto raw = std::as_bytes(std::span(signature));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
  return {bytes};
}

static Statement statement(std::uint64_t announcer, std::uint64_t sequence, const Now& now,
                           std::vector<Row> rows) {
  Statement said;
  said.announcer = announcer;
  said.sequence = sequence;
  said.unix_milliseconds = now.unix_milliseconds();
  said.lifetime_milliseconds = 10'000;
  said.rows = std::move(rows);
  return said;
}

TEST(Roster, BelievesAStatementOnceAndItsCopyChangesNothing) {
  Speaker speaker(1);
  Listener listener;
  const Datagrams said = speaker.put(peer_row(1), at(seconds(0)));
  const RosterOut first = listener.hear(said, at(seconds(0)));
  ASSERT_EQ(first.changes.size(), 1U);
  EXPECT_TRUE(first.changes[0].added);
  EXPECT_EQ(first.changes[0].row, peer_row(1));
  EXPECT_TRUE(listener.hear(said, at(seconds(1)), source(2)).changes.empty());
  EXPECT_EQ(listener.roster.counters().repeated, 1U);
  ASSERT_NE(listener.roster.find_peer(instance(1).worker_id()), nullptr);
}

TEST(Roster, ReplayedAnnouncementDoesNotReviveAndReplayedGoodbyeDoesNotRemove) {
  Speaker speaker(1);
  Listener listener;
  const Datagrams hello = speaker.put(peer_row(1), at(seconds(0)));
  listener.hear(hello, at(seconds(0)));
  const Datagrams goodbye = speaker.remove(peer_row(1), at(seconds(1)));
  const RosterOut gone = listener.hear(goodbye, at(seconds(1)));
  ASSERT_EQ(gone.changes.size(), 1U);
  EXPECT_FALSE(gone.changes[0].added);
  for (int second = 1; second < 200; ++second) {
    EXPECT_TRUE(listener.hear(hello, at(seconds(second))).changes.empty()) << second;
    listener.tick(at(seconds(second)));
    EXPECT_FALSE(listener.has(peer_row(1)));
  }
  listener.hear(speaker.put(peer_row(1), at(seconds(200))), at(seconds(200)));
  ASSERT_TRUE(listener.has(peer_row(1)));
  EXPECT_TRUE(listener.hear(goodbye, at(seconds(200))).changes.empty());
  EXPECT_TRUE(listener.has(peer_row(1)));
}

TEST(Roster, ReplayDoesNotLengthenALife) {
  Speaker speaker(1);
  Listener listener;
  const Datagrams hello = speaker.put(peer_row(1), at(seconds(0)));
  listener.hear(hello, at(seconds(0)));
  int lived = 0;
  for (; lived < 600 && listener.has(peer_row(1)); ++lived) {
    listener.hear(hello, at(milliseconds(100 * lived)));
    listener.tick(at(milliseconds(100 * lived)));
  }
  EXPECT_LT(lived, 120) << "tenths of a second";
}

TEST(Roster, OvertakenStatementsAreTakenInAnyOrderButNeverBringBackTheOlderRow) {
  Speaker speaker(1);
  Listener listener;
  const Datagrams first = speaker.put(peer_row(1, "old"), at(seconds(0)));
  const Datagrams other = speaker.put(peer_row(2), at(seconds(0)));
  const Datagrams second = speaker.put(peer_row(1, "new"), at(seconds(0)));
  const Datagrams goodbye = speaker.remove(peer_row(2), at(seconds(0)));
  listener.hear(second, at(seconds(0)));
  listener.hear(first, at(seconds(0)));
  EXPECT_TRUE(listener.has(peer_row(1, "new")));
  listener.hear(goodbye, at(seconds(0)));
  EXPECT_TRUE(listener.hear(other, at(seconds(0))).changes.empty()) << "its end overtook it";
  EXPECT_EQ(listener.roster.counters().repeated, 0U);
}

TEST(Roster, ForgedAndSpoofedStatementsHaveNoEffect) {
  Speaker speaker(1);
  Listener listener;
  listener.hear(speaker.put(peer_row(1), at(seconds(0))), at(seconds(0)));
  const CheapSigning thief(666);
  const std::uint64_t number = speaker.announcer.number();

  Statement goodbye = statement(number, 1000, at(seconds(0)), {});
  goodbye.goodbye = true;
  EXPECT_TRUE(listener.hear(signed_by(thief, goodbye), at(seconds(0))).changes.empty());
  goodbye.rows.push_back(Row{{}, instance(1), {}});
  goodbye.sequence = 1001;
  EXPECT_TRUE(listener.hear(signed_by(thief, goodbye), at(seconds(0))).changes.empty());

  // The victim's key with the thief's signature, and with none.
  Datagrams forged = signed_by(thief, goodbye);
  auto bytes = encode(cluster, [&] {
    Statement said = goodbye;
    said.key = speaker.signing.key();
    return said;
  }());
  const Signature wrong = *thief.sign(bytes);
  const auto raw = std::as_bytes(std::span(wrong));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
  EXPECT_TRUE(listener.hear({bytes}, at(seconds(0))).changes.empty());
  Statement unsigned_goodbye = goodbye;
  unsigned_goodbye.is_signed = false;
  EXPECT_TRUE(listener.hear({encode(cluster, unsigned_goodbye)}, at(seconds(0))).changes.empty());
  EXPECT_EQ(listener.roster.counters().forged, 2U);

  // Another address for somebody else's instance.
  const Statement theft = statement(5, 1, at(seconds(0)), {peer_row(1, "thief")});
  EXPECT_TRUE(listener.hear(signed_by(thief, theft), at(seconds(0))).changes.empty());
  EXPECT_EQ(listener.roster.counters().usurped, 1U);
  EXPECT_TRUE(listener.has(peer_row(1)));
}

TEST(Roster, InstanceMadeFromAKeyIsBelievedFromThatKeyOnly) {
  const CheapSigning owner(1);
  std::string text = "velo instance v1";
  const RawKey key = owner.key();
  text.append(reinterpret_cast<const char*>(key.data()), key.size());
  std::array<std::uint8_t, 16> bytes{};
  std::copy_n(NodeId::of(as_bytes(text)).bytes().begin(), bytes.size(), bytes.begin());
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | 0x80U);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);
  const Row row{{}, InstanceId(bytes), {{"tcp", Bytes::copy("here")}}};
  Listener listener;
  listener.hear(signed_by(CheapSigning(2), statement(2, 1, at(seconds(0)), {row})), at(seconds(0)));
  EXPECT_EQ(listener.roster.counters().usurped, 1U);
  EXPECT_FALSE(listener.has(row));
  listener.hear(signed_by(owner, statement(1, 1, at(seconds(0)), {row})), at(seconds(0)));
  EXPECT_TRUE(listener.has(row));
}

TEST(Roster, IgnoresOtherTimesOtherClustersAndWhatIsTooLong) {
  Listener listener;
  const CheapSigning signing(1);
  const Now now = at(seconds(100));
  for (const int off : {-31, 31, 3600, -3600}) {
    const Statement said = statement(1, 1, at(seconds(100 + off)), {peer_row(1)});
    listener.hear(signed_by(signing, said), now);
  }
  EXPECT_EQ(listener.roster.counters().wrong_time, 4U);
  listener.hear(signed_by(signing, statement(1, 1, now, {peer_row(1)}), cluster + 1), now);
  EXPECT_EQ(listener.roster.counters().foreign, 1U);
  std::vector<std::byte> long_one(limits::datagram_bytes_max + 1);
  listener.hear({long_one, {}, std::vector<std::byte>(20)}, now);
  EXPECT_EQ(listener.roster.counters().malformed, 3U);
  EXPECT_EQ(listener.roster.counters().rows, 0U);
  EXPECT_EQ(listener.roster.counters().announcers, 0U);
  for (const int off : {-29, 29}) {
    const auto sequence = static_cast<std::uint64_t>(100 + off);
    listener.hear(signed_by(signing, statement(1, sequence, at(seconds(100 + off)), {peer_row(1)})),
                  now);
  }
  EXPECT_TRUE(listener.has(peer_row(1)));
}

TEST(Roster, BelievesWithoutSignatureOnlyWhenToldSo) {
  RosterOptions options = Listener::with_cluster();
  options.accept_unsigned = true;
  Listener trusting(options);
  Listener careful;
  Statement said = statement(1, 1, at(seconds(0)), {peer_row(1)});
  said.is_signed = false;
  trusting.hear({encode(cluster, said)}, at(seconds(0)));
  careful.hear({encode(cluster, said)}, at(seconds(0)));
  EXPECT_TRUE(trusting.has(peer_row(1)));
  EXPECT_FALSE(careful.has(peer_row(1)));
}

TEST(Roster, AsksBeforeARowEndsAndDropsItWhenNobodyAnswers) {
  Listener listener;
  const CheapSigning signing(1);
  listener.hear(signed_by(signing, statement(42, 1, at(seconds(0)), {peer_row(1), peer_row(2)})),
                at(seconds(0)));
  int asked = 0;
  int gone = 0;
  for (int tenth = 0; tenth <= 100; ++tenth) {
    const RosterOut out = listener.tick(at(milliseconds(100 * tenth)));
    for (const Question& question : out.ask) {
      EXPECT_EQ(question.about, Question::About::announcer);
      EXPECT_EQ(question.id, 42U);
      EXPECT_GE(tenth, 50);
      ++asked;
    }
    for (const RosterChange& change : out.changes) {
      EXPECT_FALSE(change.added);
      EXPECT_EQ(tenth, 100);
      ++gone;
    }
  }
  EXPECT_GE(asked, 6) << "for both rows at once, or nearly";
  EXPECT_LE(asked, 12);
  EXPECT_EQ(gone, 2);
  listener.tick(at(seconds(200)));
  EXPECT_EQ(listener.roster.counters().announcers, 0U) << "forgotten";
  EXPECT_EQ(listener.roster.wake(), TimePoint::never());
}

TEST(Roster, FloodOfStrangersIsBoundedAndDoesNotSilenceWhoIsKnown) {
  RosterOptions options = Listener::with_cluster();
  options.rows_max = 500;
  options.announcers_max = 300;
  options.sources_max = 200;
  Listener listener(options);
  Speaker known(1);
  listener.hear(known.put(peer_row(1), at(seconds(0))), at(seconds(0)));
  std::uint32_t stranger = 10;
  std::uint64_t known_accepted = 0;
  for (int second = 1; second <= 20; ++second) {
    for (int i = 0; i < 5'000; ++i, ++stranger) {
      const Now now = at(seconds(second) + std::chrono::microseconds(200 * i));
      const CheapSigning key(stranger);
      const auto said = signed_by(
          key, statement(stranger, 1, now, {peer_row(stranger), peer_row(stranger + 1'000'000)}));
      listener.hear(said, now, source(stranger));
      if (i == 2'500) {
        const std::uint64_t before = listener.roster.counters().accepted;
        listener.hear(known.put(peer_row(1, std::to_string(second)), now), now);
        known_accepted += listener.roster.counters().accepted - before;
      }
    }
    listener.tick(at(seconds(second + 1)));
  }
  const Counters counters = listener.roster.counters();
  EXPECT_EQ(known_accepted, 20U);
  EXPECT_TRUE(listener.has(peer_row(1, "20")));
  EXPECT_LE(counters.rows, 500U);
  EXPECT_LE(counters.announcers, 300U);
  EXPECT_LE(counters.sources, 200U);
  EXPECT_GT(counters.over_rate, 10'000U) << "beyond the sources that are counted apart";
  EXPECT_GT(counters.refused, 0U);
  // Afterwards everything is as before.
  for (int second = 22; second < 200; ++second) {
    listener.hear(known.put(peer_row(1, "after"), at(seconds(second))), at(seconds(second)));
    listener.tick(at(seconds(second)));
  }
  EXPECT_EQ(listener.roster.counters().rows, 1U);
  EXPECT_EQ(listener.roster.counters().announcers, 1U);
}

TEST(Roster, OneSourceHasItsRate) {
  Listener listener;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const auto said = signed_by(CheapSigning(i), statement(i + 1, 1, at(seconds(0)), {}));
    listener.hear(said, at(seconds(0)));
  }
  const Counters counters = listener.roster.counters();
  EXPECT_EQ(counters.over_rate, 10'000U - 2 * limits::source_datagrams_per_second_max);
  EXPECT_LE(counters.accepted + counters.unchecked + counters.refused,
            2 * limits::source_datagrams_per_second_max);
  EXPECT_LE(counters.accepted, limits::verifications_per_second_max / 2) << "half for strangers";
}

/// Believes chains that are the key's own bytes.
class FakeTrust final : public Trust {
 public:
  Result<BelievedKey> judge(std::span<const Bytes> chain, WallTime now) const override {
    BelievedKey believed;
    if (chain.front().size() != believed.key.size()) {
      return velo::make_error(velo::Errc::permission_denied, "not by our authority");
    }
    std::memcpy(believed.key.data(), chain.front().data(), believed.key.size());
    believed.until = WallTime{now.unix_nanoseconds + 3'600'000'000'000};
    return believed;
  }
};

TEST(Roster, WithTrustAKeyNeedsAChainAndIsAskedForIt) {
  const FakeTrust trust;
  RosterOptions options = Listener::with_cluster();
  options.trust = &trust;
  Listener listener(options);
  Speaker speaker(1);
  const Datagrams said = speaker.put(peer_row(1), at(seconds(0)));
  const RosterOut first = listener.hear(said, at(seconds(0)));
  EXPECT_TRUE(first.changes.empty());
  ASSERT_EQ(first.ask.size(), 1U);
  EXPECT_EQ(first.ask[0].about, Question::About::certificates);
  EXPECT_EQ(first.ask[0].key, speaker.signing.key());
  EXPECT_TRUE(listener.hear(said, at(milliseconds(10))).ask.empty()) << "asked a moment ago";

  const Chain foreign{{Bytes::copy("somebody else's")}};
  listener.hear({encode(cluster, foreign)}, at(milliseconds(20)));
  EXPECT_EQ(listener.roster.counters().untrusted, 3U);
  const RawKey key = speaker.signing.key();
  const Chain chain{{Bytes::copy(std::as_bytes(std::span(key)))}};
  const RosterOut believed = listener.hear({encode(cluster, chain)}, at(milliseconds(30)));
  ASSERT_EQ(believed.ask.size(), 1U);
  EXPECT_EQ(believed.ask[0].about, Question::About::announcer);
  EXPECT_EQ(believed.ask[0].id, speaker.announcer.number());
  listener.hear(said, at(milliseconds(40)));
  EXPECT_TRUE(listener.has(peer_row(1)));
}

TEST(Roster, KeysThatAreAskedForAreBounded) {
  const FakeTrust trust;
  RosterOptions options = Listener::with_cluster();
  options.trust = &trust;
  Listener listener(options);
  for (std::uint32_t i = 1; i <= limits::keys_max + 1000; ++i) {
    const Now now = at(milliseconds(i / 100));
    const auto said = signed_by(CheapSigning(i), statement(i, 1, now, {}));
    listener.hear(said, now, source(i % 1000));
  }
  EXPECT_EQ(listener.roster.counters().keys, limits::keys_max);
  EXPECT_EQ(listener.roster.counters().announcers, 0U);
}

TEST(Roster, ReplaysAndSpoofsFromEverywhereHoldNothing) {
  RosterOptions options = Listener::with_cluster();
  options.sources_max = 100;
  Listener listener(options);
  Speaker speaker(1);
  Datagrams recorded;
  for (std::uint32_t i = 1; i <= 60; ++i) {
    for (auto& datagram : speaker.put(peer_row(i), at(milliseconds(i)))) {
      recorded.push_back(std::move(datagram));
    }
  }
  for (std::uint32_t i = 11; i <= 60; ++i) {
    for (auto& datagram : speaker.remove(peer_row(i), at(milliseconds(100 + i)))) {
      recorded.push_back(std::move(datagram));
    }
  }
  listener.hear(recorded, at(seconds(1)));
  const Counters before = listener.roster.counters();
  ASSERT_EQ(before.rows, 10U);
  // What was said, again and again, and as if somebody else had: a bit of each changed.
  for (std::uint32_t round = 1; round <= 200; ++round) {
    const Now now = at(seconds(1) + milliseconds(20 * round));
    Datagrams spoofed = recorded;
    for (auto& datagram : spoofed) datagram[50 + round % 40] ^= std::byte{4};
    EXPECT_TRUE(listener.hear(recorded, now, source(round)).changes.empty());
    EXPECT_TRUE(listener.hear(spoofed, now, source(1000 + round)).changes.empty());
  }
  const Counters after = listener.roster.counters();
  EXPECT_EQ(after.rows, before.rows);
  EXPECT_EQ(after.rows_bytes, before.rows_bytes);
  EXPECT_EQ(after.announcers, 1U);
  EXPECT_EQ(after.parts_bytes, 0U);
  EXPECT_LE(after.sources, 100U);
  EXPECT_GT(after.repeated, 1000U);
}

}  // namespace roster_test
}  // namespace velo::discovery::multicast
