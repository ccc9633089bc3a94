// SPDX-License-Identifier: Apache-2.0
// The document model, and translation between the two formats by way of it.

#include <velo/codec/base64.hpp>
#include <velo/codec/json_value.hpp>
#include <velo/codec/msgpack.hpp>

#include <algorithm>
#include <numeric>

namespace velo::codec {
namespace json_value_detail {

/// Removes all but the last member of each key, in O(n log n): the keys are a peer's choice.
static void keep_last(JsonValue::Object& members) {
  std::vector<std::size_t> order(members.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&members](std::size_t a, std::size_t b) {
    const int compared = members[a].key.compare(members[b].key);
    return compared != 0 ? compared < 0 : a < b;
  });
  std::vector<bool> replaced(members.size());
  bool any = false;
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    if (members[order[i]].key == members[order[i + 1]].key) replaced[order[i]] = any = true;
  }
  if (!any) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (replaced[i]) continue;
    if (kept != i) members[kept] = std::move(members[i]);
    ++kept;
  }
  members.resize(kept);
}

template <class Out>
static void write_integer(Out& out, BigInteger value) {
  const U128 magnitude = value.magnitude;
  if (!value.negative && magnitude <= UINT64_MAX) return out.unsigned_integer(low_half(magnitude));
  if (value.negative && magnitude <= U128{1} << 63U) {
    return out.signed_integer(static_cast<std::int64_t>(std::uint64_t{0} - low_half(magnitude)));
  }
  out.big_integer(value);
}

template <class In>
static bool read_array(In& in, JsonValue& value) {
  Sequence sequence;
  if (!in.enter_array(sequence)) return false;
  JsonValue::Array items;
  while (in.next_item(sequence)) {
    if (!Codec<JsonValue>::read(in, items.emplace_back())) return in.in_index(items.size() - 1);
  }
  value = JsonValue(std::move(items));
  return !in.failed();
}

template <class In>
static bool read_object(In& in, JsonValue& value) {
  Sequence sequence;
  if (!in.enter_map(sequence)) return false;
  JsonValue::Object members;
  std::string_view key;
  while (in.next_key_text(sequence, key)) {
    JsonMember& member = members.emplace_back(JsonMember{std::string(key), JsonValue()});
    if (!Codec<JsonValue>::read(in, member.value)) return in.in_key(member.key);
  }
  if (in.failed()) return false;
  value = JsonValue(std::move(members));
  return true;
}

static bool read_binary(msgpack::Reader& in, Kind kind, JsonValue& value) {
  if (kind == Kind::bytes) {
    Bytes bytes;
    if (!in.read_bytes(bytes)) return false;
    value = JsonValue(to_base64(bytes));
    return true;
  }
  std::int8_t type = 0;
  ByteSpan data;
  if (!in.read_extension(type, data)) return false;
  JsonValue::Object members;
  members.push_back({"type", JsonValue(std::int64_t{type})});
  members.push_back({"data", JsonValue(to_base64(data))});
  value = JsonValue(std::move(members));
  return true;
}

}  // namespace json_value_detail

JsonValue::JsonValue() noexcept = default;
JsonValue::JsonValue(const JsonValue& other) = default;
JsonValue::JsonValue(JsonValue&& other) noexcept = default;
JsonValue& JsonValue::operator=(const JsonValue& other) = default;
JsonValue& JsonValue::operator=(JsonValue&& other) noexcept = default;
JsonValue::~JsonValue() = default;
JsonValue::JsonValue(bool value) : data_(value) {}
JsonValue::JsonValue(std::uint64_t value) : data_(BigInteger{value, false}) {}
JsonValue::JsonValue(BigInteger value) : data_(value) {}
JsonValue::JsonValue(double value) : data_(value) {}
JsonValue::JsonValue(std::string value) : data_(std::move(value)) {}
JsonValue::JsonValue(std::string_view value) : data_(std::string(value)) {}
JsonValue::JsonValue(const char* value) : data_(std::string(value)) {}
JsonValue::JsonValue(Array value) : data_(std::move(value)) {}

JsonValue::JsonValue(std::int64_t value)
    : data_(BigInteger{value < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value)
                                 : static_cast<std::uint64_t>(value),
                       value < 0}) {}

JsonValue::JsonValue(Object value) {
  json_value_detail::keep_last(value);
  data_ = std::move(value);
}

Kind JsonValue::kind() const noexcept {
  constexpr Kind kinds[] = {Kind::nil,    Kind::boolean, Kind::integer, Kind::real,
                            Kind::string, Kind::array,   Kind::map};
  return kinds[data_.index()];
}

