// SPDX-License-Identifier: Apache-2.0
// Any bytes as an HTTP response, in one piece and in several: both must come to the same, and hold
// no more than they may.

#include <velo/base/check.hpp>
#include <velo/codec/http_response.hpp>

#include <algorithm>
#include <string>
#include <string_view>

namespace velo::codec_http_response_fuzz {

constexpr std::size_t head_max = 16'384;
constexpr std::size_t body_max = 4096;

struct Outcome {
  bool refused = false;
  bool complete = false;
  unsigned status = 0;
  bool keep_alive = false;
  std::string body;
  std::string retry_after;

  bool operator==(const Outcome&) const = default;
};

static Outcome read(std::string_view bytes, std::size_t piece) {
  codec::HttpResponse response({head_max, body_max});
  Outcome outcome;
  while (!bytes.empty() && !outcome.refused) {
    const std::string_view next = bytes.substr(0, piece);
    bytes.remove_prefix(next.size());
    outcome.refused = !response.feed(next);
    VELO_CHECK(response.started());
    const std::string body = response.take_body();
    VELO_CHECK(body.size() <= body_max);
    outcome.body += body;
  }
  if (!outcome.refused) outcome.refused = !response.finish();
  outcome.complete = response.complete();
  if (response.has_head()) {
    outcome.status = response.status();
    outcome.keep_alive = response.keep_alive();
    outcome.retry_after = response.field("retry-after").value_or("none");
  }
  return outcome;
}

}  // namespace velo::codec_http_response_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using velo::codec_http_response_fuzz::read;
  if (size < 1 || size > 65'536) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t small = 1 + data[0] % 64;
  const auto one = read(text, small);
  const auto other = read(text, 1000);
  // A fault may be seen sooner or later, as the pieces fall; but what is taken for a whole response
  // is the same one.
  VELO_CHECK(one.complete == other.complete);
  if (one.complete) VELO_CHECK(one == other);
  // At once it may be more than is held, which must be refused.
  static_cast<void>(read(text, text.size()));
  return 0;
}
