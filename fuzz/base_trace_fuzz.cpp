// SPDX-License-Identifier: Apache-2.0
// Any two lines as traceparent and tracestate: what is taken survives its own text.

#include <velo/base/check.hpp>
#include <velo/base/limits.hpp>
#include <velo/base/trace.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace velo::base_trace_fuzz {

static void check(std::string_view text) {
  const std::size_t line = text.find('\n');
  const std::string_view parent = text.substr(0, line);
  const std::string_view state =
      line == std::string_view::npos ? std::string_view() : text.substr(line + 1);
  const auto context = trace::parse_context(parent, state);
  if (!context) return;
  VELO_CHECK(context->trace.valid() && context->span.valid());
  VELO_CHECK(context->state.empty() || context->state == state);
  VELO_CHECK(context->state.size() <= limits::trace_state_bytes_max);
  const std::string written = trace::to_traceparent(*context);
  VELO_CHECK(written.size() == 55 && parent.substr(2, 51) == written.substr(2, 51));
  VELO_CHECK(written.find(context->trace.to_string()) == 3);
  VELO_CHECK(written.find(context->span.to_string(), 35) == 36);
  const auto again = trace::parse_context(written, context->state);
  VELO_CHECK(again.has_value() && *again == *context);
  VELO_CHECK(!trace::Sampling(0).samples(context->trace));
  VELO_CHECK(trace::Sampling(1).samples(context->trace));
}

}  // namespace velo::base_trace_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  velo::base_trace_fuzz::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