std::optional<std::int64_t> JsonValue::to_int64() const noexcept {
  const BigInteger* integer = if_integer();
  if (integer == nullptr) return std::nullopt;
  const std::uint64_t bits = low_half(integer->magnitude);
  const std::uint64_t max =
      static_cast<std::uint64_t>(INT64_MAX) + std::uint64_t{integer->negative};
  if (integer->magnitude > max) return std::nullopt;
  return static_cast<std::int64_t>(integer->negative ? std::uint64_t{0} - bits : bits);
}

std::optional<double> JsonValue::to_double() const noexcept {
  if (const double* real = if_real()) return *real;
  const BigInteger* integer = if_integer();
  if (integer == nullptr) return std::nullopt;
  const auto magnitude = static_cast<double>(integer->magnitude);
  return integer->negative ? -magnitude : magnitude;
}

const JsonValue* JsonValue::find(std::string_view key) const noexcept {
  const Object* object = if_object();
  if (object == nullptr) return nullptr;
  for (const JsonMember& member : *object) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

void JsonValue::set(std::string_view key, JsonValue value) {
  auto* object = std::get_if<Object>(&data_);
  if (object == nullptr) object = &data_.emplace<Object>();
  for (JsonMember& member : *object) {
    if (member.key == key) {
      member.value = std::move(value);
      return;
    }
  }
  object->push_back({std::string(key), std::move(value)});
}

void JsonValue::push_back(JsonValue item) {
  auto* array = std::get_if<Array>(&data_);
  if (array == nullptr) array = &data_.emplace<Array>();
  array->push_back(std::move(item));
}

bool operator==(const JsonValue& a, const JsonValue& b) { return a.data_ == b.data_; }

template <class Out>
void Codec<JsonValue>::write(Out& out, const JsonValue& value) {
  if (const bool* flag = value.if_boolean()) {
    out.boolean(*flag);
  } else if (const BigInteger* integer = value.if_integer()) {
    json_value_detail::write_integer(out, *integer);
  } else if (const double* real = value.if_real()) {
    out.real(*real);
  } else if (const std::string* text = value.if_string()) {
    out.string(*text);
  } else if (const JsonValue::Array* items = value.if_array()) {
    out.begin_array(items->size());
    for (const JsonValue& item : *items) write(out, item);
    out.end_array();
  } else if (const JsonValue::Object* members = value.if_object()) {
    out.begin_map(members->size());
    for (const JsonMember& member : *members) {
      out.key(member.key);
      write(out, member.value);
    }
    out.end_map();
  } else {
    out.nil();
  }
}

template <class In>
bool Codec<JsonValue>::read(In& in, JsonValue& value) {
  const Kind kind = in.peek();
  bool flag = false;
  double real = 0;
  BigInteger integer;
  std::string_view text;
  switch (kind) {
    case Kind::boolean:
      if (!in.read_boolean(flag)) return false;
      value = JsonValue(flag);
      return true;
    case Kind::integer:
      if (!in.read_big_integer(integer, true)) return false;
      value = JsonValue(integer);
      return true;
    case Kind::real:
      if (!in.read_real(real)) return false;
      value = JsonValue(real);
      return true;
    case Kind::string:
      if (!in.read_string(text)) return false;
      value = JsonValue(text);
      return true;
    case Kind::array: return json_value_detail::read_array(in, value);
    case Kind::map: return json_value_detail::read_object(in, value);
    case Kind::bytes:
    case Kind::extension:
      if constexpr (!In::human_readable) return json_value_detail::read_binary(in, kind, value);
      break;
    default: break;
  }
  value = JsonValue();
  return in.read_nil();
}

template void Codec<JsonValue>::write(json::Writer&, const JsonValue&);
template void Codec<JsonValue>::write(msgpack::Writer&, const JsonValue&);
template bool Codec<JsonValue>::read(json::Reader&, JsonValue&);
template bool Codec<JsonValue>::read(msgpack::Reader&, JsonValue&);

Result<std::string> msgpack_to_json(ByteSpan data, JsonStyle style) {
  Result<JsonValue> value = from_msgpack<JsonValue>(data);
  if (!value) return value.error();
  return value->dump(style);
}

Result<Bytes> json_to_msgpack(std::string_view text) {
  Result<JsonValue> value = JsonValue::parse(text);
  if (!value) return value.error();
  return to_msgpack(*value);
}

}  // namespace velo::codec
