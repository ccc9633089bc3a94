// SPDX-License-Identifier: Apache-2.0
// What JetStream is asked.

#include "nats_wire.hpp"

#include <velo/codec/json_value.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace velo::queue::nats {
namespace nats_wire_detail {

static bool is_plain(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

}  // namespace nats_wire_detail

using namespace nats_wire_detail;  // NOLINT(google-build-using-namespace)

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

}  // namespace velo::queue::nats
