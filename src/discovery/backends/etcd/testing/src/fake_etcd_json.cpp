// SPDX-License-Identifier: Apache-2.0
// Members of requests, and what transactions come to.

#include "fake_etcd_json.hpp"

#include <velo/base/check.hpp>
#include <velo/codec/base64.hpp>

#include <algorithm>
#include <charconv>

namespace velo::discovery::testing::fake_etcd_detail {

std::string text_of(const Json& object, const char* name) {
  const Json* member = object.find(name);
  if (member == nullptr || member->if_string() == nullptr) return {};
  return *member->if_string();
}

std::string bytes_of(const Json& object, const char* name) {
  const auto bytes = codec::from_base64(text_of(object, name));
  VELO_CHECK(bytes.has_value());
  return std::string(as_text(*bytes));
}

std::int64_t number_of(const Json& object, const char* name) {
  const std::string text = text_of(object, name);
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

static bool holds(const FakeEtcdStore& store, const Json& compare) {
  const auto found = store.keys.find(bytes_of(compare, "key"));
  const std::string target = text_of(compare, "target");
  VELO_CHECK(text_of(compare, "result") == "EQUAL");
  if (target == "LEASE") {
    const std::int64_t lease = found == store.keys.end() ? 0 : found->second.lease;
    return lease == number_of(compare, "lease");
  }
  VELO_CHECK(target == "CREATE" && number_of(compare, "create_revision") == 0);
  return found == store.keys.end();
}

void flatten(const FakeEtcdStore& store, const Json& txn, std::vector<const Json*>& changes) {
  const Json* compare = txn.find("compare");
  const bool applies =
      compare == nullptr ||
      std::ranges::all_of(*compare->if_array(), [&](const Json& c) { return holds(store, c); });
  const Json* chosen = txn.find(applies ? "success" : "failure");
  if (chosen == nullptr) return;
  VELO_CHECK(chosen->if_array() != nullptr && chosen->if_array()->size() <= 128);
  for (const Json& change : *chosen->if_array()) {
    if (const Json* inner = change.find("request_txn")) {
      flatten(store, *inner, changes);
    } else {
      changes.push_back(&change);
    }
  }
}

}  // namespace velo::discovery::testing::fake_etcd_detail
