// SPDX-License-Identifier: Apache-2.0
// Tests of the messenger's error codes.

#include <velo/messenger/error.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace velo::messenger::error_test {

const std::vector<Errc> all = {Errc::failed,
                               Errc::unknown_handler,
                               Errc::deadline_exceeded,
                               Errc::cancelled,
                               Errc::overloaded,
                               Errc::shutting_down,
                               Errc::bad_request,
                               Errc::handler_threw,
                               Errc::wrong_kind,
                               Errc::too_large,
                               Errc::permission_denied,
                               Errc::malformed,
                               Errc::not_sent,
                               Errc::connection_lost,
                               Errc::unknown_peer,
                               Errc::no_route,
                               Errc::needs_listener,
                               Errc::bad_reply,
                               Errc::too_many_calls,
                               Errc::no_target,
                               Errc::headers_too_large,
                               Errc::reserved_name,
                               Errc::duplicate_handler,
                               Errc::over_budget,
                               Errc::not_authenticated,
                               Errc::no_payload};

TEST(MessengerError, EveryCodeHasANameOfItsOwn) {
  std::set<std::string> names;
  for (const Errc value : all) {
    const std::string name = error_code_name(error_code(value));
    EXPECT_TRUE(name.starts_with("messenger.")) << name;
    EXPECT_EQ(name.find_first_of("0123456789"), std::string::npos) << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), all.size());
  EXPECT_EQ(error_code_name({Room::messenger, 63}), "messenger.63");
}

TEST(MessengerError, CodesThatCrossTheWireFitTheStatusByte) {
  // A peer of another version reads these numbers: the test is the record of what was given out.
  EXPECT_EQ(static_cast<int>(Errc::failed), 1);
  EXPECT_EQ(static_cast<int>(Errc::unknown_handler), 2);
  EXPECT_EQ(static_cast<int>(Errc::deadline_exceeded), 3);
  EXPECT_EQ(static_cast<int>(Errc::cancelled), 4);
  EXPECT_EQ(static_cast<int>(Errc::overloaded), 5);
  EXPECT_EQ(static_cast<int>(Errc::shutting_down), 6);
  EXPECT_EQ(static_cast<int>(Errc::bad_request), 7);
  EXPECT_EQ(static_cast<int>(Errc::handler_threw), 8);
  EXPECT_EQ(static_cast<int>(Errc::wrong_kind), 9);
  EXPECT_EQ(static_cast<int>(Errc::too_large), 10);
  EXPECT_EQ(static_cast<int>(Errc::permission_denied), 11);
  EXPECT_EQ(static_cast<int>(Errc::malformed), 12);
  EXPECT_EQ(static_cast<int>(Errc::over_budget), 13);
  EXPECT_EQ(static_cast<int>(Errc::not_authenticated), 14);
  EXPECT_EQ(static_cast<int>(Errc::no_payload), 15);
}

TEST(MessengerError, RetryClassSaysWhatCanHelp) {
  EXPECT_EQ(make_error(Errc::failed).retry(), Retry::never);
  EXPECT_EQ(make_error(Errc::bad_request).retry(), Retry::never);
  EXPECT_EQ(make_error(Errc::overloaded).retry(), Retry::later);
  EXPECT_EQ(make_error(Errc::too_many_calls).retry(), Retry::later);
  EXPECT_EQ(make_error(Errc::over_budget).retry(), Retry::later);
  EXPECT_EQ(make_error(Errc::not_sent).retry(), Retry::elsewhere);
  EXPECT_EQ(make_error(Errc::shutting_down).retry(), Retry::elsewhere);
  EXPECT_EQ(make_error(Errc::unknown_handler).retry(), Retry::elsewhere);
}

TEST(MessengerError, ContextIsForPeople) {
  const Error error = make_error(Errc::unknown_handler, "\"echo\"");
  EXPECT_EQ(error.to_string(), "messenger.unknown_handler: \"echo\"");
  EXPECT_TRUE(error.is(Errc::unknown_handler));
  EXPECT_FALSE(error.is(velo::Errc::not_found));
}

}  // namespace velo::messenger::error_test
