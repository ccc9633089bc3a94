// SPDX-License-Identifier: Apache-2.0
// An established stream against a peer that has the keys: what the standard allows goes on, what it
// forbids ends with the alert that it names, and what is held is charged.

#include "testing/tls_pipe.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <string>
#include <string_view>

namespace velo::transport::tls {
namespace tls_stream_test {

using testing::PipedStream;
using Status = IoResult::Status;
using std::string_view_literals::operator""sv;

constexpr auto key_update = "\x18\0\0\1\0"sv;
constexpr auto key_update_asks = "\x18\0\0\1\1"sv;
constexpr auto ticket = "\x04\0\0\6ticket"sv;

static std::string heard_of(PipedStream& piped) {
  std::string heard;
  EXPECT_EQ(piped.read(heard).status, Status::would_block);
  return heard;
}

/// Whether the peer is told `alert`, and what came before it is delivered.
static void expect_refused(PipedStream& piped, int alert, int line) {
  std::string heard;
  const IoResult result = piped.read(heard);
  EXPECT_EQ(result.status, Status::error) << line;
  EXPECT_EQ(heard, "before") << line;
  EXPECT_EQ(piped.last_word(), alert) << line;
}

static void expect_refused(ContentType type, std::string_view content, int alert, int line) {
  PipedStream piped;
  piped.say(ContentType::application_data, "before");
  piped.say(type, content);
  piped.say(ContentType::application_data, "behind");
  expect_refused(piped, alert, line);
}

TEST(TlsStream, MessagesCutAcrossRecordsOrManyInOneAreFollowed) {
  const std::string messages = std::string(ticket) + std::string(ticket) + std::string(key_update);
  for (std::size_t cut = 0; cut < messages.size(); ++cut) {
    PipedStream piped;
    piped.say(ContentType::application_data, "old ");
    if (cut != 0) piped.say(ContentType::handshake, messages.substr(0, cut));
    piped.say(ContentType::handshake, messages.substr(cut));
    ASSERT_TRUE(piped.peer_seals.update());
    piped.say(ContentType::application_data, "new");
    piped.pipe.in_piece = 7;
    EXPECT_EQ(heard_of(piped), "old new") << cut;
    EXPECT_EQ(piped.budget->used(), 0U);
  }
}

TEST(TlsStream, AMessageInPartsHasNothingBetweenThem) {
  for (const ContentType type : {ContentType::application_data, ContentType::alert}) {
    for (const std::string_view content : {"\1\0"sv, "x"sv}) {
      PipedStream piped;
      piped.say(ContentType::application_data, "before");
      piped.say(ContentType::handshake, ticket.substr(0, 5));
      piped.say(type, content);
      expect_refused(piped, SSL_AD_UNEXPECTED_MESSAGE, __LINE__);
    }
  }
}

TEST(TlsStream, EndsWithTheAlertThatTheStandardNames) {
  const auto handshake = ContentType::handshake;
  const auto none = ContentType{0};
  expect_refused(handshake, "", SSL_AD_UNEXPECTED_MESSAGE, __LINE__);
  expect_refused(handshake, "\1\0\0\1x"sv, SSL_AD_UNEXPECTED_MESSAGE, __LINE__);
  expect_refused(handshake, "\x18\0\0\1\0\4"sv, SSL_AD_UNEXPECTED_MESSAGE, __LINE__);
  expect_refused(handshake, "\x18\0\0\2\0\0"sv, SSL_AD_DECODE_ERROR, __LINE__);
  expect_refused(handshake, "\x18\0\0\1\2"sv, SSL_AD_ILLEGAL_PARAMETER, __LINE__);
  expect_refused(handshake, "\x04\xff\xff\xff"sv, SSL_AD_DECODE_ERROR, __LINE__);
  expect_refused(ContentType::alert, "", SSL_AD_UNEXPECTED_MESSAGE, __LINE__);
  expect_refused(ContentType::alert, "\1", SSL_AD_DECODE_ERROR, __LINE__);
  expect_refused(ContentType::alert, "\1\0\1\0"sv, SSL_AD_DECODE_ERROR, __LINE__);
  expect_refused(ContentType::change_cipher_spec, "\1", SSL_AD_UNEXPECTED_MESSAGE, __LINE__);
  expect_refused(ContentType{24}, "heartbeat", SSL_AD_UNEXPECTED_MESSAGE, __LINE__);
  // Nothing but padding; more of it than a full record has room for.
  expect_refused(none, "", SSL_AD_UNEXPECTED_MESSAGE, __LINE__);
  expect_refused(none, std::string(100, '\0'), SSL_AD_UNEXPECTED_MESSAGE, __LINE__);
  expect_refused(none, "x\x17" + std::string(record_content_bytes_max, '\0'),
                 SSL_AD_RECORD_OVERFLOW, __LINE__);
  expect_refused(ContentType::application_data, std::string(record_content_bytes_max + 1, 'x'),
                 SSL_AD_RECORD_OVERFLOW, __LINE__);
}

TEST(TlsStream, WhatIsNoProtectedRecordEndsWithItsAlert) {
  struct Case {
    std::string_view bytes;
    int alert;
  };
  const std::string forged("\x17\3\3\0\x40", 5);
  const std::string whole = forged + std::string(64, 'x');
  for (const auto& [bytes, alert] :
       {Case{"\x15\3\3\0\2\1\0"sv, SSL_AD_UNEXPECTED_MESSAGE},
        Case{"\x14\3\3\0\1\1"sv, SSL_AD_UNEXPECTED_MESSAGE},
        Case{"\x17\3\1\0\x20"sv, SSL_AD_PROTOCOL_VERSION},
        Case{"\x17\3\3\x41\1"sv, SSL_AD_RECORD_OVERFLOW},
        Case{"\x17\3\3\0\x10"sv, SSL_AD_BAD_RECORD_MAC}, Case{whole, SSL_AD_BAD_RECORD_MAC}}) {
    PipedStream piped;
    piped.say(ContentType::application_data, "before");
    piped.pipe.in += bytes;
    expect_refused(piped, alert, alert);
  }
}

TEST(TlsStream, PaddingIsTakenAwayAndFillsNoMoreThanARecord) {
  PipedStream piped;
  piped.say(ContentType{0}, "padded\x17" + std::string(1000, '\0'));
  piped.say(ContentType{0}, "\x17" + std::string(record_content_bytes_max - 1, '\0'));
  // Zeros of the content are no padding.
  piped.say(ContentType::application_data, "zero\0\0"sv);
  piped.say(ContentType{0}, std::string(record_content_bytes_max - 1, 'x') + "\x17");
  EXPECT_EQ(heard_of(piped),
            "paddedzero" + std::string(2, '\0') + std::string(record_content_bytes_max - 1, 'x'));
}

TEST(TlsStream, AGoodbyeIsTheEndAndAStreamThatIsCutIsAnError) {
  std::string heard;
  PipedStream polite;
  polite.say(ContentType::application_data, "all");
  polite.say(ContentType::alert, "\1\0"sv);
  polite.say(ContentType::application_data, "too late");
  EXPECT_EQ(polite.read(heard).status, Status::end);
  EXPECT_EQ(heard, "all");
  EXPECT_EQ(polite.last_word(), SSL_AD_CLOSE_NOTIFY);
  for (const std::size_t missing : {std::size_t{0}, std::size_t{1}, std::size_t{20}}) {
    PipedStream cut;
    cut.say(ContentType::application_data, "some");
    cut.say(ContentType::application_data, "");
    cut.pipe.in.resize(cut.pipe.in.size() - missing);
    cut.pipe.in_ends = true;
    heard.clear();
    const IoResult result = cut.read(heard);
    EXPECT_EQ(result.status, Status::error);
    EXPECT_EQ(result.system_error, ECONNRESET);
    EXPECT_EQ(heard, "some");
  }
  PipedStream failed;
  failed.say(ContentType::alert, "\2\x28"sv);
  EXPECT_EQ(failed.read(heard).system_error, ECONNABORTED);
}

TEST(TlsStream, WhoeverOnlyKeepsItBusyIsPutOut) {
  struct Case {
    ContentType type;
    std::string_view content;
    bool changes_key;
  };
  for (const auto& [type, content, changes_key] :
       {Case{ContentType::application_data, "", false}, Case{ContentType::alert, "\1\x5a", false},
        Case{ContentType::handshake, ticket, false}, Case{ContentType::handshake, "\4", false},
        Case{ContentType::handshake, key_update_asks, true}}) {
    PipedStream piped;
    piped.say(ContentType::application_data, "before");
    for (int i = 0; i < 1000; ++i) {
      piped.say(type, content);
      if (changes_key) {
        ASSERT_TRUE(piped.peer_seals.update());
      }
    }
    std::string heard;
    EXPECT_EQ(piped.read(heard).status, Status::error);
    EXPECT_EQ(heard, "before");
    EXPECT_EQ(piped.budget->used(), 0U);
    // However many were asked for, one is made.
    EXPECT_LE(piped.pipe.out.size(), 100U);
  }
}

TEST(TlsStream, AKeyUpdateThatAsksForOneIsAnsweredBeforeTheNextRecord) {
  PipedStream piped;
  piped.say(ContentType::handshake, key_update_asks);
  ASSERT_TRUE(piped.peer_seals.update());
  EXPECT_EQ(heard_of(piped), "");
  EXPECT_EQ(piped.write("one"), 3U);
  EXPECT_EQ(piped.hear()->content, key_update);
  EXPECT_EQ(piped.hear()->content, "one");
  EXPECT_EQ(piped.write("two"), 3U);
  EXPECT_EQ(piped.hear()->content, "two");
}

TEST(TlsStream, AKeyIsReplacedBeforeItHasProtectedTooMuch) {
  PipedStream piped(records_per_key_max - batch_records - 1);
  EXPECT_EQ(piped.write("old"), 3U);
  EXPECT_EQ(piped.write("last"), 4U);
  EXPECT_EQ(piped.hear()->content, "old");
  const auto next = piped.hear();
  ASSERT_TRUE(next && next->type == ContentType::application_data);
  EXPECT_EQ(piped.write(std::string(20000, 'n')), 20000U);
  EXPECT_EQ(piped.hear()->content, key_update);
  EXPECT_EQ(piped.hear()->content, std::string(record_content_bytes_max, 'n'));
  EXPECT_EQ(piped.peer_opens.used(), 1U);
}

TEST(TlsStream, WhereTheNumbersOfRecordsEndNothingIsMadeOrOpened) {
  PipedStream last(UINT64_MAX - 1);
  last.say(ContentType::application_data, "before");
  std::string heard;
  EXPECT_EQ(last.read(heard).status, Status::would_block);
  EXPECT_EQ(heard, "before");
  std::string record(1 + record_overhead_bytes, '\0');
  auto* const out = reinterpret_cast<std::byte*>(record.data());
  EXPECT_FALSE(last.peer_seals.seal(ContentType::application_data, as_bytes("x"), out));
  RecordOpener opener(PipedStream::secret(1, UINT64_MAX));
  RecordSealer sealer(PipedStream::secret(1, 0));
  ASSERT_TRUE(sealer.seal(ContentType::application_data, as_bytes("x"), out));
  std::string target(record.size(), '\0');
  EXPECT_FALSE(opener.open(as_bytes(record), reinterpret_cast<std::byte*>(target.data())));
}

TEST(TlsStream, WhatWaitsIsChargedUntilItIsOut) {
  PipedStream piped;
  piped.pipe.out_room = 1000;
  EXPECT_EQ(piped.write(std::string(50000, 'w')), 0U);
  EXPECT_EQ(piped.budget->used(), write_block_bytes);
  piped.pipe.out_room = SIZE_MAX;
  EXPECT_EQ(piped.write(std::string(50000, 'w')), 50000U);
  EXPECT_EQ(piped.budget->used(), 0U);
  // Half of a record that came.
  piped.say(ContentType::application_data, std::string(16000, 'r'));
  const std::string rest = piped.pipe.in.substr(10000);
  piped.pipe.in.resize(10000);
  EXPECT_EQ(heard_of(piped), "");
  EXPECT_EQ(piped.budget->used(), 10000U);
  piped.pipe.in = rest;
  EXPECT_EQ(heard_of(piped), std::string(16000, 'r'));
  EXPECT_EQ(piped.budget->used(), 0U);
  piped.pipe.out_room = 10;
  EXPECT_EQ(piped.write(std::string(5000, 'w')), 0U);
  piped.stream.reset();
  EXPECT_EQ(piped.budget->used(), 0U);
}

TEST(TlsStream, WithoutMemoryItGoesOnInSmallRecords) {
  const auto budget = std::make_shared<MemoryBudget>(std::size_t{1} << 20);
  ASSERT_TRUE(budget->try_take((std::size_t{1} << 20) - 1000, Lane::replies));
  const std::size_t before = budget->used();
  PipedStream piped(0, budget);
  const std::string content(5000, 'c');
  std::string heard;
  std::size_t done = 0;
  while (done < content.size()) {
    const std::size_t taken = piped.write(std::string_view(content).substr(done));
    ASSERT_NE(taken, 0U);
    EXPECT_EQ(budget->used(), before);
    done += taken;
  }
  while (const auto record = piped.hear()) heard += record->content;
  EXPECT_EQ(heard, content);
  budget->give_back(before);
}

}  // namespace tls_stream_test
}  // namespace velo::transport::tls
