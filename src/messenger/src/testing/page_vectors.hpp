// SPDX-License-Identifier: Apache-2.0
// Test support: the byte examples of docs/protocols/messenger.md. Not part of the library.
// Threading: the test's own thread.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/codec/hex.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::messenger::testing {

/// One entry of a block of examples: lines "key: value".
using Vector = std::map<std::string, std::string, std::less<>>;

inline std::filesystem::path page_path() {
  const char* const tree = std::getenv("VELO_SOURCE_DIR");
  const std::filesystem::path root =
      tree != nullptr ? std::filesystem::path(tree)
                      : std::filesystem::path(__FILE__).parent_path() / "../../../..";
  return root / "docs/protocols/messenger.md";
}

/// Of the blocks with this mark after their fence.
inline std::vector<Vector> read_vectors(std::string_view mark = "vectors") {
  std::ifstream page(page_path());
  EXPECT_TRUE(page) << "no page at " << page_path();
  std::vector<Vector> vectors;
  Vector current;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("```")) {
      inside = line.substr(3) == mark;
    } else if (inside && colon != std::string::npos) {
      current[line.substr(0, colon)] = line.substr(colon + 2);
      continue;
    }
    if (!current.empty()) vectors.push_back(std::exchange(current, {}));
  }
  return vectors;
}

inline std::vector<std::byte> bytes_of(const Vector& vector) {
  const auto hex = vector.find("hex");
  if (hex == vector.end()) {
    const ByteSpan text = as_bytes(vector.at("text"));
    return {text.begin(), text.end()};
  }
  auto bytes = codec::from_hex(hex->second);
  EXPECT_TRUE(bytes) << hex->second;
  return bytes ? *bytes : std::vector<std::byte>();
}

}  // namespace velo::messenger::testing
