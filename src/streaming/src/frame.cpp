// SPDX-License-Identifier: Apache-2.0
// Frames of a stream: an item in its envelope, or an ending by name.

#include <velo/streaming/frame.hpp>

#include <velo/streaming/limits.hpp>

#include <array>
#include <cstring>

namespace velo::streaming {
namespace frame_detail {

struct Name {
  FrameKind kind;
  std::string_view name;
  bool has_text;
};

constexpr std::array<Name, 6> endings = {{
    {FrameKind::sender_error, "SenderError", true},
    {FrameKind::dropped, "Dropped", false},
    {FrameKind::detached, "Detached", false},
    {FrameKind::finalized, "Finalized", false},
    {FrameKind::heartbeat, "Heartbeat", false},
    {FrameKind::transport_error, "TransportError", true},
}};

/// A map of one member whose key is "Item".
constexpr std::string_view item_head = "\x81\xa4Item";

static Error malformed() {
  return velo::make_error(velo::Errc::invalid_argument, "not a stream's frame");
}

static const Name* find(std::string_view name) noexcept {
  for (const Name& ending : endings) {
    if (ending.name == name) return &ending;
  }
  return nullptr;
}

static Result<FrameView> parse_ending(ByteSpan frame) {
  codec::msgpack::Reader reader(frame);
  FrameView view;
  std::string_view name;
  if (reader.peek() == codec::Kind::string) {
    if (!reader.read_string(name) || !reader.finish()) return malformed();
    const Name* ending = find(name);
    if (ending == nullptr || ending->has_text) return malformed();
    view.kind = ending->kind;
    return view;
  }
  codec::Sequence members;
  if (!reader.enter_map(members) || !reader.next_key(members, name)) return malformed();
  const Name* ending = find(name);
  // The public velo's many-to-one frame says why a sender was dropped, or nil.
  const bool dropped = ending != nullptr && ending->kind == FrameKind::dropped;
  if (ending == nullptr || (!ending->has_text && !dropped)) return malformed();
  view.kind = ending->kind;
  if (!(dropped && reader.try_nil()) && !reader.read_string(view.text)) return malformed();
  if (reader.next_key(members, name) || !reader.finish()) return malformed();
  return view;
}

}  // namespace frame_detail

Result<FrameView> parse_frame(ByteSpan frame) {
  constexpr std::string_view head = frame_detail::item_head;
  if (frame.size() > head.size() && std::memcmp(frame.data(), head.data(), head.size()) == 0) {
    FrameView view;
    view.item = frame.subspan(head.size());
    return view;
  }
  return frame_detail::parse_ending(frame);
}

Bytes encode_ending(FrameKind kind, std::string_view text) {
  codec::msgpack::Writer writer;
  for (const frame_detail::Name& ending : frame_detail::endings) {
    if (ending.kind != kind) continue;
    const bool with_text = ending.has_text || (kind == FrameKind::dropped && !text.empty());
    if (with_text) writer.begin_map(1);
    writer.string(ending.name);
    if (with_text) writer.string(text.substr(0, limits::text_bytes_max));
  }
  return std::move(writer).take();
}

Error error_of(const RawFrame& raw) {
  std::string text(raw.body.text());
  switch (raw.kind) {
    case FrameKind::sender_error: return make_error(Errc::sender_error, std::move(text));
    case FrameKind::dropped: return make_error(Errc::sender_dropped, std::move(text));
    default: return make_error(Errc::transport_error, std::move(text));
  }
}

}  // namespace velo::streaming
