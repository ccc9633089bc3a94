// SPDX-License-Identifier: Apache-2.0
// Record protection: against RFC 8448's example and against itself.

#include "records.hpp"

#include <velo/transport/interfaces.hpp>

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace velo::transport::tls {
namespace records_test {

static std::vector<std::byte> hex(std::string_view text) {
  std::vector<std::byte> bytes;
  int digits = 0;
  unsigned value = 0;
  for (const char c : text) {
    if (c == ' ') continue;
    value = value << 4 | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    if (++digits % 2 == 0) bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

static DirectionSecret secret(std::string_view text, Suite suite = Suite::aes_128_gcm_sha256) {
  DirectionSecret made;
  made.suite = suite;
  const auto bytes = hex(text);
  std::transform(bytes.begin(), bytes.end(), made.secret.begin(),
                 [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
  return made;
}

/// RFC 8448, section 3: the client's application traffic secret, key and iv.
constexpr std::string_view client_secret =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";

static std::vector<std::byte> sealed(RecordSealer& sealer, ContentType type,
                                     std::string_view content) {
  std::vector<std::byte> record(content.size() + record_overhead_bytes);
  EXPECT_TRUE(sealer.seal(type, as_bytes(content), record.data()));
  return record;
}

static std::string opened(RecordOpener& opener, const std::vector<std::byte>& record,
                          ContentType type = ContentType::application_data) {
  std::vector<std::byte> target(RecordOpener::target_bytes(record));
  const auto result = opener.open(record, target.data());
  if (!result || result->type != type) return "nothing";
  return std::string(as_text(ByteSpan(target).first(result->bytes)));
}

}  // namespace records_test

using namespace records_test;  // NOLINT(google-build-using-namespace)

TEST(Records, AreProtectedAsTheStandardsExampleSays) {
  std::array<std::uint8_t, 16> key{};
  expand_label(secret(client_secret).secret, "key", key);
  EXPECT_EQ(as_text(std::as_bytes(std::span(key))),
            as_text(hex("17422dda596ed5d9acd890e3c63f5051")));
  std::array<std::uint8_t, 12> iv{};
  expand_label(secret(client_secret).secret, "iv", iv);
  EXPECT_EQ(as_text(std::as_bytes(std::span(iv))), as_text(hex("5b78923dee08579033e523d9")));
  RecordSealer sealer(secret(client_secret));
  std::vector<std::byte> content;
  for (int i = 0; i < 50; ++i) content.push_back(static_cast<std::byte>(i));
  const auto expected =
      hex("1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a"
          "20441e2b"
          "62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4");
  EXPECT_EQ(as_text(sealed(sealer, ContentType::application_data, as_text(content))),
            as_text(expected));
  const auto close_notify = hex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3");
  const auto alert = sealed(sealer, ContentType::alert, std::string_view("\1\0", 2));
  EXPECT_EQ(as_text(alert), as_text(close_notify));
}

/// The protocol's page; empty when the tree is not known.
static std::string page() {
  const char* const tree = std::getenv("VELO_SOURCE_DIR");
  if (tree == nullptr) return {};
  std::ifstream in(std::string(tree) + "/docs/protocols/tls.md");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

static std::string spaced_hex(ByteSpan bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    text += text.empty() ? "" : " ";
    text += digits[std::to_integer<unsigned>(byte) >> 4];
    text += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

TEST(TlsPage, ShowsTheBytesThatTheCodeMakes) {
  const std::string text = page();
  if (text.empty()) GTEST_SKIP() << "VELO_SOURCE_DIR is not set";
  RecordSealer sealer(secret(client_secret));
  const auto confirmation = sealed(sealer, ContentType::application_data, "");
  EXPECT_NE(text.find(std::string(client_secret)), std::string::npos);
  EXPECT_NE(text.find("    " + spaced_hex(confirmation) + "\n"), std::string::npos)
      << spaced_hex(confirmation);
  RecordSealer updating(secret(client_secret));
  std::vector<std::byte> update(RecordSealer::key_update_bytes + record_overhead_bytes);
  ASSERT_TRUE(updating.seal_key_update(update.data()));
  EXPECT_NE(text.find("    " + spaced_hex(update) + "\n"), std::string::npos) << spaced_hex(update);
  // What it says in words.
  for (const std::string& said :
       {"2^" + std::to_string(std::countr_zero(records_per_key_max)) + " records",
        "longer than 2^14 + " + std::to_string(record_body_bytes_max - record_content_bytes_max),
        "than 2^" + std::to_string(std::countr_zero(record_content_bytes_max)) + " + 1"}) {
    EXPECT_NE(text.find(said), std::string::npos) << said;
  }
  const std::vector<InterfaceEndpoint> endpoint{{"", "192.0.2.1", 4242, 24}};
  const Bytes entry = encode_interface_endpoints(endpoint);
  EXPECT_NE(text.find("    " + spaced_hex(entry.span()) + "\n"), std::string::npos)
      << spaced_hex(entry.span());
  EXPECT_EQ(parse_interface_endpoints(entry, "tls").value(), endpoint);
}

TEST(Records, OpenWhatWasSealedInWhateverPieces) {
  for (const Suite suite : {Suite::aes_128_gcm_sha256, Suite::chacha20_poly1305_sha256}) {
    RecordSealer sealer(secret(client_secret, suite));
    RecordOpener opener(secret(client_secret, suite));
    std::string text(record_content_bytes_max, 'x');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 % 251);
    for (const std::size_t first : {std::size_t{0}, std::size_t{1}, std::size_t{1000},
                                    std::size_t{1024}, std::size_t{1025}, std::size_t{9000}}) {
      std::vector<iovec> vectors{{text.data(), first},
                                 {text.data() + first, 0},
                                 {text.data() + first, 30},
                                 {text.data() + first + 30, text.size() - first - 30}};
      Gather from(vectors);
      std::vector<std::byte> record(text.size() + record_overhead_bytes);
      ASSERT_TRUE(sealer.seal(ContentType::application_data, from, text.size(), record.data()));
      EXPECT_TRUE(from.next(1).empty());
      ASSERT_EQ(record_bytes(record), record.size());
      EXPECT_TRUE(opened(opener, record) == text) << first;
    }
    EXPECT_EQ(opened(opener, sealed(sealer, ContentType::application_data, "")), "");
  }
}

TEST(Records, OpenInTheirOwnPlace) {
  RecordSealer sealer(secret(client_secret));
  RecordOpener opener(secret(client_secret));
  auto record = sealed(sealer, ContentType::application_data, "in place");
  const auto result = opener.open(record, record.data() + record_header_bytes);
  ASSERT_TRUE(result);
  EXPECT_EQ(as_text(ByteSpan(record).subspan(record_header_bytes, result->bytes)), "in place");
}

TEST(Records, AnyChangedBitIsRefused) {
  for (std::size_t bit = 0; bit < 8 * (4 + record_overhead_bytes); ++bit) {
    RecordSealer sealer(secret(client_secret));
    RecordOpener opener(secret(client_secret));
    auto record = sealed(sealer, ContentType::application_data, "four");
    record[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_EQ(opened(opener, record), "nothing") << bit;
  }
}

TEST(Records, OutOfOrderOrRepeatedAreRefused) {
  RecordSealer sealer(secret(client_secret));
  const auto first = sealed(sealer, ContentType::application_data, "first");
  const auto second = sealed(sealer, ContentType::application_data, "second");
  RecordOpener skipping(secret(client_secret));
  EXPECT_EQ(opened(skipping, second), "nothing");
  RecordOpener repeating(secret(client_secret));
  EXPECT_EQ(opened(repeating, first), "first");
  EXPECT_EQ(opened(repeating, first), "nothing");
}

TEST(Records, GoOnWithTheNextKey) {
  RecordSealer sealer(secret(client_secret));
  RecordOpener opener(secret(client_secret));
  EXPECT_EQ(opened(opener, sealed(sealer, ContentType::application_data, "old")), "old");
  std::vector<std::byte> update(RecordSealer::key_update_bytes + record_overhead_bytes);
  ASSERT_TRUE(sealer.seal_key_update(update.data()));
  EXPECT_EQ(sealer.used(), 0U);
  EXPECT_EQ(opened(opener, update, ContentType::handshake),
            std::string("\x18\0\0\1\0", RecordSealer::key_update_bytes));
  const auto record = sealed(sealer, ContentType::application_data, "new");
  RecordOpener late(secret(client_secret));
  EXPECT_EQ(opened(late, record), "nothing");
  ASSERT_TRUE(opener.update());
  EXPECT_EQ(opened(opener, record), "new");
}

TEST(Records, AreNumberedByTheirNonce) {
  // 5.3: the number, in network order, at the end of the iv, bit by bit.
  constexpr std::uint64_t number = 0x0102030405060708;
  DirectionSecret at = secret(client_secret);
  at.used = number;
  RecordSealer sealer(at);
  const auto record = sealed(sealer, ContentType::application_data, "numbered");
  EXPECT_EQ(sealer.used(), number + 1);
  std::array<std::uint8_t, 16> key{};
  std::array<std::uint8_t, 12> nonce{};
  expand_label(at.secret, "key", key);
  expand_label(at.secret, "iv", nonce);
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] ^= static_cast<std::uint8_t>(i + 1);
  const std::string_view content = "numbered\x17";
  std::array<std::uint8_t, 64> made{};
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  int size = 0;
  const auto* const header = reinterpret_cast<const unsigned char*>(record.data());
  EXPECT_EQ(EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), nullptr, key.data(), nonce.data()), 1);
  EXPECT_EQ(EVP_EncryptUpdate(context, nullptr, &size, header, record_header_bytes), 1);
  EXPECT_EQ(EVP_EncryptUpdate(context, made.data(), &size,
                              reinterpret_cast<const unsigned char*>(content.data()),
                              static_cast<int>(content.size())),
            1);
  EVP_CIPHER_CTX_free(context);
  EXPECT_EQ(as_text(ByteSpan(record).subspan(record_header_bytes, content.size())),
            as_text(std::as_bytes(std::span(made).first(content.size()))));
  RecordOpener opener(at);
  EXPECT_EQ(opened(opener, record), "numbered");
}

TEST(Records, LengthsAreCheckedBeforeAnythingElse) {
  const auto length_of = [](std::string_view text) { return record_bytes(hex(text)); };
  const auto fault_of = [&](std::string_view text) { return length_of(text).error(); };
  EXPECT_EQ(length_of("1703030011"), 22U);
  EXPECT_EQ(length_of("1703034100"), 5U + 16640U);
  EXPECT_EQ(fault_of("1703034101"), RecordFault::overflow);
  EXPECT_EQ(fault_of("170303ffff"), RecordFault::overflow);
  EXPECT_EQ(fault_of("1703030010"), RecordFault::unopened);
  EXPECT_EQ(fault_of("1603030020"), RecordFault::unexpected);
  EXPECT_EQ(fault_of("1703010020"), RecordFault::version);
}

}  // namespace velo::transport::tls
