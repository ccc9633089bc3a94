// SPDX-License-Identifier: Apache-2.0
// What JetStream answers, and what others have published.

#include "nats_wire.hpp"

#include <velo/codec/json_value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace velo::queue::nats {
namespace nats_read_detail {

static std::optional<std::uint64_t> number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

/// "2026-11-21T23:05:58.123456789Z"; 0 for what is none, and for the year 1 that an empty stream
/// tells.
static WallTime time_of(std::string_view text) noexcept {
  constexpr std::string_view form = "0000-00-00T00:00:00";
  if (text.size() < form.size()) return {};
  const auto part = [text](std::size_t at, std::size_t size) {
    return static_cast<std::int64_t>(number(text.substr(at, size)).value_or(0));
  };
  const std::chrono::year_month_day day(std::chrono::year(static_cast<int>(part(0, 4))),
                                        std::chrono::month(static_cast<unsigned>(part(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(part(8, 2))));
  constexpr std::chrono::year first{1970};
  constexpr std::chrono::year last{2260};
  if (!day.ok() || day.year() < first || day.year() > last) return {};
  const std::int64_t days = std::chrono::sys_days(day).time_since_epoch().count();
  const std::int64_t seconds = days * 86'400 + part(11, 2) * 3'600 + part(14, 2) * 60 + part(17, 2);
  return WallTime{seconds * 1'000'000'000};
}

static int hex(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The number at a path of keys; 0 where there is none.
static std::int64_t integer_at(const JsonValue& value, std::initializer_list<const char*> path) {
  const JsonValue* at = &value;
  for (const char* key : path) {
    at = at->find(key);
    if (at == nullptr) return 0;
  }
  return at->to_int64().value_or(0);
}
static std::uint64_t count_at(const JsonValue& value, std::initializer_list<const char*> path) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(integer_at(value, path), 0));
}

/// Reads an answer; `read` the value where it is none of a refusal.
template <class T, class F>
static Result<Answer<T>> answer(std::string_view body, F read) {
  auto value = JsonValue::parse(body);
  if (!value) return value.error();
  if (value->if_object() == nullptr) {
    return velo::make_error(velo::Errc::invalid_argument, "the server's answer is no object");
  }
  if (const JsonValue* error = value->find("error"); error != nullptr) {
    const JsonValue* description = error->find("description");
    const std::string* text = description != nullptr ? description->if_string() : nullptr;
    std::uint64_t number = count_at(*error, {"err_code"});
    if (number == 0) number = count_at(*error, {"code"});
    return Answer<T>(
        std::unexpected(Refusal{number, text != nullptr ? *text : std::string("refused")}));
  }
  return Answer<T>(read(*value));
}

}  // namespace nats_read_detail

using namespace nats_read_detail;  // NOLINT(google-build-using-namespace)

bool is_full(const Refusal& refusal) noexcept {
  constexpr std::uint64_t not_stored = 10077;
  return refusal.number == not_stored &&
         (refusal.description.find("maximum messages") != std::string::npos ||
          refusal.description.find("maximum bytes") != std::string::npos);
}
bool is_stream_missing(const Refusal& refusal) noexcept { return refusal.number == 10059; }
bool is_consumer_missing(const Refusal& refusal) noexcept { return refusal.number == 10014; }
bool is_stream_different(const Refusal& refusal) noexcept { return refusal.number == 10058; }

Error error_of(const Refusal& refusal, std::string_view what) {
  std::string text = fmt::format("{}: {} ({})", what, refusal.description, refusal.number);
  if (is_full(refusal)) return make_error(Errc::full, std::move(text));
  switch (refusal.number) {
    case 10054: return make_error(Errc::too_large, std::move(text));
    case 10014:
    case 10059: return make_error(Errc::unknown, std::move(text));
    case 10039:
    case 10076: return velo::make_error(velo::Errc::unsupported, std::move(text));
    case 10002:
    case 10023:
    case 10028:
    case 10047: return velo::make_error(velo::Errc::overloaded, std::move(text));
    default: return velo::make_error(velo::Errc::io, std::move(text));
  }
}

Result<Answer<Stored>> read_stored(std::string_view body) {
  return answer<Stored>(body, [](const JsonValue& value) {
    const JsonValue* duplicate = value.find("duplicate");
    const bool* was = duplicate != nullptr ? duplicate->if_boolean() : nullptr;
    return Stored{count_at(value, {"seq"}), was != nullptr && *was};
  });
}

Result<Answer<StreamInfo>> read_stream(const Names& names, std::string_view body) {
  return answer<StreamInfo>(body, [&names](const JsonValue& value) {
    StreamInfo info;
    info.items = count_at(value, {"state", "messages"});
    info.bytes = count_at(value, {"state", "bytes"});
    info.last_sequence = count_at(value, {"state", "last_seq"});
    const JsonValue* state = value.find("state");
    const JsonValue* first = state != nullptr ? state->find("first_ts") : nullptr;
    if (first != nullptr && first->if_string() != nullptr)
      info.first = time_of(*first->if_string());
    const JsonValue* config = value.find("config");
    if (config == nullptr) return info;
    info.config = config->dump();
    const JsonValue* retention = config->find("retention");
    info.work_queue = retention != nullptr && retention->if_string() != nullptr &&
                      *retention->if_string() == "workqueue";
    const JsonValue* subjects = config->find("subjects");
    const auto* list = subjects != nullptr ? subjects->if_array() : nullptr;
    info.closed = list != nullptr && list->size() == 1 && list->front().if_string() != nullptr &&
                  *list->front().if_string() == names.closed_subject;
    return info;
  });
}

Result<Answer<ConsumerInfo>> read_consumer(std::string_view body) {
  return answer<ConsumerInfo>(body, [](const JsonValue& value) {
    ConsumerInfo info;
    info.never_delivered = count_at(value, {"num_pending"});
    info.delivered = count_at(value, {"num_ack_pending"});
    info.ack_wait = Duration(integer_at(value, {"config", "ack_wait"}));
    return info;
  });
}

std::optional<Delivered> read_ack_subject(std::string_view subject) {
  // $JS.ACK.[DOMAIN.ACCOUNT.]STREAM.CONSUMER.DELIVERIES.SEQUENCE.CONSUMED.TIME.PENDING[.RANDOM]
  constexpr std::size_t parts_max = 12;
  constexpr std::size_t parts_short = 9;
  std::array<std::string_view, parts_max> parts;
  std::size_t count = 0;
  while (count < parts_max) {
    const std::size_t dot = subject.find('.');
    parts[count++] = subject.substr(0, dot);
    if (dot == std::string_view::npos) break;
    subject.remove_prefix(dot + 1);
  }
  if (count < parts_short || parts[0] != "$JS" || parts[1] != "ACK") return {};
  const std::size_t first = count == parts_short ? 4 : 6;
  if (count < first + 5) return {};
  const auto deliveries = number(parts[first]);
  const auto sequence = number(parts[first + 1]);
  const auto time = number(parts[first + 3]);
  if (!deliveries || !sequence || !time || *deliveries == 0 || *sequence == 0) return {};
  return Delivered{*deliveries, *sequence,
                   WallTime{static_cast<std::int64_t>(std::min<std::uint64_t>(*time, INT64_MAX))}};
}

std::string unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Item read_item(const Message& message, const Delivered& delivered) {
  Item item;
  for (const auto& [name, value] : message.headers) {
    if (name == id_header) {
      item.id = unescape(value);
    } else if (name == delay_header) {
      const auto delay = number(value).value_or(0);
      const auto most = static_cast<std::uint64_t>(limits::wait_max.count());
      item.delay = Duration(static_cast<std::int64_t>(std::min(delay, most)));
    } else if (name.starts_with(header_prefix)) {
      const std::string_view text = value;
      item.headers.insert_or_assign(unescape(std::string_view(name).substr(header_prefix.size())),
                                    unescape(text.substr(text.starts_with('=') ? 1 : 0)));
    }
  }
  if (item.id.empty()) item.id = fmt::format("{}", delivered.sequence);
  return item;
}

}  // namespace velo::queue::nats
