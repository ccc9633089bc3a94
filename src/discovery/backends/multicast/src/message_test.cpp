// SPDX-License-Identifier: Apache-2.0
// The bytes of multicast discovery, and those of docs/protocols/multicast.md.

#include <velo/discovery/backends/multicast/message.hpp>

#include <velo/codec/hex.hpp>
#include <velo/discovery/backends/multicast/limits.hpp>
#include <velo/discovery/backends/multicast/signing.hpp>

#include "testing/multicast_kit.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace velo::discovery::multicast {
namespace message_test {

using namespace kit;  // NOLINT(google-build-using-namespace)

static crypto::PrivateKey key_of_ones() {
  std::array<std::byte, 32> seed{};
  seed.fill(std::byte{1});
  return *crypto::PrivateKey::ed25519_from_seed(seed);
}

/// The messages that the page shows, by its names for them.
static std::map<std::string, Message> examples() {
  const RawKey key = (*make_signing(key_of_ones()))->key();
  Statement hello;
  hello.announcer = 0x0102030405060708;
  hello.sequence = 1;
  hello.unix_milliseconds = epoch_milliseconds;
  hello.lifetime_milliseconds = 4'750;
  hello.key = key;
  const InstanceId id = *InstanceId::parse("6ba7b810-9dad-41d1-80b4-00c04fd430c8");
  hello.rows.push_back(Row{{}, id, {{"tcp", Bytes::copy("10.0.0.5:7000")}}});
  hello.rows.push_back(Row{"math.sum", id, {{"version", Bytes::copy("2")}}});
  Statement goodbye = hello;
  goodbye.goodbye = true;
  goodbye.sequence = 2;
  goodbye.lifetime_milliseconds = 0;
  goodbye.rows = {Row{"math.sum", id, {}}};
  Statement part = hello;
  part.sequence = 3;
  part.rows.clear();
  part.part = Part{{{}, id}, 0x1112131415161718, 1, 2, Bytes::copy("and the rest of the row")};
  Question everybody;
  everybody.asker = 0x1112131415161718;
  everybody.number = 1;
  Question one = everybody;
  one.number = 2;
  one.about = Question::About::instance;
  one.instance = id;
  Question chain = everybody;
  chain.number = 3;
  chain.about = Question::About::certificates;
  chain.key = key;
  return {{"announcement", hello},
          {"goodbye", goodbye},
          {"part", part},
          {"question to everybody", everybody},
          {"question about one", one},
          {"question for certificates", chain},
          {"certificates", Chain{{Bytes::copy("DER of the leaf"), Bytes::copy("and its issuer")}}}};
}

/// Of cluster "demo".
static std::vector<std::byte> bytes_of(const Message& message) {
  auto bytes = encode(cluster_number("demo"), message);
  if (!std::holds_alternative<Statement>(message)) return bytes;
  const Signature signature = *(*make_signing(key_of_ones()))->sign(bytes);
  const auto raw = std::as_bytes(std::span(signature));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
  return bytes;
}

/// Blocks of hexadecimal bytes after "Example: NAME", with remarks after '#'.
static std::map<std::string, std::string> page_examples() {
  const char* tree = std::getenv("VELO_SOURCE_DIR");
  const auto root = tree != nullptr
                        ? std::filesystem::path(tree)
                        : std::filesystem::path(__FILE__).parent_path() / "../../../../..";
  std::ifstream page(root / "docs/protocols/multicast.md");
  std::map<std::string, std::string> found;
  std::string name;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("Example: ")) name = line.substr(9);
    if (line.starts_with("```")) {
      inside = !inside && line == "```hex";
      continue;
    }
    if (!inside) continue;
    for (const char c : line.substr(0, line.find('#'))) {
      if (c != ' ') found[name] += c;
    }
  }
  return found;
}

TEST(MulticastMessage, BytesAreThoseOfThePage) {
  const auto page = page_examples();
  for (const auto& [name, message] : examples()) {
    const auto shown = page.find(name);
    const std::string written = codec::to_hex(bytes_of(message));
    EXPECT_TRUE(shown != page.end()) << "the page has no example: " << name << "\n" << written;
    if (shown != page.end()) {
      EXPECT_EQ(shown->second, written) << name;
    }
  }
  EXPECT_EQ(page.size(), examples().size());
}

TEST(MulticastMessage, ComesBackAsItWas) {
  for (const auto& [name, message] : examples()) {
    const auto bytes = bytes_of(message);
    const auto received = decode(bytes);
    ASSERT_TRUE(received) << name << ": " << received.error().to_string();
    EXPECT_EQ(received->cluster, cluster_number("demo"));
    EXPECT_EQ(received->message, message) << name;
    if (const auto* said = std::get_if<Statement>(&message)) {
      EXPECT_EQ(received->signed_part.size() + 64, bytes.size());
      EXPECT_TRUE((*make_signing(key_of_ones()))
                      ->verify(said->key, received->signed_part, received->signature));
    }
  }
}

