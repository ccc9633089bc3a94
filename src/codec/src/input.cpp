// SPDX-License-Identifier: Apache-2.0
// Failures of readers: messages, and the path that grows from the inside out.

#include <velo/codec/input.hpp>

#include <fmt/format.h>

namespace velo::codec {
namespace input_detail {

static std::string_view kind_name(Kind kind) noexcept {
  switch (kind) {
    case Kind::nil: return "null";
    case Kind::boolean: return "boolean";
    case Kind::integer: return "integer";
    case Kind::real: return "number with a fraction";
    case Kind::string: return "string";
    case Kind::bytes: return "bytes";
    case Kind::array: return "array";
    case Kind::map: return "map";
    case Kind::extension: return "extension";
    case Kind::invalid: break;
  }
  return "nothing valid";
}

/// Text of a peer inside our messages: short, and printable whatever it was.
static std::string excerpt(std::string_view text) {
  constexpr std::size_t most = 48;
  std::string out(text.substr(0, most));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e || c == '"') c = '?';
  }
  if (text.size() > most) out += "...";
  return out;
}

}  // namespace input_detail

Error Input::error() const {
  std::string_view path = failure_->path;
  if (path.starts_with('.')) path.remove_prefix(1);
  if (failure_->code == Errc::missing_member) {
    return make_error(failure_->code, fmt::format("missing member \"{}\"", path));
  }
  if (path.empty()) return make_error(failure_->code, failure_->message);
  return make_error(failure_->code, fmt::format("{}: {}", path, failure_->message));
}

bool Input::fail(Errc code, std::string message) {
  if (failed()) return false;
  message += fmt::format(" at byte {}", mark_ - begin_);
  failure_ = std::make_unique<Failure>(Failure{code, std::move(message), {}});
  return false;
}

bool Input::fail_out_of_range(BigInteger value) {
  DecimalBuffer buffer;
  return fail(Errc::out_of_range,
              fmt::format("{} does not fit the type of the member", to_decimal(value, buffer)));
}

bool Input::fail_unknown_enumerator(std::string_view name) {
  return fail(Errc::unknown_enumerator,
              fmt::format("unknown enumerator \"{}\"", input_detail::excerpt(name)));
}

bool Input::fail_missing_member(std::string_view name) {
  fail(Errc::missing_member, {});
  return in_member(name);
}

bool Input::fail_length(std::size_t expected) {
  return fail(Errc::out_of_range, fmt::format("expected exactly {} elements", expected));
}

bool Input::in_member(std::string_view name) { return add_to_path(fmt::format(".{}", name)); }

bool Input::in_index(std::size_t index) { return add_to_path(fmt::format("[{}]", index)); }

bool Input::in_key(std::string_view key) {
  return add_to_path(fmt::format("[\"{}\"]", input_detail::excerpt(key)));
}

bool Input::fail_type(const char* expected, Kind found) {
  return fail(Errc::wrong_type,
              fmt::format("expected {}, found {}", expected, input_detail::kind_name(found)));
}

bool Input::fail_end() { return fail(Errc::malformed, "the input ends inside a value"); }

bool Input::fail_depth() {
  return fail(Errc::too_deep, fmt::format("nested deeper than {} levels", depth_max));
}

bool Input::add_to_path(const std::string& segment) {
  failure_->path.insert(0, segment);
  return false;
}

}  // namespace velo::codec
