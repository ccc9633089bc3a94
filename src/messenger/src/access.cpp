// SPDX-License-Identifier: Apache-2.0
// Rules: whom they mean, and which of them decides.

#include <velo/messenger/access.hpp>

#include <velo/messenger/handler.hpp>
#include <velo/messenger/limits.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace velo {
namespace access_detail {

constexpr std::string_view user_prefix = "user:";
constexpr std::string_view node_prefix = "node:";
constexpr std::string_view name_prefix = "name:";
constexpr std::string_view instance_prefix = "instance:";

/// velo's own handlers without which peers cannot talk to each other at all.
constexpr std::array<std::string_view, 3> needed = {"_hello", "_cancel", "_list_handlers"};
/// Paths, and what is done with a handle that its owner has given away: events, streams, large
/// payloads.
constexpr std::array<std::string_view, 6> needed_prefixes = {
    "_path", "_event_", "_anchor_", "_mpsc_anchor_", "_stream_", "_rv_"};

static char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

static bool same_letters(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

static bool name_matches(std::string_view pattern, std::string_view name) noexcept {
  if (pattern.empty() || name.empty()) return false;
  if (pattern.front() == '*') {
    pattern.remove_prefix(1);
    return name.size() > pattern.size() &&
           same_letters(pattern, name.substr(name.size() - pattern.size()));
  }
  if (pattern.back() == '*') {
    pattern.remove_suffix(1);
    return name.size() > pattern.size() && same_letters(pattern, name.substr(0, pattern.size()));
  }
  return same_letters(pattern, name);
}

static bool valid_name_pattern(std::string_view pattern) noexcept {
  const std::size_t star = pattern.find('*');
  if (pattern.empty() || star == std::string_view::npos) return !pattern.empty();
  const bool once = pattern.find('*', star + 1) == std::string_view::npos;
  return once && (star == 0 || star + 1 == pattern.size());
}

static bool handlers_match(std::string_view pattern, std::string_view name) noexcept {
  if (pattern.empty()) return false;
  if (pattern.back() != '*') return pattern == name;
  pattern.remove_suffix(1);
  const bool own = name.starts_with('_') && !pattern.starts_with('_');
  return !own && name.starts_with(pattern);
}

static Error invalid(const std::string& why) {
  return velo::make_error(velo::Errc::invalid_argument, why);
}

}  // namespace access_detail

struct Who::Includes {
  const ConnectionIdentity& caller;

  bool operator()(const Anyone&) const noexcept { return true; }
  bool operator()(const SameHost&) const noexcept { return caller.same_host; }
  bool operator()(const Authenticated&) const noexcept { return caller.authenticated(); }
  bool operator()(const User& user) const noexcept {
    return caller.user && caller.user->user == user.id;
  }
  bool operator()(const NodeId& node) const noexcept {
    return caller.authenticated() && caller.certificate->node == node;
  }
  bool operator()(const InstanceId& id) const noexcept {
    return caller.authentic() && caller.instance == id;
  }
  bool operator()(const Named& named) const noexcept {
    if (!caller.authenticated()) return false;
    if (access_detail::name_matches(named.pattern, caller.certificate->common_name)) return true;
    return std::ranges::any_of(caller.certificate->names, [&](const std::string& name) {
      return access_detail::name_matches(named.pattern, name);
    });
  }
};

struct Who::Text {
  std::string operator()(const Anyone&) const { return "anyone"; }
  std::string operator()(const SameHost&) const { return "same-host"; }
  std::string operator()(const Authenticated&) const { return "authenticated"; }
  std::string operator()(const User& user) const {
    return std::string(access_detail::user_prefix) + std::to_string(user.id);
  }
  std::string operator()(const NodeId& node) const {
    return std::string(access_detail::node_prefix) + node.to_string();
  }
  std::string operator()(const Named& named) const {
    return std::string(access_detail::name_prefix) + named.pattern;
  }
  std::string operator()(const InstanceId& id) const {
    return std::string(access_detail::instance_prefix) + id.to_string();
  }
};

bool Who::includes(const ConnectionIdentity& caller) const noexcept {
  return std::visit(Includes{caller}, what_);
}

std::string Who::to_string() const { return std::visit(Text{}, what_); }

Result<Who> Who::parse(std::string_view text) {
  if (text == "anyone") return anyone();
  if (text == "same-host") return same_host();
  if (text == "authenticated") return authenticated();
  const auto rest = [&](std::string_view prefix) { return text.substr(prefix.size()); };
  if (text.starts_with(access_detail::user_prefix)) {
    const std::string_view digits = rest(access_detail::user_prefix);
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    if (error == std::errc() && end == digits.data() + digits.size()) return user(id);
    return access_detail::invalid("\"" + std::string(text) + "\": a user is a number");
  }
  if (text.starts_with(access_detail::node_prefix)) {
    const auto id = NodeId::parse(rest(access_detail::node_prefix));
    if (!id) return id.error();
    return node(*id);
  }
  if (text.starts_with(access_detail::instance_prefix)) {
    const auto id = InstanceId::parse(rest(access_detail::instance_prefix));
    if (!id) return id.error();
    return instance(*id);
  }
  if (text.starts_with(access_detail::name_prefix)) {
    const std::string_view pattern = rest(access_detail::name_prefix);
    if (access_detail::valid_name_pattern(pattern)) return named(std::string(pattern));
    return access_detail::invalid("\"" + std::string(text) + "\": one * at most, first or last");
  }
  return access_detail::invalid("\"" + std::string(text) +
                                "\" is nobody: anyone, same-host, authenticated, user:, node:, "
                                "name: or instance:");
}

bool Handler::may_be_called_by(const ConnectionIdentity& caller) const noexcept {
  if (callers_.empty() || caller.self) return true;
  return std::ranges::any_of(callers_, [&](const Who& who) { return who.includes(caller); });
}

bool AccessPolicy::allows(const ConnectionIdentity& caller,
                          std::string_view handler) const noexcept {
  if (caller.self || handler == "_hello" || handler == "_cancel") return true;
  for (const AccessRule& rule : rules_) {
    if (!access_detail::handlers_match(rule.handlers, handler)) continue;
    const bool meant =
        std::ranges::any_of(rule.who, [&](const Who& who) { return who.includes(caller); });
    if (meant) return rule.allow;
  }
  if (!handler.starts_with('_') || caller.same_host) return true;
  return std::ranges::find(access_detail::needed, handler) != access_detail::needed.end() ||
         std::ranges::any_of(access_detail::needed_prefixes,
                             [&](std::string_view prefix) { return handler.starts_with(prefix); });
}

Result<void> AccessPolicy::check() const {
  if (rules_.size() > messenger::limits::access_rules_max) {
    return access_detail::invalid("more than " +
                                  std::to_string(messenger::limits::access_rules_max) + " rules");
  }
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const AccessRule& rule = rules_[i];
    const std::string place = "rules[" + std::to_string(i) + "]: ";
    const std::size_t star = rule.handlers.find('*');
    if (rule.handlers.empty() || (star != std::string::npos && star + 1 != rule.handlers.size())) {
      return access_detail::invalid(place + "handlers are a name, or its beginning and a *");
    }
    if (rule.who.empty()) return access_detail::invalid(place + "it is about nobody");
    if (rule.who.size() > messenger::limits::access_callers_max) {
      return access_detail::invalid(place + "too many callers");
    }
    for (const Who& who : rule.who) {
      if (auto known = Who::parse(who.to_string()); !known) {
        return access_detail::invalid(place + known.error().context());
      }
    }
  }
  return {};
}

}  // namespace velo
