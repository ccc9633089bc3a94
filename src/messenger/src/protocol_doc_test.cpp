// SPDX-License-Identifier: Apache-2.0
// Holds the byte vectors of docs/protocols/messenger.md against the code, both ways.

#include "hello.hpp"
#include "protocol.hpp"
#include "testing/page_vectors.hpp"

#include <velo/codec/hex.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/json_value.hpp>
#include <velo/messenger/fates.hpp>
#include <velo/transport/framing.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace velo::messenger::protocol_doc_test {
using codec::JsonValue;

using testing::bytes_of;
using testing::page_path;
using testing::read_vectors;
using testing::Vector;

static std::string text_of(const JsonValue& fields, std::string_view name) {
  const JsonValue* const value = fields.find(name);
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : std::string();
}

static std::uint64_t number_of(const JsonValue& fields, std::string_view name) {
  const JsonValue* const value = fields.find(name);
  if (value == nullptr || value->if_integer() == nullptr) {
    ADD_FAILURE() << "no number " << name;
    return 0;
  }
  return codec::low_half(value->if_integer()->magnitude);
}

static bool flag_of(const JsonValue& fields, std::string_view name) {
  const JsonValue* const value = fields.find(name);
  return value != nullptr && value->if_boolean() != nullptr && *value->if_boolean();
}

static MessageId id_of(const JsonValue& fields) {
  std::uint64_t halves[2] = {};
  int i = 0;
  for (const std::string& text : {text_of(fields, "requester"), text_of(fields, "local")}) {
    std::from_chars(text.data(), text.data() + text.size(), halves[i++], 16);
  }
  return {WorkerId(halves[0]), halves[1]};
}

static Headers headers_of(const JsonValue& fields) {
  Headers headers;
  const JsonValue* const value = fields.find("headers");
  if (value == nullptr) return headers;
  for (const auto& member : *value->if_object()) headers[member.key] = *member.value.if_string();
  return headers;
}

static std::optional<Offer> offer_of(const JsonValue& fields) {
  const JsonValue* const value = fields.find("offer");
  if (value == nullptr) return std::nullopt;
  Offer offer;
  offer.version = static_cast<std::uint32_t>(number_of(*value, "v"));
  const std::string inc = text_of(*value, "inc");
  std::from_chars(inc.data(), inc.data() + inc.size(), offer.incarnation, 16);
  for (const JsonValue& name : *value->find("feat")->if_array()) {
    offer.features.push_back(*name.if_string());
  }
  offer.frame_bytes_max = number_of(*value, "max_frame");
  offer.window_calls = number_of(*value->find("window"), "calls");
  offer.window_bytes = number_of(*value->find("window"), "bytes");
  if (const JsonValue* const bind = value->find("bind")) {
    Binding& binding = offer.bind.emplace();
    std::ranges::copy(*codec::from_hex(text_of(*bind, "key")), binding.key.begin());
    std::ranges::copy(*codec::from_hex(text_of(*bind, "sig")), binding.signature.begin());
  }
  return offer;
}

static PeerInfo peer_of(const JsonValue& fields) {
  PeerInfo peer;
  peer.instance_id = *InstanceId::parse(text_of(fields, "instance_id"));
  for (const auto& entry : *fields.find("address")->if_object()) {
    peer.address[entry.key] = Bytes::own(*codec::from_hex(*entry.value.if_string()));
  }
  return peer;
}

/// What a kind of vector means. `accept` says whether the bytes are taken; the other two are for
/// those that are.
struct Kind {
  std::function<bool(ByteSpan)> accept;
  std::function<void(ByteSpan, const JsonValue&)> check_decoded;
  std::function<std::vector<std::byte>(const JsonValue&)> encode;
};

template <class Size, class Encode>
static std::vector<std::byte> encoded(Size size, Encode encode) {
  std::vector<std::byte> out(size);
  EXPECT_EQ(encode(out), out.size());
  return out;
}

static std::vector<std::byte> copy(ByteSpan bytes) { return {bytes.begin(), bytes.end()}; }

constexpr std::string_view response_types[] = {"fire", "ack_nack", "unary"};

static Kind request_kind() {
  return {[](ByteSpan bytes) {
            const auto header = protocol::decode_request(bytes);
            return header && protocol::decode_headers(header->headers);
          },
          [](ByteSpan bytes, const JsonValue& fields) {
            const auto header = protocol::decode_request(bytes);
            EXPECT_EQ(response_types[static_cast<int>(header->response_type)],
                      text_of(fields, "type"));
            EXPECT_EQ(header->id, id_of(fields));
            EXPECT_EQ(header->name, text_of(fields, "name"));
            EXPECT_EQ(*protocol::decode_headers(header->headers), headers_of(fields));
            EXPECT_EQ(header->timeout_us.has_value(), fields.find("timeout_us") != nullptr);
            if (header->timeout_us) {
              EXPECT_EQ(*header->timeout_us, number_of(fields, "timeout_us"));
            }
          },
          [](const JsonValue& fields) {
            const std::string type = text_of(fields, "type");
            const std::string name = text_of(fields, "name");
            const Bytes headers = *protocol::encode_headers(headers_of(fields));
            protocol::RequestHeader header;
            for (std::uint8_t i = 0; i < 3; ++i) {
              if (response_types[i] == type) {
                header.response_type = static_cast<protocol::ResponseType>(i);
              }
            }
            header.id = id_of(fields);
            header.name = name;
            header.headers = headers;
            if (fields.find("timeout_us") != nullptr) {
              header.timeout_us = number_of(fields, "timeout_us");
            }
            return encoded(protocol::encoded_size(header),
                           [&](auto& out) { return protocol::encode_request(header, out); });
          }};
}

