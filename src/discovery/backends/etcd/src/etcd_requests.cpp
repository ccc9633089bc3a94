// SPDX-License-Identifier: Apache-2.0
// The gateway's requests.

#include "etcd_wire.hpp"

#include <velo/codec/base64.hpp>
#include <velo/codec/json.hpp>

#include <fmt/format.h>

namespace velo::discovery::etcd {
namespace etcd_requests_detail {

static std::string base64(std::string_view text) { return codec::to_base64(as_bytes(text)); }

}  // namespace etcd_requests_detail

std::string range_request(std::string_view from, std::string_view end, std::size_t limit,
                          std::int64_t revision) {
  using etcd_requests_detail::base64;
  std::string text = fmt::format(R"({{"key":"{}")", base64(from));
  if (!end.empty()) text += fmt::format(R"(,"range_end":"{}","limit":"{}")", base64(end), limit);
  if (revision != 0) text += fmt::format(R"(,"revision":"{}")", revision);
  return text + '}';
}

std::string newest_request(std::string_view from, std::string_view end) {
  using etcd_requests_detail::base64;
  return fmt::format(R"({{"key":"{}","range_end":"{}","limit":"1","keys_only":true,)"
                     R"("sort_order":"DESCEND","sort_target":"MOD"}})",
                     base64(from), base64(end));
}

std::string txn_request(std::span<const Change> changes, std::int64_t lease) {
  using etcd_requests_detail::base64;
  std::string text = R"({"success":[)";
  for (const Change& change : changes) {
    if (text.back() != '[') text += ',';
    const std::string key = base64(change.key);
    const std::string ours = fmt::format(
        R"("compare":[{{"key":"{}","target":"LEASE","result":"EQUAL","lease":"{}"}}])", key, lease);
    if (!change.value) {
      text += fmt::format(
          R"({{"request_txn":{{{},"success":[{{"request_delete_range":{{"key":"{}"}}}}]}}}})", ours,
          key);
      continue;
    }
    const std::string put =
        fmt::format(R"({{"request_put":{{"key":"{}","value":"{}","lease":"{}"}}}})", key,
                    base64(*change.value), lease);
    if (!change.again) {
      text += put;
      continue;
    }
    text += fmt::format(
        R"({{"request_txn":{{{0},"success":[{1}],"failure":[{{"request_txn":{{"compare":[)"
        R"({{"key":"{2}","target":"CREATE","result":"EQUAL","create_revision":"0"}}],)"
        R"("success":[{1}]}}}}]}}}})",
        ours, put, key);
  }
  return text + "]}";
}

std::string authenticate_request(std::string_view user, std::string_view password) {
  return fmt::format(R"({{"name":{},"password":{}}})", codec::to_json(std::string(user)),
                     codec::to_json(std::string(password)));
}

std::string grant_request(std::int64_t ttl_seconds) {
  return fmt::format(R"({{"TTL":"{}"}})", ttl_seconds);
}

std::string lease_request(std::int64_t lease) {
  return fmt::format(R"({{"ID":"{}","keys":true}})", lease);
}

std::string watch_request(std::string_view from, std::string_view end, std::int64_t revision) {
  using etcd_requests_detail::base64;
  return fmt::format(R"({{"create_request":{{"key":"{}","range_end":"{}","start_revision":"{}",)"
                     R"("progress_notify":true,"fragment":true}}}})",
                     base64(from), base64(end), revision);
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  ++end.back();
  return end;
}

}  // namespace velo::discovery::etcd
