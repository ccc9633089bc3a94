// SPDX-License-Identifier: Apache-2.0
// The bodies of `_hello` and `_list_handlers`, and what follows from two offers.

#include "hello.hpp"

#include <velo/base/limits.hpp>
#include <velo/codec/hex.hpp>
#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/messenger/error.hpp>
#include <velo/messenger/limits.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

namespace velo::messenger {
namespace hello_detail {

/// A list of names that is refused as soon as it has one too many, before the rest is read.
template <std::size_t CountMax, std::size_t BytesMax>
struct Names {
  std::vector<std::string> items;
};

struct WindowRecord {
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;
};
VELO_DESCRIBE_DEFAULTS(WindowRecord, calls, bytes);

struct OfferRecord {
  std::uint32_t v = 0;
  std::string inc;
  std::optional<Names<features_max, feature_bytes_max>> feat;
  std::optional<std::uint64_t> max_frame;
  std::optional<WindowRecord> window;
};
VELO_DESCRIBE(OfferRecord, v, inc, feat, max_frame, window);

struct BindRecord {
  std::string key;
  std::string sig;
};
VELO_DESCRIBE(BindRecord, key, sig);

/// Written only with a binding, so that whoever has none says nothing of it.
struct BoundOfferRecord : OfferRecord {
  std::optional<BindRecord> bind;
};
VELO_DESCRIBE(BoundOfferRecord, v, inc, feat, max_frame, window, bind);

struct HelloRecord {
  PeerInfo peer_info;
  std::optional<BoundOfferRecord> velo;
};
VELO_DESCRIBE(HelloRecord, peer_info, velo);

struct HandlersRecord {
  Names<limits::handlers_max, handlers_bytes_max> handlers;
  std::optional<BoundOfferRecord> velo;
};
VELO_DESCRIBE(HandlersRecord, handlers, velo);

}  // namespace hello_detail
}  // namespace velo::messenger

template <std::size_t CountMax, std::size_t BytesMax>
struct velo::codec::Codec<velo::messenger::hello_detail::Names<CountMax, BytesMax>> {
  using Value = velo::messenger::hello_detail::Names<CountMax, BytesMax>;

  template <class Out>
  static void write(Out& out, const Value& value) {
    write_value(out, value.items);
  }
  template <class In>
  static bool read(In& in, Value& value) {
    Sequence sequence;
    value.items.clear();
    if (!in.enter_array(sequence)) return false;
    while (in.next_item(sequence)) {
      std::string_view name;
      if (value.items.size() == CountMax) return in.fail(Errc::too_large, "too many names");
      if (!in.read_string(name)) return in.in_index(value.items.size());
      if (name.size() > BytesMax) return in.fail(Errc::too_large, "a name is too long");
      value.items.emplace_back(name);
    }
    return !in.failed();
  }
};

namespace velo::messenger {
namespace hello_detail {

static std::string incarnation_text(std::uint64_t incarnation) {
  std::array<std::byte, 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(incarnation >> (56 - 8 * i));
  }
  return codec::to_hex(bytes);
}

static std::optional<std::uint64_t> parse_incarnation(std::string_view text) {
  if (text.size() != 16) return std::nullopt;
  const auto bytes = codec::from_hex(text);
  if (!bytes) return std::nullopt;
  std::uint64_t incarnation = 0;
  for (const std::byte byte : *bytes) {
    incarnation = incarnation << 8U | std::to_integer<std::uint64_t>(byte);
  }
  return incarnation;
}

/// False: not as many digits as `out` has bytes twice.
static bool parse_hex(std::string_view text, std::span<std::byte> out) {
  if (text.size() != 2 * out.size()) return false;
  const auto bytes = codec::from_hex(text);
  if (!bytes) return false;
  std::ranges::copy(*bytes, out.begin());
  return true;
}

static BoundOfferRecord to_record(const Offer& offer) {
  BoundOfferRecord record;
  record.v = offer.version;
  record.inc = incarnation_text(offer.incarnation);
  record.feat.emplace().items = offer.features;
  record.max_frame = offer.frame_bytes_max;
  record.window = WindowRecord{offer.window_calls, offer.window_bytes};
  if (offer.bind) {
    record.bind = BindRecord{codec::to_hex(offer.bind->key), codec::to_hex(offer.bind->signature)};
  }
  return record;
}

static Result<std::optional<Offer>> from_record(std::optional<BoundOfferRecord> record) {
  if (!record) return std::optional<Offer>();
  if (record->v == 0) return make_error(Errc::malformed, "velo.v: versions start at 1");
  const auto incarnation = parse_incarnation(record->inc);
  if (!incarnation) return make_error(Errc::malformed, "velo.inc: not 16 hexadecimal digits");
  Offer offer;
  offer.version = record->v;
  offer.incarnation = *incarnation;
  if (record->feat) offer.features = std::move(record->feat->items);
  offer.frame_bytes_max = record->max_frame.value_or(0);
  if (record->window) {
    offer.window_calls = record->window->calls;
    offer.window_bytes = record->window->bytes;
  }
  if (record->bind) {
    Binding& bind = offer.bind.emplace();
    if (!parse_hex(record->bind->key, bind.key) || !parse_hex(record->bind->sig, bind.signature)) {
      return make_error(Errc::malformed, "velo.bind: not 64 and 128 hexadecimal digits");
    }
  }
  return std::optional<Offer>(std::move(offer));
}

/// An object of one member and, if there is an offer, "velo"; an absent offer is no member, as the
/// public velo has it.
template <class T>
static Bytes encode(std::string_view name, const T& value, const std::optional<Offer>& offer) {
  codec::json::Writer writer;
  writer.begin_map(offer ? 2 : 1);
  writer.key(name);
  codec::write_value(writer, value);
  if (offer) {
    writer.key("velo");
    const BoundOfferRecord record = to_record(*offer);
    if (record.bind) {
      codec::write_value(writer, record);
    } else {
      codec::write_value(writer, static_cast<const OfferRecord&>(record));
    }
  }
  writer.end_map();
  return Bytes::own(std::move(writer).take());
}

template <class Record>
static Result<Record> decode(ByteSpan json, std::size_t bytes_max, const char* what) {
  if (json.size() > bytes_max) {
    return make_error(Errc::malformed, std::string(what) + ": too large");
  }
  Result<Record> record = codec::from_json<Record>(as_text(json));
  if (!record) {
    record = make_error(Errc::malformed, std::string(what) + ": " + record.error().context());
  }
  return record;
}

static std::uint64_t smaller_said(std::uint64_t ours, std::uint64_t theirs) noexcept {
  if (ours == 0 || theirs == 0) return ours + theirs;
  return std::min(ours, theirs);
}

}  // namespace hello_detail

