// SPDX-License-Identifier: Apache-2.0
// etcd's JSON gateway as values: requests to write, answers to check. 64-bit numbers travel as
// strings, keys and values as base64, and zeros are left out. Not the meaning of keys (etcd_entry).
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace velo::discovery::etcd {

namespace path {
constexpr const char* range = "/v3/kv/range";
constexpr const char* txn = "/v3/kv/txn";
constexpr const char* watch = "/v3/watch";
constexpr const char* grant = "/v3/lease/grant";
constexpr const char* keepalive = "/v3/lease/keepalive";
constexpr const char* timetolive = "/v3/lease/timetolive";
constexpr const char* revoke = "/v3/lease/revoke";
constexpr const char* authenticate = "/v3/auth/authenticate";
}  // namespace path

/// gRPC's numbers, which the gateway passes on.
namespace grpc_code {
constexpr int ok = 0;
constexpr int invalid_argument = 3;
constexpr int not_found = 5;
constexpr int failed_precondition = 9;
constexpr int out_of_range = 11;  ///< a revision that was compacted, or is yet to come
constexpr int unauthenticated = 16;
}  // namespace grpc_code

// ---- requests ----

/// The keys [from, end), or the one key `from` if `end` is empty; at `revision`, or now if 0.
std::string range_request(std::string_view from, std::string_view end, std::size_t limit,
                          std::int64_t revision);
/// Of [from, end): how many keys there are, and the one that changed last.
std::string newest_request(std::string_view from, std::string_view end);
/// `value` absent: the key is deleted, if it is bound to the transaction's lease: what another one
/// has announced since stays. `again`: the value was there before, and is put only where that other
/// one did not put its own.
struct Change {
  std::string_view key;
  std::optional<std::string_view> value;
  bool again = false;
};
/// All that apply or none; values are bound to `lease`.
std::string txn_request(std::span<const Change> changes, std::int64_t lease);
std::string grant_request(std::int64_t ttl_seconds);
/// For keepalive, timetolive (which lists the lease's keys) and revoke.
std::string lease_request(std::int64_t lease);
std::string authenticate_request(std::string_view user, std::string_view password);
std::string watch_request(std::string_view from, std::string_view end, std::int64_t revision);

// ---- answers; Errc::malformed_entry for what is none ----

struct KeyValue {
  Bytes key;
  Bytes value;
  std::int64_t mod_revision = 0;

  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

struct RangeReply {
  std::uint64_t cluster = 0;
  std::int64_t revision = 0;
  std::vector<KeyValue> entries;
  bool more = false;
  std::uint64_t count = 0;
};
Result<RangeReply> read_range(std::string_view text);

struct LeaseReply {
  std::int64_t lease = 0;
  std::int64_t ttl_seconds = 0;  ///< zero or less: there is no such lease
  std::vector<Bytes> keys;
};
/// Of grant, keepalive and timetolive.
Result<LeaseReply> read_lease(std::string_view text);

/// The token of an authentication's answer: fit for a header, and not empty.
Result<std::string> read_token(std::string_view text);

struct WatchEvent {
  bool removed = false;
  KeyValue entry;

  friend bool operator==(const WatchEvent&, const WatchEvent&) = default;
};
struct WatchMessage {
  std::uint64_t cluster = 0;
  std::int64_t revision = 0;  ///< the server's, when it wrote this
  bool created = false;
  bool cancelled = false;
  bool fragment = false;  ///< more of the same revision follows
  std::int64_t compact_revision = 0;
  std::vector<WatchEvent> events;
  std::string reason;  ///< why it was cancelled, or what failed

  friend bool operator==(const WatchMessage&, const WatchMessage&) = default;
};
Result<WatchMessage> read_watch(std::string_view line);

struct Refusal {
  int code = 0;
  std::string message;
};
/// The body of an answer other than 200; never fails, as anybody may have written it.
Refusal read_refusal(unsigned status, std::string_view text);
Error to_error(const Refusal& refusal);
/// Whether the request may pass with a new token.
bool wants_new_token(const Refusal& refusal) noexcept;

/// The end of the keys that start with `prefix`, whose last byte is below 0xff.
std::string prefix_end(std::string_view prefix);

/// Cuts a watch's stream into lines, each one message.
class LineSplitter {
 public:
  /// False if a line is longer than limits::etcd_message_bytes_max; then it takes no more.
  bool feed(std::string_view bytes);
  /// The next whole line without its end; empty lines are left out.
  std::optional<std::string> next();

 private:
  std::string pending_;
  std::size_t searched_ = 0;
  std::size_t taken_ = 0;
};

}  // namespace velo::discovery::etcd
