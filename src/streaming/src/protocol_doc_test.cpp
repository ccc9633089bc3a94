// SPDX-License-Identifier: Apache-2.0
// Holds the byte vectors of docs/protocols/streaming.md against the code, both ways.

#include "attach_message.hpp"
#include "mux_batch.hpp"

#include <velo/codec/hex.hpp>
#include <velo/streaming/error.hpp>
#include <velo/streaming/frame.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace velo::streaming::protocol_doc_test {

using Vector = std::map<std::string, std::string, std::less<>>;

static std::vector<Vector> read_vectors(std::string_view kind) {
  const char* const tree = std::getenv("VELO_SOURCE_DIR");
  const std::filesystem::path root =
      tree != nullptr ? std::filesystem::path(tree)
                      : std::filesystem::path(__FILE__).parent_path() / "../../..";
  std::ifstream page(root / "docs/protocols/streaming.md");
  EXPECT_TRUE(page) << root;
  std::vector<Vector> vectors;
  Vector current;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("```")) {
      inside = line == "```vectors";
    } else if (inside && colon != std::string::npos) {
      current[line.substr(0, colon)] = line.substr(colon + 2);
      continue;
    }
    if (!current.empty() && current["kind"] == kind) vectors.push_back(current);
    current.clear();
  }
  EXPECT_FALSE(vectors.empty()) << kind;
  return vectors;
}

static Bytes bytes_of(const Vector& vector) {
  auto bytes = codec::from_hex(vector.at("hex"));
  EXPECT_TRUE(bytes) << vector.at("hex");
  return Bytes::own(std::move(*bytes));
}

TEST(StreamingPage, BatchesAreWrittenAndReadAsThePageSays) {
  constexpr std::uint64_t epoch = 0x0102030405060708;
  const std::vector<Vector> vectors = read_vectors("batch");
  ASSERT_EQ(vectors.size(), 5u);
  Batcher batchers[5];
  for (Batcher& batcher : batchers) batcher.restart(epoch);
  codec::msgpack::Writer item;
  encode_item(item, 42);
  batchers[0].open_slot(Slot(0, 0), 5, 7);
  batchers[0].data(Slot(0, 0), 0, item.span());
  batchers[1].credit_update(Slot(0, 0), 2);
  batchers[2].close_slot(Slot(0, 0), CloseReason::terminal_sent, 7);
  batchers[3].set_heard(HeardEpoch{7, false});
  for (std::size_t i = 0; i < 5; ++i) {
    const Bytes wanted = bytes_of(vectors[i]);
    const Bytes written = i >= 3 ? batchers[i].take_empty() : *batchers[i].take();
    EXPECT_EQ(codec::to_hex(written), codec::to_hex(wanted)) << vectors[i].at("name");
    EXPECT_TRUE(BatchReader::open(wanted)) << vectors[i].at("name");
  }
}

TEST(StreamingPage, FramesAreWrittenAndReadAsThePageSays) {
  const std::vector<Vector> vectors = read_vectors("frame");
  ASSERT_EQ(vectors.size(), 3u);
  codec::msgpack::Writer item;
  encode_item(item, std::string("hi"));
  EXPECT_EQ(codec::to_hex(item.span()), vectors[0].at("hex"));
  EXPECT_EQ(codec::to_hex(encode_ending(FrameKind::finalized)), vectors[1].at("hex"));
  EXPECT_EQ(codec::to_hex(encode_ending(FrameKind::sender_error, "no")), vectors[2].at("hex"));
  for (const Vector& vector : vectors) EXPECT_TRUE(parse_frame(bytes_of(vector)));
}

TEST(StreamingPage, AttachingIsWrittenAndReadAsThePageSays) {
  const std::string request_text = read_vectors("attach_request").at(0).at("text");
  auto request = decode_attach_request(as_bytes(request_text));
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->session_id, 7u);
  EXPECT_EQ(encode(*request).text(), request_text);
  const std::string answer_text = read_vectors("attach_answer").at(0).at("text");
  auto answer = decode_attach_answer(as_bytes(answer_text));
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->initial_credit, 256u);
  EXPECT_EQ(encode(answer).text(), answer_text);
  const std::string refusal_text = read_vectors("attach_refusal").at(0).at("text");
  auto refusal = decode_attach_answer(as_bytes(refusal_text));
  ASSERT_FALSE(refusal);
  EXPECT_TRUE(refusal.error().is(Errc::already_attached));
  EXPECT_EQ(encode(refusal).text(), refusal_text);
}

TEST(StreamingPage, AnswersThatAreNoneAreNoTransport) {
  for (const char* text : {"", "{}", "[]", R"({"Ok":{}})", R"({"Err":{"reason":"x"}})",
                           R"({"Err":{"reason":"x","code":99}})", R"({"Ok":null,"Err":null})"}) {
    auto answer = decode_attach_answer(as_bytes(text));
    ASSERT_FALSE(answer) << text;
    EXPECT_TRUE(answer.error().is(Errc::no_transport)) << text;
  }
  EXPECT_FALSE(decode_attach_request(as_bytes(std::string(5'000, ' '))));
}

}  // namespace velo::streaming::protocol_doc_test