static Kind response_kind() {
  return {[](ByteSpan bytes) {
            const auto header = protocol::decode_response(bytes);
            return header && protocol::decode_headers(header->headers);
          },
          [](ByteSpan bytes, const JsonValue& fields) {
            const auto header = protocol::decode_response(bytes);
            EXPECT_EQ(header->id, id_of(fields));
            EXPECT_EQ(header->outcome, number_of(fields, "outcome"));
            EXPECT_EQ(*protocol::decode_headers(header->headers), headers_of(fields));
          },
          [](const JsonValue& fields) {
            const Bytes headers = *protocol::encode_headers(headers_of(fields));
            protocol::ResponseHeader header;
            header.id = id_of(fields);
            header.outcome = static_cast<std::uint8_t>(number_of(fields, "outcome"));
            header.headers = headers;
            return encoded(protocol::encoded_size(header),
                           [&](auto& out) { return protocol::encode_response(header, out); });
          }};
}

static Kind ack_kind() {
  return {[](ByteSpan bytes) { return protocol::decode_ack(bytes).has_value(); },
          [](ByteSpan bytes, const JsonValue& fields) {
            const auto header = protocol::decode_ack(bytes);
            EXPECT_EQ(header->id, id_of(fields));
            EXPECT_EQ(header->is_event, flag_of(fields, "event"));
            EXPECT_EQ(header->is_error, flag_of(fields, "error"));
          },
          [](const JsonValue& fields) {
            protocol::AckHeader header{id_of(fields), flag_of(fields, "event"),
                                       flag_of(fields, "error")};
            return encoded(protocol::ack_bytes,
                           [&](auto& out) { return protocol::encode_ack(header, out); });
          }};
}

static Kind id_kind() {
  return {[](ByteSpan bytes) { return protocol::decode_id(bytes).has_value(); },
          [](ByteSpan bytes, const JsonValue& fields) {
            EXPECT_EQ(*protocol::decode_id(bytes), id_of(fields));
          },
          [](const JsonValue& fields) {
            std::array<std::byte, protocol::id_bytes> wire;
            protocol::encode_id(id_of(fields), wire);
            return copy(wire);
          }};
}

static Kind error_kind() {
  return {[](ByteSpan text) { return protocol::decode_error(as_text(text), "").has_value(); },
          [](ByteSpan text, const JsonValue& fields) {
            const auto error = protocol::decode_error(as_text(text), "why");
            EXPECT_EQ(static_cast<std::uint64_t>(error->code().room), number_of(fields, "room"));
            EXPECT_EQ(error->code().value, number_of(fields, "value"));
            EXPECT_EQ(static_cast<std::uint64_t>(error->retry()), number_of(fields, "retry"));
          },
          [](const JsonValue& fields) {
            return copy(as_bytes(protocol::encode_error(
                Error({static_cast<Room>(number_of(fields, "room")),
                       static_cast<std::uint16_t>(number_of(fields, "value"))},
                      static_cast<Retry>(number_of(fields, "retry"))))));
          }};
}

constexpr std::string_view frame_types[] = {"message", "response", "ack", "event", "shutting_down"};

static Kind frame_kind() {
  return {[](ByteSpan bytes) {
            transport::FrameParser parser(bytes);
            return parser.next() == transport::FrameParser::Status::frame;
          },
          [](ByteSpan bytes, const JsonValue& fields) {
            transport::FrameParser parser(bytes);
            ASSERT_EQ(parser.next(), transport::FrameParser::Status::frame);
            EXPECT_EQ(frame_types[static_cast<int>(parser.type())], text_of(fields, "type"));
            EXPECT_EQ(codec::to_hex(parser.header()), text_of(fields, "header"));
            EXPECT_EQ(codec::to_hex(parser.payload()), text_of(fields, "payload"));
            EXPECT_EQ(parser.frame_bytes(), bytes.size());
          },
          [](const JsonValue& fields) {
            const std::string type = text_of(fields, "type");
            const auto header = *codec::from_hex(text_of(fields, "header"));
            const auto payload = *codec::from_hex(text_of(fields, "payload"));
            transport::OutFrame frame(transport::FrameType::message, header, ByteSpan(payload));
            for (std::uint8_t i = 0; i < transport::frame_type_count; ++i) {
              if (frame_types[i] == type) frame.type = static_cast<transport::FrameType>(i);
            }
            return encoded(transport::encoded_bytes(frame),
                           [&](auto& out) { return transport::encode_frame(out, frame); });
          }};
}

