// SPDX-License-Identifier: Apache-2.0
// Any bytes as what a NATS server answers, and as headers that somebody else has published.

#include <velo/base/check.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "nats_wire.hpp"

namespace velo::queue_nats_fuzz {

using namespace queue;  // NOLINT(google-build-using-namespace)

static void check_refusal(const nats::Refusal& refusal) {
  const bool full = nats::is_full(refusal);
  VELO_CHECK(nats::error_of(refusal, "asking").is(queue::Errc::full) == full);
  VELO_CHECK(!full || !nats::is_stream_missing(refusal));
  static_cast<void>(nats::is_consumer_missing(refusal));
  static_cast<void>(nats::is_stream_different(refusal));
}

static void check_bodies(std::string_view text) {
  const nats::Names names("q");
  if (const auto stored = nats::read_stored(text); stored && !*stored) {
    check_refusal(stored->error());
  }
  if (const auto consumer = nats::read_consumer(text); consumer && *consumer) {
    static_cast<void>((*consumer)->ack_wait);
  }
  const auto stream = nats::read_stream(names, text);
  if (!stream || !*stream || (*stream)->config.empty()) return;
  // Closing keeps what is not ours, and can be read back as closed.
  const auto closed = nats::closed_config(names, (*stream)->config);
  if (!closed) return;
  const auto again = nats::read_stream(names, "{\"config\":" + *closed + "}");
  VELO_CHECK(again && *again && (*again)->closed);
}

/// "NAME: VALUE" lines.
static void check_headers(std::string_view text) {
  nats::Message message;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    message.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  const nats::Item item = nats::read_item(message, nats::Delivered{1, 1, {}});
  VELO_CHECK(!item.id.empty());
  VELO_CHECK(item.delay >= Duration(0) && item.delay <= limits::wait_max);
  SendOptions options;
  options.headers = item.headers;
  options.delay = item.delay;
  const nats::Message made = nats::item_message(nats::Names("q"), item.id, Bytes(), options);
  const nats::Item again = nats::read_item(made, nats::Delivered{1, 1, {}});
  VELO_CHECK(again.id == item.id && again.headers == item.headers && again.delay == item.delay);
}

}  // namespace velo::queue_nats_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace velo::queue_nats_fuzz;  // NOLINT(google-build-using-namespace)
  if (size > 65'536) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_bodies(text);
  check_headers(text);
  if (const auto delivered = nats::read_ack_subject(text)) {
    VELO_CHECK(delivered->deliveries > 0 && delivered->sequence > 0);
    VELO_CHECK(delivered->stored.unix_nanoseconds >= 0);
  }
  VELO_CHECK(nats::unescape(nats::escape(text)) == text);
  static_cast<void>(nats::unescape(text));
  return 0;
}
