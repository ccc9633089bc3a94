// SPDX-License-Identifier: Apache-2.0
// Responses that arrive in pieces, and bytes that are none.

#include <velo/codec/error.hpp>
#include <velo/codec/http_response.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

namespace velo::codec {
namespace http_response_test {

constexpr std::size_t body_max = 1000;
constexpr std::size_t head_max = 16 << 10;
constexpr HttpResponseLimits limits(head_max, body_max);
constexpr const char* chunked =
    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
    "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX: y\r\n\r\n";

TEST(HttpResponse, IsTheSameHoweverItsBytesArrive) {
  const std::string text = chunked;
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    HttpResponse response(limits);
    EXPECT_FALSE(response.started());
    std::string body;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      EXPECT_FALSE(response.complete());
      const Result<void> fed = response.feed(std::string_view(text).substr(at, piece));
      ASSERT_TRUE(fed) << fed.error().to_string();
      body += response.take_body();
    }
    EXPECT_TRUE(response.complete()) << piece;
    EXPECT_TRUE(response.keep_alive());
    EXPECT_EQ(response.status(), 404U);
    EXPECT_EQ(body, "hello world");
  }
}

TEST(HttpResponse, MayHaveNoChunksHoweverItsBytesArrive) {
  const std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    HttpResponse response(limits);
    for (std::size_t at = 0; at < text.size(); at += piece) {
      ASSERT_FALSE(response.complete());
      ASSERT_TRUE(response.feed(std::string_view(text).substr(at, piece))) << piece;
    }
    EXPECT_TRUE(response.complete()) << piece;
  }
}

TEST(HttpResponse, WithALengthEndsThere) {
  HttpResponse response(limits);
  ASSERT_TRUE(response.feed("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbo"));
  EXPECT_TRUE(response.has_head());
  EXPECT_FALSE(response.complete());
  ASSERT_TRUE(response.feed("dy"));
  EXPECT_TRUE(response.complete());
  EXPECT_FALSE(response.keep_alive());
  EXPECT_EQ(response.take_body(), "body");
  const Result<void> more = response.feed("x");
  ASSERT_FALSE(more);
  EXPECT_TRUE(more.error().is(Errc::malformed));
}

TEST(HttpResponse, WithoutALengthEndsWithTheStream) {
  HttpResponse response(limits);
  ASSERT_TRUE(response.feed("HTTP/1.0 200 OK\r\n\r\nbody"));
  EXPECT_FALSE(response.complete());
  ASSERT_TRUE(response.finish());
  EXPECT_TRUE(response.complete());
  EXPECT_EQ(response.take_body(), "body");
}

TEST(HttpResponse, CutShortIsAnError) {
  HttpResponse response(limits);
  ASSERT_TRUE(response.feed("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo"));
  EXPECT_FALSE(response.finish());
}

TEST(HttpResponse, ThatNeverBeganIsAnError) {
  HttpResponse response(limits);
  EXPECT_FALSE(response.finish());
}

TEST(HttpResponse, ShowsItsFields) {
  HttpResponse response(limits);
  ASSERT_TRUE(response.feed("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"));
  ASSERT_TRUE(response.complete());
  EXPECT_EQ(response.field("retry-after"), "7");
  EXPECT_EQ(response.field("Location"), std::nullopt);
}

TEST(HttpResponse, HoldsABoundedPartOfItsBody) {
  HttpResponse response(limits);
  ASSERT_TRUE(response.feed("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n"));
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(response.feed(std::string(body_max, 'x'))) << "what is taken does not count";
    EXPECT_EQ(response.take_body().size(), body_max);
  }
  const Result<void> fed = response.feed(std::string(body_max + 1, 'x'));
  ASSERT_FALSE(fed);
  EXPECT_TRUE(fed.error().is(velo::Errc::overloaded));
}

TEST(HttpResponse, HeadHasALimit) {
  for (const std::string start : {"HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 ",
                                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n5;"}) {
    HttpResponse response(limits);
    ASSERT_TRUE(response.feed(start));
    bool refused = false;
    for (std::size_t i = 0; i <= head_max && !refused; i += 1024) {
      refused = !response.feed(std::string(1024, 'x'));
    }
    EXPECT_TRUE(refused) << start;
  }
}

/// Of a response of which one head has `bytes` bytes.
static bool accepted(const std::string& before, const std::string& after, std::size_t bytes,
                     std::size_t outside, std::size_t piece) {
  const std::string fill(bytes + outside - before.size() - after.size(), 'x');
  const std::string text = before + fill + after;
  HttpResponse response(limits);
  for (std::size_t at = 0; at < text.size(); at += piece) {
    if (!response.feed(std::string_view(text).substr(at, piece))) return false;
  }
  return response.has_head();
}

TEST(HttpResponse, ALongHeadIsJudgedAlikeHoweverItArrives) {
  constexpr std::size_t max = head_max;
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{63}, std::size_t{64},
                                  std::size_t{1000}, std::size_t{4096}, std::size_t{1} << 20}) {
    const std::string start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
    EXPECT_TRUE(accepted(start, "\r\n\r\n", max, 0, piece)) << piece;
    EXPECT_FALSE(accepted(start, "\r\n\r\n", max + 1, 0, piece)) << piece;
    EXPECT_FALSE(accepted(start, "\r\n\r\n", max + 700, 0, piece)) << piece;
    EXPECT_TRUE(accepted(head + "1;", "\r\n", max, head.size(), piece)) << piece;
    EXPECT_FALSE(accepted(head + "1;", "\r\n", max + 1, head.size(), piece)) << piece;
    EXPECT_FALSE(accepted(head + "1;", "\r\n", max + 700, head.size(), piece)) << piece;
  }
}

TEST(HttpResponse, WhatIsNoResponseIsRefused) {
  for (const char* text :
       {"hello world, this is no HTTP\r\n\r\n", "POST / HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "HTTP/1.1 20 OK\r\n\r\n"}) {
    HttpResponse response(limits);
    EXPECT_FALSE(response.feed(text)) << text;
  }
}

}  // namespace http_response_test
}  // namespace velo::codec