static Kind hello_kind() {
  return {[](ByteSpan json) { return decode_hello_request(json).has_value(); },
          [](ByteSpan json, const JsonValue& fields) {
            const auto request = decode_hello_request(json);
            EXPECT_EQ(request->peer_info, peer_of(fields));
            EXPECT_EQ(request->offer, offer_of(fields));
          },
          [](const JsonValue& fields) {
            return copy(encode_hello_request({peer_of(fields), offer_of(fields)}));
          }};
}

static Kind handlers_kind() {
  const auto names_of = [](const JsonValue& fields) {
    std::vector<std::string> names;
    for (const JsonValue& name : *fields.find("handlers")->if_array()) {
      names.push_back(*name.if_string());
    }
    return names;
  };
  return {[](ByteSpan json) { return decode_handlers_response(json).has_value(); },
          [names_of](ByteSpan json, const JsonValue& fields) {
            const auto response = decode_handlers_response(json);
            EXPECT_EQ(response->handlers, names_of(fields));
            EXPECT_EQ(response->offer, offer_of(fields));
          },
          [names_of](const JsonValue& fields) {
            return copy(encode_handlers_response({names_of(fields), offer_of(fields)}));
          }};
}

static Kind books_kind() {
  return {[](ByteSpan json) { return codec::from_json<NodeBooks>(as_text(json)).has_value(); },
          [](ByteSpan json, const JsonValue& fields) {
            const auto books = codec::from_json<NodeBooks>(as_text(json));
            EXPECT_EQ(JsonValue::parse(codec::to_json(*books)), fields);
          },
          [](const JsonValue& fields) {
            const auto books = codec::from_json<NodeBooks>(codec::to_json(fields));
            return copy(Bytes::own(books ? codec::to_json(*books) : std::string()));
          }};
}

static const std::map<std::string, Kind>& kinds() {
  static const std::map<std::string, Kind> table = {{"frame", frame_kind()},
                                                    {"request", request_kind()},
                                                    {"response", response_kind()},
                                                    {"ack", ack_kind()},
                                                    {"id", id_kind()},
                                                    {"error", error_kind()},
                                                    {"hello_request", hello_kind()},
                                                    {"handlers_response", handlers_kind()},
                                                    {"books", books_kind()}};
  return table;
}

static void expect_same(const Vector& vector, const std::vector<std::byte>& got,
                        const std::vector<std::byte>& expected) {
  const bool json = vector.at("kind").find_first_of("hb") == 0;
  if (!json) {
    EXPECT_EQ(codec::to_hex(got), codec::to_hex(expected));
    return;
  }
  const auto a = JsonValue::parse(as_text(got));
  const auto b = JsonValue::parse(as_text(expected));
  ASSERT_TRUE(a && b);
  EXPECT_EQ(*a, *b) << as_text(got);
}

static void check(const Vector& vector) {
  const auto kind = kinds().find(vector.at("kind"));
  ASSERT_NE(kind, kinds().end()) << vector.at("kind");
  const std::vector<std::byte> bytes = bytes_of(vector);
  if (vector.contains("refused")) {
    EXPECT_FALSE(kind->second.accept(bytes));
    return;
  }
  ASSERT_TRUE(kind->second.accept(bytes));
  const auto fields = JsonValue::parse(vector.at("fields"));
  ASSERT_TRUE(fields) << fields.error().to_string();
  kind->second.check_decoded(bytes, *fields);
  if (!vector.contains("direction")) {
    expect_same(vector, kind->second.encode(*fields), bytes);
  }
}

TEST(ProtocolPage, EachVectorIsWhatTheCodeReadsAndWrites) {
  for (const Vector& vector : read_vectors()) {
    SCOPED_TRACE(vector.at("kind") + ": " + vector.at("name"));
    check(vector);
  }
}

TEST(ProtocolPage, HasVectorsOfEveryKindGoodAndBad) {
  std::map<std::string, std::pair<int, int>> counts;
  for (const Vector& vector : read_vectors()) {
    auto& [good, bad] = counts[vector.at("kind")];
    ++(vector.contains("refused") ? bad : good);
    EXPECT_TRUE(vector.contains("refused") != vector.contains("fields")) << vector.at("name");
  }
  for (const auto& [kind, unused] : kinds()) {
    EXPECT_GE(counts[kind].first, 1) << kind;
    EXPECT_GE(counts[kind].second, 1) << kind;
  }
}

TEST(ProtocolPage, NamesTheNumbersThatTheCodeHas) {
  std::ifstream in(page_path());
  const std::string page((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  for (std::uint16_t value = 1; value < 64; ++value) {
    const std::string name = error_code_name({Room::messenger, value}).substr(10);
    if (name.find_first_of("0123456789") != std::string::npos) continue;
    EXPECT_NE(page.find("| " + std::to_string(value) + " | `" + name + "` |"), std::string::npos)
        << name;
  }
  for (const std::string& feature : local_offer(1).features) {
    EXPECT_NE(page.find("`" + feature + "`"), std::string::npos) << feature;
  }
}

}  // namespace velo::messenger::protocol_doc_test
