// SPDX-License-Identifier: Apache-2.0
// Bodies, headers and subjects of JetStream.

#include "nats_wire.hpp"

#include <velo/codec/json_value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace velo::queue::nats {
namespace nats_wire_detail {

constexpr std::string_view id_header = "Nats-Msg-Id";
constexpr std::string_view stream_header = "Nats-Expected-Stream";
constexpr std::string_view delay_header = "Velo-Delay";
/// Before the name of each header of the item.
constexpr std::string_view header_prefix = "Velo-Item-";

static bool is_plain(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

static std::optional<std::uint64_t> number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

/// "2026-11-21T23:05:58.123456789Z"; 0 for what is none.
static WallTime time_of(std::string_view text) noexcept {
  constexpr std::string_view form = "0000-00-00T00:00:00";
  if (text.size() < form.size()) return {};
  const auto part = [text](std::size_t at, std::size_t size) {
    return static_cast<std::int64_t>(number(text.substr(at, size)).value_or(0));
  };
  const std::chrono::year_month_day day(std::chrono::year(static_cast<int>(part(0, 4))),
                                        std::chrono::month(static_cast<unsigned>(part(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(part(8, 2))));
  if (!day.ok()) return {};
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

}  // namespace nats_wire_detail

using namespace nats_wire_detail;  // NOLINT(google-build-using-namespace)

std::string_view Message::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::size_t Message::bytes() const noexcept {
  std::size_t sum = subject.size() + reply.size() + payload.size();
  for (const auto& [name, value] : headers) sum += name.size() + value.size() + 4;
  return sum;
}

Names::Names(std::string_view queue)
    : stream(fmt::format("velo_{}", queue)),
      consumer("workers"),
      subject(fmt::format("velo.queue.{}", queue)),
      closed_subject(fmt::format("velo.closed_queue.{}", queue)) {}

std::string Names::stream_api(std::string_view verb) const {
  return fmt::format("$JS.API.STREAM.{}.{}", verb, stream);
}
std::string Names::consumer_api(std::string_view verb) const {
  return fmt::format("$JS.API.CONSUMER.{}.{}.{}", verb, stream, consumer);
}
std::string Names::next() const { return consumer_api("MSG.NEXT"); }

Result<void> check_name(std::string_view queue) {
  if (!queue.empty() && queue.size() <= limits::nats_name_bytes_max &&
      std::ranges::all_of(queue, &is_plain)) {
    return {};
  }
  return velo::make_error(
      velo::Errc::invalid_argument,
      fmt::format("a queue's name is 1 to {} of [A-Za-z0-9_-]", limits::nats_name_bytes_max));
}

Duration ack_wait_for(Duration visibility) noexcept {
  return visibility + std::max<Duration>(visibility / 4, limits::nats_lease_slack_min);
}

std::string stream_config(const Names& names, const QueueOptions& options,
                          const NatsOptions& nats) {
  // A server takes no shorter window.
  constexpr Duration window_min = std::chrono::milliseconds(100);
  return fmt::format(
      R"({{"name":"{}","subjects":["{}"],"retention":"workqueue","discard":"new","max_consumers":1,)"
      R"("max_msgs":{},"max_bytes":{},"max_age":0,"max_msg_size":-1,"storage":"{}",)"
      R"("num_replicas":{},"duplicate_window":{}}})",
      names.stream, names.subject, options.items_max, options.bytes_max,
      nats.storage == NatsStorage::file ? "file" : "memory", nats.replicas,
      std::max(options.remember_ids, window_min).count());
}

Result<std::string> closed_config(const Names& names, std::string_view stored) {
  auto config = JsonValue::parse(stored);
  if (!config) return config.error();
  JsonValue::Array subjects;
  subjects.emplace_back(names.closed_subject);
  config->set("subjects", JsonValue(std::move(subjects)));
  return config->dump();
}

std::string consumer_config(const Names& names, const QueueOptions& options) {
  return fmt::format(
      R"({{"stream_name":"{}","config":{{"durable_name":"{}","deliver_policy":"all",)"
      R"("ack_policy":"explicit","ack_wait":{},"max_deliver":-1,"replay_policy":"instant",)"
      R"("max_ack_pending":-1,"max_waiting":{}}}}})",
      names.stream, names.consumer, ack_wait_for(options.visibility).count(), limits::waiting_max);
}

std::string pull_request(std::size_t batch, Duration wait) {
  if (wait.count() > 0) return fmt::format(R"({{"batch":{},"expires":{}}})", batch, wait.count());
  return fmt::format(R"({{"batch":{},"no_wait":true,"max_bytes":{}}})", batch,
                     limits::batch_bytes_max);
}

std::string nak(Duration delay) {
  return delay.count() > 0 ? fmt::format(R"(-NAK {{"delay":{}}})", delay.count()) : "-NAK";
}

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

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_plain(c) || c == '.' || c == '/' || c == ':') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
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

Message item_message(const Names& names, const std::string& id, Bytes payload,
                     const SendOptions& options) {
  Message message;
  message.subject = names.subject;
  message.payload = std::move(payload);
  message.headers.emplace_back(id_header, escape(id));
  message.headers.emplace_back(stream_header, names.stream);
  if (options.delay.count() > 0) {
    const Duration delay = std::min(options.delay, limits::wait_max);
    message.headers.emplace_back(delay_header, std::to_string(delay.count()));
  }
  for (const auto& [name, value] : options.headers) {
    // Never empty: libnats reads an empty value as the next header.
    message.headers.emplace_back(std::string(header_prefix) + escape(name), "=" + escape(value));
  }
  return message;
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