Offer local_offer(std::uint64_t incarnation) {
  Offer offer;
  offer.incarnation = incarnation;
  offer.features = {"same-conn", "hdr2", "status", "cancel", "window", "msgpack"};
  offer.frame_bytes_max = velo::limits::frame_bytes_max;
  offer.window_calls = window_calls_default;
  offer.window_bytes = window_bytes_default;
  return offer;
}

Agreement agree(const Offer& ours, const std::optional<Offer>& theirs) {
  Agreement agreement;
  agreement.frame_bytes_max =
      hello_detail::smaller_said(agreement.frame_bytes_max, ours.frame_bytes_max);
  if (!theirs) return agreement;
  const auto both = [&](std::string_view name) {
    const auto has = [name](const Offer& offer) {
      return std::find(offer.features.begin(), offer.features.end(), name) != offer.features.end();
    };
    return has(ours) && has(*theirs);
  };
  agreement.ours = true;
  agreement.same_conn = both("same-conn");
  agreement.hdr2 = both("hdr2");
  agreement.status = both("status");
  agreement.cancel = both("cancel");
  agreement.msgpack = both("msgpack");
  agreement.staged = both("staged") && agreement.status;
  agreement.path = both("path") && agreement.same_conn;
  agreement.resume = agreement.path && both("resume");
  agreement.peer_incarnation = theirs->incarnation;
  agreement.frame_bytes_max =
      hello_detail::smaller_said(agreement.frame_bytes_max, theirs->frame_bytes_max);
  const std::uint64_t calls = hello_detail::smaller_said(ours.window_calls, theirs->window_calls);
  const std::uint64_t bytes = hello_detail::smaller_said(ours.window_bytes, theirs->window_bytes);
  // A window of nothing would let no call through: who offers the feature without numbers accepts
  // ours.
  agreement.window = both("window") && calls != 0 && bytes != 0;
  if (agreement.window) {
    agreement.window_calls = calls;
    agreement.window_bytes = bytes;
  }
  return agreement;
}

Bytes encode_hello_request(const HelloRequest& request) {
  return hello_detail::encode("peer_info", request.peer_info, request.offer);
}

Result<HelloRequest> decode_hello_request(ByteSpan json) {
  auto record = hello_detail::decode<hello_detail::HelloRecord>(json, hello_bytes_max, "_hello");
  if (!record) return record.error();
  if (!record->peer_info.instance_id.valid() || !record->peer_info.worker_id().valid()) {
    return make_error(Errc::malformed, "_hello: peer_info.instance_id: no instance has this id");
  }
  auto offer = hello_detail::from_record(std::move(record->velo));
  if (!offer) return offer.error();
  return HelloRequest{std::move(record->peer_info), std::move(*offer)};
}

Bytes encode_handlers_response(const HandlersResponse& response) {
  return hello_detail::encode("handlers", response.handlers, response.offer);
}

Result<HandlersResponse> decode_handlers_response(ByteSpan json) {
  auto record =
      hello_detail::decode<hello_detail::HandlersRecord>(json, handlers_bytes_max, "handlers");
  if (!record) return record.error();
  auto offer = hello_detail::from_record(std::move(record->velo));
  if (!offer) return offer.error();
  return HandlersResponse{std::move(record->handlers.items), std::move(*offer)};
}

}  // namespace velo::messenger
