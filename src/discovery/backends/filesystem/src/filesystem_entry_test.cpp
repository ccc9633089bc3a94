// SPDX-License-Identifier: Apache-2.0
// Names and contents of announcements' files, good and bad.

#include <velo/discovery/backends/filesystem/entry.hpp>

#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <gtest/gtest.h>

namespace velo::discovery {
namespace filesystem_entry_test {

static InstanceId id() { return *InstanceId::parse("12345678-9abc-4def-8123-456789abcdef"); }

static PeerEntry entry() {
  return PeerEntry{"demo", 0xabc,
                   PeerInfo{id(), {{"tcp", Bytes::copy("t")}, {"uds", Bytes::copy("u")}}}};
}

TEST(PeerEntry, IsOneLineOfJsonThatReadsBack) {
  const std::string text = encode_filesystem_entry(entry());
  EXPECT_EQ(text, R"({"format":1,"cluster":"demo","announcement":"0000000000000abc","peer":{)"
                  R"("instance_id":"12345678-9abc-4def-8123-456789abcdef","worker_address":)"
                  "[130,163,116,99,112,145,116,163,117,100,115,145,117]}}\n");
  const auto back = decode_filesystem_entry<PeerSubject>(as_bytes(text));
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(*back, entry());
}

TEST(PeerEntry, IgnoresFieldsItDoesNotKnow) {
  std::string text = encode_filesystem_entry(entry());
  text.insert(1, R"("later":{"x":[1,2]},)");
  const auto back = decode_filesystem_entry<PeerSubject>(as_bytes(text));
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(*back, entry());
}

TEST(PeerEntry, RefusesWhatIsNotAnAnnouncement) {
  const std::string good = encode_filesystem_entry(entry());
  const auto with = [&good](std::string_view from, std::string_view to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  const std::vector<std::string> bad{
      "",
      "{}",
      "null",
      good.substr(0, good.size() / 2),
      good + good,
      with("0000000000000abc", "abc"),
      with("0000000000000abc", "0000000000000ABC"),
      with("0000000000000abc", "-000000000000abc"),
      with("12345678-9abc-4def-8123-456789abcdef", "00000000-0000-0000-0000-000000000000"),
      with("12345678-9abc", "12345678+9abc"),
      with("[130,163", "[131,163"),
      with("[130,163", "[300,163"),
      with("\"cluster\":\"demo\",", ""),
      std::string(limits::file_bytes_max + 1, ' '),
  };
  for (const std::string& text : bad) {
    const auto decoded = decode_filesystem_entry<PeerSubject>(as_bytes(text));
    ASSERT_FALSE(decoded) << text;
    EXPECT_TRUE(decoded.error().is(Errc::malformed_entry)) << text;
  }
}

TEST(PeerEntry, TellsALaterFormatFromRubbish) {
  const auto decoded =
      decode_filesystem_entry<PeerSubject>(as_bytes(R"({"format":2,"who":"knows"})"));
  ASSERT_FALSE(decoded);
  EXPECT_TRUE(decoded.error().is(Errc::unknown_format));
}

TEST(PeerEntry, NamesReadBackAndHaveOneSpelling) {
  const std::string text = id().to_string();
  EXPECT_EQ(filesystem_entry_name<PeerSubject>(id()), text + ".json");
  EXPECT_EQ(parse_filesystem_entry_name<PeerSubject>(text + ".json"), id());
  for (const std::string& name :
       {text, text + ".lock", "x" + text + ".json", text + ".json.json", std::string(".json"),
        std::string("12345678-9ABC-4def-8123-456789abcdef.json"),
        std::string("00000000-0000-0000-0000-000000000000.json")}) {
    EXPECT_FALSE(parse_filesystem_entry_name<PeerSubject>(name)) << name;
  }
  EXPECT_EQ(filesystem_lock_name<PeerSubject>(id(), 0xabc), text + ".0000000000000abc.lock");
  const auto lock = parse_filesystem_lock_name<PeerSubject>(text + ".0000000000000abc.lock");
  ASSERT_TRUE(lock);
  EXPECT_EQ(lock->key, id());
  EXPECT_EQ(lock->announcement, 0xabcU);
  for (const std::string& name : {text + ".lock", text + ".0000000000000ABC.lock",
                                  text + "-0000000000000abc.lock", text + ".json"}) {
    EXPECT_FALSE(parse_filesystem_lock_name<PeerSubject>(name)) << name;
  }
}

}  // namespace filesystem_entry_test
}  // namespace velo::discovery
