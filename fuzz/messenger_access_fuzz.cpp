// SPDX-License-Identifier: Apache-2.0
// Any text as access rules; what is accepted survives its own text, and decides without surprise.

#include <velo/base/check.hpp>
#include <velo/messenger/access.hpp>
#include <velo/messenger/limits.hpp>

#include <cstdint>
#include <string_view>

namespace velo::messenger_access_fuzz {

static void check(std::string_view text) {
  const auto policy = AccessPolicy::from_json(text);
  if (!policy) {
    VELO_CHECK(policy.error().is(velo::Errc::invalid_argument));
    VELO_CHECK(!policy.error().context().empty());
    return;
  }
  VELO_CHECK(policy->rules().size() <= messenger::limits::access_rules_max);
  VELO_CHECK(policy->check().has_value());
  const auto again = AccessPolicy::from_json(policy->to_json());
  VELO_CHECK(again.has_value() && *again == *policy);
  ConnectionIdentity stranger;
  ConnectionIdentity self;
  self.self = true;
  for (const AccessRule& rule : policy->rules()) {
    VELO_CHECK(again->allows(stranger, rule.handlers) == policy->allows(stranger, rule.handlers));
    VELO_CHECK(policy->allows(self, rule.handlers));
  }
  VELO_CHECK(policy->allows(stranger, "_hello"));
}

}  // namespace velo::messenger_access_fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  velo::messenger_access_fuzz::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
