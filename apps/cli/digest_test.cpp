// SPDX-License-Identifier: Apache-2.0
// Digests against known ones, whole and in parts.

#include "digest.hpp"

#include <gtest/gtest.h>

#include <string>

namespace velo::cli::digest_test {

static Digest of(std::string_view text) { return digest_of(as_bytes(text)); }

TEST(Digest, AgreesWithPublishedVectors) {
  EXPECT_EQ(of("").sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(of("abc").sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, CountsLinesAndWordsAsWcDoes) {
  EXPECT_EQ(of("").words, 0U);
  EXPECT_EQ(of("one word").lines, 0U);
  EXPECT_EQ(of("one word").words, 2U);
  EXPECT_EQ(of("  a\tb\v\fc\r\n\nd").words, 4U);
  EXPECT_EQ(of("  a\tb\v\fc\r\n\nd").lines, 2U);
  EXPECT_EQ(of("\xff\xfe").words, 1U);
}

TEST(Digest, IsTheSameHoweverTheContentsAreCut) {
  const std::string text = "some words, \n and a  line\nmore";
  const Digest whole = of(text);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Digester digester;
    digester.update(as_bytes(std::string_view(text).substr(0, cut)));
    digester.update(as_bytes(std::string_view(text).substr(cut)));
    EXPECT_EQ(digester.bytes(), text.size());
    EXPECT_EQ(digester.finish(), whole) << cut;
  }
}

}  // namespace velo::cli::digest_test
