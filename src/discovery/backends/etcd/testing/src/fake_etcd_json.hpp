// SPDX-License-Identifier: Apache-2.0
// What the requests to the server for tests say.
// Threading: thread-safe.
#pragma once

#include <velo/codec/json_value.hpp>
#include <velo/discovery/testing/fake_etcd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace velo::discovery::testing::fake_etcd_detail {

using Json = codec::JsonValue;

/// Members of an object; empty or 0 if they are not there.
std::string text_of(const Json& object, const char* name);
std::string bytes_of(const Json& object, const char* name);
std::int64_t number_of(const Json& object, const char* name);

/// The puts and deletions that a transaction comes to, with those of transactions within it.
void flatten(const FakeEtcdStore& store, const Json& txn, std::vector<const Json*>& changes);

}  // namespace velo::discovery::testing::fake_etcd_detail