TEST(MulticastMessage, EveryCutAndEveryAdditionIsRefused) {
  for (const auto& [name, message] : examples()) {
    auto bytes = bytes_of(message);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode(ByteSpan(bytes).first(size))) << name << " of " << size;
    }
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(decode(bytes)) << name;
  }
}

TEST(MulticastMessage, EveryChangedByteOfAStatementBreaksItsFormOrItsSignature) {
  const auto signing = *make_signing(key_of_ones());
  const auto bytes = bytes_of(examples().at("announcement"));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto changed = bytes;
    changed[i] ^= std::byte{1};
    const auto received = decode(changed);
    if (!received) continue;
    const auto* said = std::get_if<Statement>(&received->message);
    ASSERT_NE(said, nullptr);
    if (!said->is_signed) continue;
    EXPECT_FALSE(signing->verify(said->key, received->signed_part, received->signature)) << i;
  }
}

TEST(MulticastMessage, LaterVersionsAreToldFromRubbish) {
  auto bytes = bytes_of(examples().at("announcement"));
  bytes[3] = std::byte{2};
  EXPECT_TRUE(decode(bytes).error().code() == error_code(Errc::unknown_format));
  bytes[0] = std::byte{'X'};
  EXPECT_TRUE(decode(bytes).error().code() == error_code(Errc::malformed_entry));
}

TEST(MulticastMessage, NamesAndMetadataOfServicesAreChecked) {
  for (const Row& wrong : {Row{".x", instance(1), {}}, Row{"a b", instance(1), {}},
                           Row{"sum", InstanceId(), {}}, Row{"", InstanceId(), {}},
                           Row{"sum", instance(1), {{"k", Bytes::copy(std::string(600, 'x'))}}}}) {
    Statement said = std::get<Statement>(examples().at("announcement"));
    said.rows = {wrong};
    EXPECT_FALSE(decode(bytes_of(said))) << wrong.service;
  }
}

TEST(MulticastMessage, RowsAreAsLongAsSaid) {
  Statement said = std::get<Statement>(examples().at("announcement"));
  std::size_t bytes = 0;
  for (const Row& row : said.rows) bytes += encoded_bytes(row);
  const std::size_t whole = bytes_of(said).size();
  EXPECT_EQ(limits::datagram_bytes_max - row_bytes_max(), whole - bytes);
}

TEST(MulticastMessage, PartsMakeUpTheirRowAndNothingElse) {
  const Row row =
      peer_row(7, std::string(limits::large_row_bytes_max - encoded_bytes(peer_row(7, "")), 'z'));
  const std::vector<Part> parts = parts_of(row);
  ASSERT_GT(parts.size(), 10U);
  ASSERT_LE(parts.size(), limits::parts_max);
  std::vector<std::byte> whole;
  for (const Part& part : parts) {
    whole.insert(whole.end(), part.bytes.span().begin(), part.bytes.span().end());
  }
  EXPECT_EQ(row_of(parts[0], whole).value(), row);
  Part of_another = parts[0];
  of_another.row.second = instance(8);
  EXPECT_FALSE(row_of(of_another, whole));
  Part changed = parts[0];
  ++changed.digest;
  EXPECT_FALSE(row_of(changed, whole));
  whole.back() ^= std::byte{1};
  EXPECT_FALSE(row_of(parts[0], whole));
  whole.pop_back();
  EXPECT_FALSE(row_of(parts[0], whole));
}

TEST(MulticastMessage, PartsThatCannotBeAreRefused) {
  const Statement good = std::get<Statement>(examples().at("part"));
  const auto refused = [&](auto change) {
    Statement said = good;
    change(*said.part);
    return !decode(bytes_of(said)).has_value();
  };
  EXPECT_FALSE(refused([](Part&) {}));
  EXPECT_TRUE(refused([](Part& part) { part.index = 2; }));
  EXPECT_TRUE(refused([](Part& part) { part.index = 0, part.count = 1; }));
  EXPECT_TRUE(refused([](Part& part) { part.count = limits::parts_max + 1; }));
  EXPECT_TRUE(refused([](Part& part) { part.bytes = Bytes(); }));
  EXPECT_TRUE(refused([](Part& part) { part.row.second = InstanceId(); }));
  EXPECT_TRUE(refused([](Part& part) { part.row.first = ".x"; }));
  EXPECT_TRUE(refused([](Part& part) { part.bytes = Bytes::copy(std::string(1200, 'x')); }));
}

}  // namespace message_test
}  // namespace velo::discovery::multicast
