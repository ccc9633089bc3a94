// SPDX-License-Identifier: Apache-2.0
// The gateway's answers as described structs.

#include "etcd_wire.hpp"

#include <velo/codec/describe.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/json_value.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace velo::discovery::etcd {
namespace etcd_wire_detail {

constexpr std::size_t message_bytes_max = 512;

/// A 64-bit number as the gateway writes it; some write small ones plainly.
template <class T>
struct Number {
  T value = 0;
};

/// An array that is not longer than a message's entries may be.
template <class T>
struct Entries {
  std::vector<T> items;
};

struct HeaderRecord {
  Number<std::uint64_t> cluster_id;
  Number<std::int64_t> revision;
};
struct KeyRecord {
  Bytes key;
  Bytes value;
  Number<std::int64_t> mod_revision;
};
struct RangeRecord {
  HeaderRecord header;
  Entries<KeyRecord> kvs;
  bool more = false;
  Number<std::uint64_t> count;
};
// NOLINTBEGIN(readability-identifier-naming): etcd's names
struct LeaseRecord {
  Number<std::int64_t> ID;
  Number<std::int64_t> TTL;
  Entries<Bytes> keys;
};
// NOLINTEND(readability-identifier-naming)
struct StreamError {
  int grpc_code = 0;
  int code = 0;
  std::string message;
};
struct LeaseLine {
  std::optional<LeaseRecord> result;
  std::optional<StreamError> error;
};
struct EventRecord {
  std::string type;
  KeyRecord kv;
};
struct WatchRecord {
  HeaderRecord header;
  bool created = false;
  bool canceled = false;
  bool fragment = false;
  Number<std::int64_t> compact_revision;
  std::string cancel_reason;
  Entries<EventRecord> events;
};
struct WatchLine {
  std::optional<WatchRecord> result;
  std::optional<StreamError> error;
};

struct TokenRecord {
  std::string token;
};

VELO_DESCRIBE_DEFAULTS(TokenRecord, token);
VELO_DESCRIBE_DEFAULTS(HeaderRecord, cluster_id, revision);
VELO_DESCRIBE_DEFAULTS(KeyRecord, key, value, mod_revision);
VELO_DESCRIBE_DEFAULTS(RangeRecord, header, kvs, more, count);
VELO_DESCRIBE_DEFAULTS(LeaseRecord, ID, TTL, keys);
VELO_DESCRIBE_DEFAULTS(StreamError, grpc_code, code, message);
VELO_DESCRIBE_DEFAULTS(LeaseLine, result, error);
VELO_DESCRIBE_DEFAULTS(EventRecord, type, kv);
VELO_DESCRIBE_DEFAULTS(WatchRecord, header, created, canceled, fragment, compact_revision,
                       cancel_reason, events);
VELO_DESCRIBE_DEFAULTS(WatchLine, result, error);

template <class T>
static Result<T> read(std::string_view text) {
  Result<T> record = from_json<T>(text);
  if (!record) return make_error(Errc::malformed_entry, "etcd: " + record.error().to_string());
  return record;
}

static KeyValue to_entry(KeyRecord&& record) {
  return KeyValue{std::move(record.key), std::move(record.value), record.mod_revision.value};
}

static std::string shortened(std::string text) {
  if (text.size() > message_bytes_max) text.resize(message_bytes_max);
  return text;
}

}  // namespace etcd_wire_detail
}  // namespace velo::discovery::etcd

namespace velo::codec {

template <class T>
struct Codec<discovery::etcd::etcd_wire_detail::Number<T>> {
  template <class In>
  static bool read(In& in, discovery::etcd::etcd_wire_detail::Number<T>& number) {
    if (in.peek() != Kind::string) return read_value(in, number.value);
    std::string_view text;
    if (!in.read_string(text)) return false;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number.value);
    if (error == std::errc() && end == text.data() + text.size()) return true;
    return in.fail(Errc::malformed, "not a 64-bit number");
  }
};

template <class T>
struct Codec<discovery::etcd::etcd_wire_detail::Entries<T>> {
  template <class In>
  static bool read(In& in, discovery::etcd::etcd_wire_detail::Entries<T>& entries) {
    Sequence sequence;
    if (!in.enter_array(sequence)) return false;
    while (in.next_item(sequence)) {
      if (entries.items.size() == discovery::limits::etcd_entries_per_message_max) {
        return in.fail(Errc::too_large, "too many entries");
      }
      if (!read_value(in, entries.items.emplace_back())) {
        return in.in_index(entries.items.size() - 1);
      }
    }
    return !in.failed();
  }
};

}  // namespace velo::codec

