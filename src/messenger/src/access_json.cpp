// SPDX-License-Identifier: Apache-2.0
// Access rules as JSON text.

#include <velo/messenger/access.hpp>
#include <velo/messenger/limits.hpp>

#include <velo/codec/json.hpp>
#include <velo/codec/json_value.hpp>

#include <optional>
#include <utility>

namespace velo {
namespace access_json_detail {
using codec::JsonValue;

static Error invalid(const std::string& why) {
  return velo::make_error(velo::Errc::invalid_argument, "access rules: " + why);
}

static Result<std::vector<Who>> read_callers(const JsonValue& value, const std::string& place) {
  const auto* const texts = value.if_array();
  if (texts == nullptr) return invalid(place + ".who: not a list of texts");
  if (texts->size() > messenger::limits::access_callers_max) {
    return invalid(place + ".who: too many");
  }
  std::vector<Who> callers;
  for (const JsonValue& each : *texts) {
    const std::string* const text = each.if_string();
    if (text == nullptr) return invalid(place + ".who: not a list of texts");
    auto who = Who::parse(*text);
    if (!who) return invalid(place + ".who: " + who.error().context());
    callers.push_back(std::move(*who));
  }
  return callers;
}

static Result<AccessRule> read_rule(const JsonValue& value, const std::string& place) {
  const auto* const members = value.if_object();
  if (members == nullptr) return invalid(place + ": not an object");
  AccessRule rule;
  bool has_handlers = false;
  for (const auto& member : *members) {
    if (member.key == "allow" || member.key == "deny") {
      const std::string* const handlers = member.value.if_string();
      if (handlers == nullptr || has_handlers) {
        return invalid(place + ": one of allow and deny, a text");
      }
      has_handlers = true;
      rule.allow = member.key == "allow";
      rule.handlers = *handlers;
    } else if (member.key == "who") {
      auto callers = read_callers(member.value, place);
      if (!callers) return callers.error();
      rule.who = std::move(*callers);
    } else {
      return invalid(place + "." + member.key + ": allow, deny and who are all there is");
    }
  }
  if (!has_handlers) return invalid(place + ": one of allow and deny, a text");
  return rule;
}

}  // namespace access_json_detail

Result<AccessPolicy> AccessPolicy::from_json(std::string_view text) {
  using access_json_detail::invalid;
  if (text.size() > messenger::limits::access_json_bytes_max) return invalid("too large");
  const auto parsed = codec::JsonValue::parse(text);
  if (!parsed) return invalid(parsed.error().to_string());
  const auto* const members = parsed->if_object();
  if (members == nullptr || members->size() != 1 || members->begin()->key != "rules") {
    return invalid("an object with the one member rules");
  }
  const auto* const rules = members->begin()->value.if_array();
  if (rules == nullptr) return invalid("rules: not a list");
  if (rules->size() > messenger::limits::access_rules_max) return invalid("rules: too many");
  AccessPolicy policy;
  for (const auto& each : *rules) {
    auto rule =
        access_json_detail::read_rule(each, "rules[" + std::to_string(policy.rules_.size()) + "]");
    if (!rule) return rule.error();
    policy.rules_.push_back(std::move(*rule));
  }
  if (auto sound = policy.check(); !sound) return invalid(sound.error().context());
  return policy;
}

std::string AccessPolicy::to_json() const {
  codec::json::Writer writer;
  writer.begin_map(1);
  writer.key("rules");
  writer.begin_array(rules_.size());
  for (const AccessRule& rule : rules_) {
    writer.begin_map(2);
    writer.key(rule.allow ? "allow" : "deny");
    codec::write_value(writer, rule.handlers);
    writer.key("who");
    writer.begin_array(rule.who.size());
    for (const Who& who : rule.who) codec::write_value(writer, who.to_string());
    writer.end_array();
    writer.end_map();
  }
  writer.end_array();
  writer.end_map();
  return std::move(writer).take();
}

}  // namespace velo
