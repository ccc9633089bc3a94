// SPDX-License-Identifier: Apache-2.0
// Requests as their bytes arrive.

#include "http_request.hpp"

#include <velo/telemetry/limits.hpp>

#include <gtest/gtest.h>

#include <string>

namespace velo::telemetry::http_request_test {

TEST(HttpRequest, IsReadInOnePieceOrByteByByte) {
  const std::string text = "GET /metrics?x=1 HTTP/1.1\r\nHost: here\r\n\r\n";
  HttpRequest whole;
  EXPECT_EQ(whole.feed(text), 0u);
  HttpRequest slow;
  for (const char c : text) EXPECT_EQ(slow.feed(std::string(1, c)), 0u);
  for (HttpRequest* request : {&whole, &slow}) {
    ASSERT_TRUE(request->complete());
    EXPECT_EQ(request->method(), HttpRequest::Method::get);
    EXPECT_EQ(request->path(), "/metrics");
    EXPECT_TRUE(request->keep_alive());
    EXPECT_EQ(request->take_rest(), "");
  }
}

TEST(HttpRequest, KeepsWhatFollowsForTheNext) {
  HttpRequest request;
  EXPECT_EQ(request.feed("HEAD / HTTP/1.0\r\n\r\nGET /next"), 0u);
  ASSERT_TRUE(request.complete());
  EXPECT_EQ(request.method(), HttpRequest::Method::head);
  EXPECT_FALSE(request.keep_alive());
  EXPECT_EQ(request.feed(" HTTP"), 0u);
  EXPECT_EQ(request.take_rest(), "GET /next HTTP");
}

TEST(HttpRequest, OneWithABodyIsRefused) {
  HttpRequest counted;
  EXPECT_EQ(counted.feed("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), 413u);
  HttpRequest chunked;
  EXPECT_EQ(chunked.feed("POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 413u);
  HttpRequest huge;
  EXPECT_EQ(huge.feed("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n"), 413u);
}

TEST(HttpRequest, AHeadThatNeverEndsIsRefused) {
  HttpRequest request;
  unsigned status = request.feed("GET / HTTP/1.1\r\n");
  std::size_t fed = 0;
  while (status == 0 && fed < 10 * limits::request_head_bytes_max) {
    status = request.feed("X-Filler: 0123456789\r\n");
    fed += 22;
  }
  EXPECT_EQ(status, 431u);
  EXPECT_LE(fed, limits::request_head_bytes_max + 22);
  HttpRequest one_line;
  EXPECT_EQ(one_line.feed("GET /" + std::string(2 * limits::request_head_bytes_max, 'a')), 431u);
}

TEST(HttpRequest, WhatIsNoRequestIsRefused) {
  for (const char* text :
       {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", "GET\r\n\r\n",
        "/ GET HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"}) {
    HttpRequest request;
    EXPECT_EQ(request.feed(text), 400u) << text;
  }
  for (const char* text : {"GET / HTTP/2.0\r\n\r\n", "GET / HTTQ/1.1\r\n\r\n"}) {
    HttpRequest request;
    EXPECT_EQ(request.feed(text), 505u) << text;
  }
}

}  // namespace velo::telemetry::http_request_test
