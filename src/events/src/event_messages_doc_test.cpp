// SPDX-License-Identifier: Apache-2.0
// Holds the examples of docs/protocols/events.md against the code, both ways.

#include "event_messages.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace velo::events::events_doc_test {

static std::filesystem::path events_page() {
  const char* const tree = std::getenv("VELO_SOURCE_DIR");
  const std::filesystem::path root =
      tree != nullptr ? std::filesystem::path(tree)
                      : std::filesystem::path(__FILE__).parent_path() / "../../..";
  return root / "docs/protocols/events.md";
}

/// It is read, and written as it stands there.
template <class Body>
static void expect_same(const std::string& text) {
  const auto body = protocol::decode<Body>(as_bytes(text));
  ASSERT_TRUE(body) << body.error().to_string();
  EXPECT_EQ(as_text(protocol::encode(*body).span()), text);
}

static void check(const std::string& kind, const std::string& text) {
  if (kind == "subscribe") return expect_same<protocol::Subscribe>(text);
  if (kind == "completion") return expect_same<protocol::Completion>(text);
  if (kind == "request") return expect_same<protocol::TriggerRequest>(text);
  if (kind == "watch") return expect_same<protocol::Watch>(text);
  if (kind == "heard") return expect_same<protocol::Heard>(text);
  if (kind == "answer") return expect_same<protocol::Answer>(text);
  if (kind == "complete") return expect_same<protocol::Complete>(text);
  ADD_FAILURE() << "no such kind: " << kind;
}

TEST(EventsPage, ItsExamplesAreWhatIsSpoken) {
  std::ifstream page(events_page());
  ASSERT_TRUE(page) << "no page at " << events_page();
  std::map<std::string, int> seen;
  std::string kind;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("kind: ")) kind = line.substr(6);
    if (!line.starts_with("text: ")) continue;
    check(kind, line.substr(6));
    ++seen[kind];
  }
  EXPECT_EQ(seen.size(), 7u);
}

}  // namespace velo::events::events_doc_test
