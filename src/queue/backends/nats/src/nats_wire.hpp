// SPDX-License-Identifier: Apache-2.0
// What JetStream is asked and what it answers: names, JSON bodies, headers, subjects of
// acknowledgements. Values in, values out.
// Threading: thread-safe functions, value types.
#pragma once

#include <velo/queue/backends/nats.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::queue::nats {

constexpr std::string_view id_header = "Nats-Msg-Id";
constexpr std::string_view stream_header = "Nats-Expected-Stream";
constexpr std::string_view delay_header = "Velo-Delay";
/// Before the name of each header of the item.
constexpr std::string_view header_prefix = "Velo-Item-";

/// A message as it crosses the connection, either way.
struct Message {
  std::string subject;
  std::string reply;
  std::vector<std::pair<std::string, std::string>> headers;
  Bytes payload;
  int status = 0;  ///< of the server's own answers without a body: 404, 408, 409, 503

  std::size_t bytes() const noexcept;
};

/// What belongs to a queue, on its server.
struct Names {
  explicit Names(std::string_view queue);

  std::string stream;
  std::string consumer;
  std::string subject;         ///< items are published to it
  std::string closed_subject;  ///< the stream's only one once the queue is closed

  std::string stream_api(std::string_view verb) const;
  std::string consumer_api(std::string_view verb) const;
  std::string next() const;
};

Result<void> check_name(std::string_view queue);

/// What the server waits for a receiver that says nothing, for a lease of `visibility`.
Duration ack_wait_for(Duration visibility) noexcept;

std::string stream_config(const Names& names, const QueueOptions& options, const NatsOptions& nats);
/// `stored` is the configuration as the server told it: all of it stays but the subject.
Result<std::string> closed_config(const Names& names, std::string_view stored);
std::string consumer_config(const Names& names, const QueueOptions& options);
/// `wait` zero: what is there now.
std::string pull_request(std::size_t batch, Duration wait);
std::string nak(Duration delay);

/// What went wrong, as JetStream numbers it.
struct Refusal {
  std::uint64_t number = 0;
  std::string description;
};
bool is_full(const Refusal& refusal) noexcept;
bool is_stream_missing(const Refusal& refusal) noexcept;
bool is_consumer_missing(const Refusal& refusal) noexcept;
bool is_stream_different(const Refusal& refusal) noexcept;
/// As the contract names it; `what` was asked.
Error error_of(const Refusal& refusal, std::string_view what);

struct Stored {
  std::uint64_t sequence = 0;
  bool duplicate = false;
};
struct StreamInfo {
  bool work_queue = false;
  bool closed = false;
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  std::uint64_t last_sequence = 0;
  WallTime first;      ///< when the oldest item was stored
  std::string config;  ///< JSON
};
struct ConsumerInfo {
  std::uint64_t never_delivered = 0;
  std::uint64_t delivered = 0;  ///< and not settled
  Duration ack_wait{0};
};

/// The answer to a request: the value, or what the server refused. An error: it cannot be read.
template <class T>
using Answer = std::expected<T, Refusal>;
Result<Answer<Stored>> read_stored(std::string_view body);
Result<Answer<StreamInfo>> read_stream(const Names& names, std::string_view body);
Result<Answer<ConsumerInfo>> read_consumer(std::string_view body);

/// What the subject says that a delivery is acknowledged at.
struct Delivered {
  std::uint64_t deliveries = 0;
  std::uint64_t sequence = 0;
  WallTime stored;
};
std::optional<Delivered> read_ack_subject(std::string_view subject);

/// Ids and headers are any bytes, NATS' are lines of text: what is not safe is %XX.
std::string escape(std::string_view text);
std::string unescape(std::string_view text);

Message item_message(const Names& names, const std::string& id, Bytes payload,
                     const SendOptions& options);
/// The item of a delivered message; foreign ones without an id are named by their sequence.
struct Item {
  std::string id;
  Headers headers;
  Duration delay{0};
};
Item read_item(const Message& message, const Delivered& delivered);

}  // namespace velo::queue::nats
