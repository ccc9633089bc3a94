// SPDX-License-Identifier: Apache-2.0
// Attach requests and answers as JSON.

#include "attach_message.hpp"

#include <velo/codec/json.hpp>
#include <velo/streaming/error.hpp>
#include <velo/streaming/limits.hpp>

#include <utility>

namespace velo::streaming {

struct AttachRefusal {
  std::string reason;
  std::optional<std::uint16_t> code;  ///< streaming::Errc, of one of ours
};
VELO_DESCRIBE(AttachRefusal, reason, code);

/// An enumeration of the public velo: one member, named as what it is.
struct AttachResponse {
  std::optional<AttachAnswer> Ok;    // NOLINT(readability-identifier-naming)
  std::optional<AttachRefusal> Err;  // NOLINT(readability-identifier-naming)
};
VELO_DESCRIBE(AttachResponse, Ok, Err);

namespace attach_message_detail {

static Error malformed() {
  return make_error(Errc::no_transport, "the anchor's owner answered something else");
}

static Error refusal(AttachRefusal refused) {
  const std::uint16_t code = refused.code.value_or(0);
  const bool known = code >= static_cast<std::uint16_t>(Errc::anchor_not_found) &&
                     code <= static_cast<std::uint16_t>(Errc::too_many_streams);
  return make_error(known ? static_cast<Errc>(code) : Errc::no_transport,
                    refused.reason.substr(0, limits::text_bytes_max));
}

}  // namespace attach_message_detail

Bytes encode(const AttachRequest& request) { return Bytes::own(codec::to_json(request)); }

Result<AttachRequest> decode_attach_request(ByteSpan json) {
  if (json.size() > attach_bytes_max) {
    return velo::make_error(velo::Errc::invalid_argument, "an attach request this long is none");
  }
  return codec::from_json<AttachRequest>(as_text(json));
}

Bytes encode(const Result<AttachAnswer>& answer) {
  if (answer) return Bytes::own(R"({"Ok":)" + codec::to_json(*answer) + "}");
  AttachRefusal refusal;
  refusal.reason = answer.error().context();
  if (answer.error().code().room == Room::streaming) refusal.code = answer.error().code().value;
  return Bytes::own(R"({"Err":)" + codec::to_json(refusal) + "}");
}

Result<AttachAnswer> decode_attach_answer(ByteSpan json) {
  if (json.size() > attach_bytes_max) return attach_message_detail::malformed();
  auto response = codec::from_json<AttachResponse>(as_text(json));
  if (!response) return attach_message_detail::malformed();
  if (response->Err) return attach_message_detail::refusal(std::move(*response->Err));
  if (!response->Ok) return attach_message_detail::malformed();
  return std::move(*response->Ok);
}

}  // namespace velo::streaming
