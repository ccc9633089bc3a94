// SPDX-License-Identifier: Apache-2.0
// Reads all keys with a prefix as they were at one revision, page by page.
// Threading: on the channel's shard's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "etcd_channel.hpp"

namespace velo::discovery::etcd {

struct Listed {
  std::uint64_t cluster = 0;
  std::int64_t revision = 0;
};

/// With `first`, all pages before are void.
using ListPage = std::move_only_function<void(bool first, std::vector<KeyValue> entries)>;
using ListDone = std::move_only_function<void(Result<Listed>)>;

/// `wanted` is asked before each request; when it says no, `done` is dropped uncalled.
void list_keys(Channel& channel, std::string prefix, std::function<bool()> wanted, ListPage page,
               ListDone done);

}  // namespace velo::discovery::etcd
