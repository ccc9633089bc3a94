// SPDX-License-Identifier: Apache-2.0
// Handshake messages after the handshake, however they are cut.

#include "messages.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace velo::transport::tls {
namespace messages_test {

using Found = MessageReader::Found;

static std::string message(char type, std::string_view body) {
  std::string made(1, type);
  made += static_cast<char>(body.size() >> 16);
  made += static_cast<char>(body.size() >> 8 & 255);
  made += static_cast<char>(body.size() & 255);
  return made.append(body);
}
static std::string ticket(std::size_t bytes) { return message(4, std::string(bytes, 't')); }
static std::string key_update(char request) { return message(24, {&request, 1}); }

static Found take(MessageReader& reader, std::string_view content) {
  return reader.take(as_bytes(content));
}

TEST(Messages, WholeCutOrSeveralInARecordMeanTheSame) {
  const std::string all = ticket(7) + ticket(1) + key_update(1);
  MessageReader whole;
  EXPECT_EQ(take(whole, all), Found::key_update_asks);
  EXPECT_FALSE(whole.is_within());
  for (std::size_t cut = 1; cut < all.size(); ++cut) {
    MessageReader reader;
    EXPECT_EQ(take(reader, std::string_view(all).substr(0, cut)), Found::nothing) << cut;
    const bool between = cut == ticket(7).size() || cut == ticket(7).size() + ticket(1).size();
    EXPECT_EQ(reader.is_within(), !between) << cut;
    EXPECT_EQ(take(reader, std::string_view(all).substr(cut)), Found::key_update_asks) << cut;
    EXPECT_FALSE(reader.is_within());
  }
  MessageReader bytewise;
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    EXPECT_EQ(take(bytewise, std::string_view(all).substr(i, 1)), Found::nothing) << i;
  }
  EXPECT_EQ(take(bytewise, std::string_view("\1", 1)), Found::key_update_asks);
  EXPECT_EQ(take(bytewise, key_update(0)), Found::key_update);
}

TEST(Messages, TheLongestTicketIsSkippedWithoutBeingHeld) {
  static_assert(sizeof(MessageReader) <= 32);
  MessageReader reader;
  const std::string longest = ticket(session_ticket_bytes_max);
  for (std::size_t at = 0; at < longest.size(); at += 16384) {
    EXPECT_EQ(take(reader, std::string_view(longest).substr(at, 16384)), Found::nothing);
  }
  EXPECT_FALSE(reader.is_within());
  EXPECT_EQ(take(reader, ticket(session_ticket_bytes_max + 1)), Found::malformed);
}

TEST(Messages, NoneSpansTwoKeys) {
  for (const std::string& behind : {ticket(3), key_update(0), std::string(1, '\4')}) {
    MessageReader reader;
    EXPECT_EQ(take(reader, key_update(0) + behind), Found::unexpected);
  }
}

TEST(Messages, WhatHasNoPlaceIsRefusedAsSoonAsItShows) {
  const auto alone = [](std::string_view content) {
    MessageReader reader;
    return take(reader, content);
  };
  EXPECT_EQ(alone(""), Found::unexpected);
  for (const char type : {0, 1, 2, 5, 8, 11, 13, 20, 25}) {
    EXPECT_EQ(alone(message(type, "x").substr(0, 4)), Found::unexpected) << int{type};
  }
  EXPECT_EQ(alone(message(4, "")), Found::malformed);
  EXPECT_EQ(alone(message(24, "")), Found::malformed);
  EXPECT_EQ(alone(message(24, "xy").substr(0, 4)), Found::malformed);
  EXPECT_EQ(alone(std::string_view("\x04\xff\xff\xff", 4)), Found::malformed);
  EXPECT_EQ(alone(key_update(2)), Found::bad_value);
}

}  // namespace messages_test
}  // namespace velo::transport::tls