namespace velo::discovery::etcd {

Result<RangeReply> read_range(std::string_view text) {
  using namespace etcd_wire_detail;  // NOLINT(google-build-using-namespace)
  Result<RangeRecord> record = read<RangeRecord>(text);
  if (!record) return std::move(record).error();
  RangeReply reply;
  reply.cluster = record->header.cluster_id.value;
  reply.revision = record->header.revision.value;
  reply.more = record->more;
  reply.count = record->count.value;
  reply.entries.reserve(record->kvs.items.size());
  for (KeyRecord& entry : record->kvs.items) reply.entries.push_back(to_entry(std::move(entry)));
  if (reply.revision <= 0) return make_error(Errc::malformed_entry, "etcd: no revision");
  return reply;
}

Result<LeaseReply> read_lease(std::string_view text) {
  using namespace etcd_wire_detail;  // NOLINT(google-build-using-namespace)
  // Keep-alive is a stream for the gateway, which wraps each of its messages.
  Result<LeaseLine> line = read<LeaseLine>(text);
  if (!line) return std::move(line).error();
  if (line->error) return make_error(Errc::malformed_entry, shortened(line->error->message));
  if (!line->result) {
    Result<LeaseRecord> plain = read<LeaseRecord>(text);
    if (!plain) return std::move(plain).error();
    line->result = std::move(*plain);
  }
  LeaseReply reply{line->result->ID.value, line->result->TTL.value,
                   std::move(line->result->keys.items)};
  if (reply.lease == 0) return make_error(Errc::malformed_entry, "etcd: no lease");
  return reply;
}

Result<std::string> read_token(std::string_view text) {
  using namespace etcd_wire_detail;  // NOLINT(google-build-using-namespace)
  Result<TokenRecord> record = read<TokenRecord>(text);
  if (!record) return std::move(record).error();
  const auto fits = [](char c) { return c > ' ' && c < '\x7f'; };
  if (record->token.empty() || record->token.size() > limits::etcd_token_bytes_max ||
      !std::ranges::all_of(record->token, fits)) {
    return make_error(Errc::malformed_entry, "etcd: no token that can be used");
  }
  return std::move(record->token);
}

Result<WatchMessage> read_watch(std::string_view text) {
  using namespace etcd_wire_detail;  // NOLINT(google-build-using-namespace)
  Result<WatchLine> line = read<WatchLine>(text);
  if (!line) return std::move(line).error();
  WatchMessage message;
  if (!line->result) {
    if (!line->error) return make_error(Errc::malformed_entry, "etcd: neither result nor error");
    message.cancelled = true;
    message.reason = shortened(std::move(line->error->message));
    return message;
  }
  WatchRecord& record = *line->result;
  message.cluster = record.header.cluster_id.value;
  message.revision = record.header.revision.value;
  message.created = record.created;
  message.cancelled = record.canceled;
  message.fragment = record.fragment;
  message.compact_revision = record.compact_revision.value;
  message.reason = shortened(std::move(record.cancel_reason));
  message.events.reserve(record.events.items.size());
  for (EventRecord& event : record.events.items) {
    if (!event.type.empty() && event.type != "PUT" && event.type != "DELETE") {
      return make_error(Errc::malformed_entry, "etcd: an event of an unknown type");
    }
    message.events.push_back(
        WatchEvent{event.type == "DELETE", etcd_wire_detail::to_entry(std::move(event.kv))});
  }
  return message;
}

Refusal read_refusal(unsigned status, std::string_view text) {
  using namespace etcd_wire_detail;  // NOLINT(google-build-using-namespace)
  Refusal refusal{-1, fmt::format("HTTP status {}", status)};
  const Result<codec::JsonValue> document = codec::JsonValue::parse(text);
  if (!document) return refusal;
  if (const auto* code = document->find("code")) {
    const auto number = code->to_int64();
    if (number && *number > 0 && *number <= 16) refusal.code = static_cast<int>(*number);
  }
  const auto* words = document->find("message");
  if (words != nullptr && words->if_string() != nullptr) {
    refusal.message = shortened(*words->if_string());
  }
  return refusal;
}

Error to_error(const Refusal& refusal) {
  velo::Errc code = velo::Errc::io;
  switch (refusal.code) {
    case 3: code = velo::Errc::invalid_argument; break;
    case 5: code = velo::Errc::not_found; break;
    case 7:
    case 16: code = velo::Errc::permission_denied; break;
    case 8: code = velo::Errc::overloaded; break;
    case 12: code = velo::Errc::unsupported; break;
    default: break;
  }
  return velo::make_error(code, "etcd: " + refusal.message);
}

bool wants_new_token(const Refusal& refusal) noexcept {
  // The second when users or roles were changed, the third when authentication was turned on.
  return refusal.code == grpc_code::unauthenticated ||
         (refusal.code == grpc_code::invalid_argument &&
          (refusal.message.find("revision of auth store is old") != std::string::npos ||
           refusal.message.find("user name is empty") != std::string::npos));
}

// ---- lines ----

bool LineSplitter::feed(std::string_view bytes) {
  pending_.erase(0, taken_);
  searched_ -= taken_;
  taken_ = 0;
  pending_.append(bytes);
  const std::size_t last = pending_.rfind('\n');
  const std::size_t tail = last == std::string::npos ? pending_.size() : pending_.size() - last;
  return tail <= limits::etcd_message_bytes_max;
}

std::optional<std::string> LineSplitter::next() {
  for (;;) {
    const std::size_t end = pending_.find('\n', std::max(searched_, taken_));
    if (end == std::string::npos) {
      searched_ = pending_.size();
      return std::nullopt;
    }
    const std::size_t begin = std::exchange(taken_, end + 1);
    searched_ = taken_;
    std::string line = pending_.substr(begin, end - begin);
    if (line.find_first_not_of(" \r\t") != std::string::npos) return line;
  }
}

}  // namespace velo::discovery::etcd
