// SPDX-License-Identifier: Apache-2.0
// Any bytes as what an etcd server answers: bodies, the lines of a watch, and the values and keys
// that others wrote.

#include <velo/base/check.hpp>
#include <velo/discovery/limits.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "etcd_entry.hpp"
#include "etcd_wire.hpp"

namespace velo::discovery_etcd_wire_fuzz {

using namespace discovery;  // NOLINT(google-build-using-namespace)

static std::vector<std::string> lines_of(std::string_view text, std::size_t piece) {
  etcd::LineSplitter splitter;
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::string_view next = text.substr(0, piece);
    text.remove_prefix(next.size());
    if (!splitter.feed(next)) break;
    while (auto line = splitter.next()) lines.push_back(std::move(*line));
  }
  return lines;
}

template <class Subject>
static void check_value(const typename Subject::Key& key, std::string_view value) {
  const auto info = etcd::decode_value<Subject>("demo", key, as_bytes(value));
  if (!info) return;
  VELO_CHECK(Subject::key(*info) == key);
  const auto written = etcd::encode_value<Subject>("demo", *info);
  if (!written) return;
  const auto again = etcd::decode_value<Subject>("demo", key, as_bytes(*written));
  VELO_CHECK(again.has_value());
  VELO_CHECK(*again == *info);
}

template <class Subject>
static void check_tail(std::string_view tail) {
  if (const auto key = etcd::parse_key_tail<Subject>(tail)) {
    VELO_CHECK(etcd::key_tail<Subject>(*key) == tail);
  }
  // The name of a cluster cannot lead out of its own keys.
  if (!etcd::valid_cluster(tail)) return;
  const std::string prefix = etcd::key_prefix<Subject>(tail);
  VELO_CHECK(std::ranges::count(prefix, '/') == 4 && prefix.ends_with('/'));
}

}  // namespace velo::discovery_etcd_wire_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace velo::discovery_etcd_wire_fuzz;  // NOLINT(google-build-using-namespace)
  if (size < 1 || size > 65'536) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto lines = lines_of(text, 1 + data[0] % 64);
  VELO_CHECK(lines == lines_of(text, text.size() + 1));
  for (const std::string& line : lines) static_cast<void>(etcd::read_watch(line));
  if (const auto message = etcd::read_watch(text)) {
    VELO_CHECK(message->events.size() <= limits::etcd_entries_per_message_max);
  }
  if (const auto reply = etcd::read_range(text)) {
    VELO_CHECK(reply->entries.size() <= limits::etcd_entries_per_message_max);
    VELO_CHECK(reply->revision > 0);
  }
  static_cast<void>(etcd::read_lease(text));
  const auto refusal = etcd::read_refusal(data[0], text);
  VELO_CHECK(refusal.code != 0 && refusal.message.size() <= 1024);
  static_cast<void>(etcd::to_error(refusal));
  static_cast<void>(etcd::wants_new_token(refusal));
  if (const auto token = etcd::read_token(text)) {
    VELO_CHECK(token->size() <= limits::etcd_token_bytes_max);
    VELO_CHECK(token->find_first_of("\r\n") == token->npos);
  }
  const auto id = velo::InstanceId::parse("00112233-4455-4677-8899-aabbccddeeff").value();
  check_value<PeerSubject>(id, text);
  check_value<ServiceSubject>({"math.sum", id}, text);
  check_tail<PeerSubject>(text);
  check_tail<ServiceSubject>(text);
  return 0;
}
