// SPDX-License-Identifier: Apache-2.0
// Fault plans as text, both ways.

#include <velo/sim/faults.hpp>

#include <velo/sim/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace velo::sim {

namespace fault_text_detail {

constexpr std::uint64_t second = 1'000'000'000;

static std::string node_name(std::uint32_t node) {
  return node == any_node ? "any" : std::to_string(node);
}

/// "1.5s": seconds with as many digits as it takes.
static std::string time_text(Duration time) {
  const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  std::string text = std::to_string(nanoseconds / second);
  if (nanoseconds % second != 0) {
    text += fmt::format(".{:09}", nanoseconds % second);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text + 's';
}

template <class Number>
static std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

static std::optional<Duration> parse_time(std::string_view text) {
  if (!text.ends_with('s')) return std::nullopt;
  text.remove_suffix(1);
  const std::size_t point = std::min(text.find('.'), text.size());
  const auto whole = number<std::uint64_t>(text.substr(0, point));
  const auto longest = static_cast<std::uint64_t>(limits::fault_time_max.count());
  if (!whole || *whole > longest / second) return std::nullopt;
  std::uint64_t nanoseconds = *whole * second;
  if (point != text.size()) {
    const std::string_view digits = text.substr(point + 1);
    const auto fraction = number<std::uint64_t>(digits);
    if (!fraction || digits.size() > 9) return std::nullopt;
    std::uint64_t unit = second;
    for (std::size_t i = 0; i < digits.size(); ++i) unit /= 10;
    nanoseconds += *fraction * unit;
  }
  if (nanoseconds > longest) return std::nullopt;
  return Duration(static_cast<std::int64_t>(nanoseconds));
}

static std::optional<FaultKind> parse_kind(std::string_view text) {
  for (unsigned value = 1; value <= static_cast<unsigned>(FaultKind::power_off_torn); ++value) {
    const auto kind = static_cast<FaultKind>(value);
    if (fault_kind_name(kind) == text) return kind;
  }
  return std::nullopt;
}

static std::optional<std::uint32_t> parse_node(std::string_view text) {
  if (text == "any") return any_node;
  const auto index = number<std::uint32_t>(text);
  return index && *index != any_node ? index : std::nullopt;
}

/// Takes the next word off the front; empty at the end.
static std::string_view word(std::string_view& text) {
  constexpr std::string_view blanks = " \t\r";
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  const std::string_view first = text.substr(0, text.find_first_of(blanks));
  text.remove_prefix(first.size());
  return first;
}

static Error wrong(std::string_view what, std::string_view found) {
  constexpr std::size_t shown_max = 40;
  return make_error(Errc::invalid_argument,
                    fmt::format("fault: '{}' is no {}", found.substr(0, shown_max), what));
}

/// "for TIME" and "amount NUMBER", each at most once and in this order.
static Result<void> parse_rest(std::string_view text, Fault& fault) {
  std::string_view next = word(text);
  if (next == "for") {
    const std::string_view time = word(text);
    const auto duration = parse_time(time);
    if (!duration) return wrong("duration (like 0.25s, at most a year)", time);
    fault.duration = *duration;
    next = word(text);
  }
  if (next == "amount") {
    const std::string_view digits = word(text);
    const auto amount = number<std::int64_t>(digits);
    if (!amount) return wrong("whole number", digits);
    fault.amount = *amount;
    next = word(text);
  }
  if (!next.empty()) return wrong("'for TIME' or 'amount NUMBER'", next);
  return {};
}

}  // namespace fault_text_detail

std::string to_string(const Fault& fault) {
  using namespace fault_text_detail;
  std::string text = fmt::format("{} {} {} {}", time_text(fault.at), fault_kind_name(fault.kind),
                                 node_name(fault.a), node_name(fault.b));
  if (fault.duration > Duration::zero()) text += " for " + time_text(fault.duration);
  if (fault.amount != 0) text += fmt::format(" amount {}", fault.amount);
  return text;
}

std::string to_string(const FaultPlan& plan) {
  std::string text;
  for (const Fault& fault : plan) text += to_string(fault) + '\n';
  return text;
}

Result<Fault> parse_fault(std::string_view text) {
  using namespace fault_text_detail;
  Fault fault;
  const std::string_view time = word(text);
  const auto at = parse_time(time);
  if (!at) return wrong("time (like 1.5s, at most a year)", time);
  fault.at = *at;
  const std::string_view name = word(text);
  const auto kind = parse_kind(name);
  if (!kind) return wrong("kind of fault", name);
  fault.kind = *kind;
  for (std::uint32_t* node : {&fault.a, &fault.b}) {
    const std::string_view index = word(text);
    const auto parsed = parse_node(index);
    if (!parsed) return wrong("node (a number, or any)", index);
    *node = *parsed;
  }
  if (auto rest = parse_rest(text, fault); !rest) return rest.error();
  return fault;
}

Result<FaultPlan> parse_fault_plan(std::string_view text) {
  if (text.size() > limits::plan_bytes_max) {
    return make_error(Errc::overloaded, "fault plan: more than 16 MiB");
  }
  FaultPlan plan;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    std::string_view rest = line;
    if (fault_text_detail::word(rest).empty()) continue;
    auto fault = parse_fault(line);
    if (!fault) {
      return make_error(Errc::invalid_argument,
                        fmt::format("line {}: {}", number, fault.error().context()));
    }
    if (plan.size() == limits::plan_faults_max) {
      return make_error(Errc::overloaded, "fault plan: more than 100000 faults");
    }
    plan.push_back(*fault);
  }
  return plan;
}

}  // namespace velo::sim
