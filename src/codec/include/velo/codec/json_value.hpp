// SPDX-License-Identifier: Apache-2.0
// A JSON document whose shape is not known in advance, for tools that print or edit what others
// sent. Not for the hot path: a typed struct needs no tree.
// Threading: value type.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/codec/input.hpp>
#include <velo/codec/int128.hpp>
#include <velo/codec/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace velo::codec {

struct JsonMember;

class JsonValue {
 public:
  using Array = std::vector<JsonValue>;
  /// In document order, keys distinct.
  using Object = std::vector<JsonMember>;

  JsonValue() noexcept;
  JsonValue(const JsonValue& other);
  JsonValue(JsonValue&& other) noexcept;
  JsonValue& operator=(const JsonValue& other);
  JsonValue& operator=(JsonValue&& other) noexcept;
  ~JsonValue();
  explicit JsonValue(bool value);
  explicit JsonValue(std::int64_t value);
  explicit JsonValue(std::uint64_t value);
  explicit JsonValue(BigInteger value);
  explicit JsonValue(double value);
  explicit JsonValue(std::string value);
  explicit JsonValue(std::string_view value);
  explicit JsonValue(const char* value);
  explicit JsonValue(Array value);
  /// Of duplicate keys the last is kept.
  explicit JsonValue(Object value);

  static Result<JsonValue> parse(std::string_view text) { return from_json<JsonValue>(text); }
  std::string dump(JsonStyle style = JsonStyle::compact) const { return to_json(*this, style); }

  Kind kind() const noexcept;
  bool is_null() const noexcept { return kind() == Kind::nil; }
  // Null where the value is of another kind.
  const bool* if_boolean() const noexcept { return std::get_if<bool>(&data_); }
  const BigInteger* if_integer() const noexcept { return std::get_if<BigInteger>(&data_); }
  const double* if_real() const noexcept { return std::get_if<double>(&data_); }
  const std::string* if_string() const noexcept { return std::get_if<std::string>(&data_); }
  const Array* if_array() const noexcept { return std::get_if<Array>(&data_); }
  const Object* if_object() const noexcept { return std::get_if<Object>(&data_); }
  Array* if_array() noexcept { return std::get_if<Array>(&data_); }
  /// Empty also for an integer outside the range of int64.
  std::optional<std::int64_t> to_int64() const noexcept;
  /// Integers too, rounded.
  std::optional<double> to_double() const noexcept;

  /// The member called `key` of an object; null if there is none or this is no object.
  const JsonValue* find(std::string_view key) const noexcept;
  /// Adds or replaces a member; a value that is not an object becomes one.
  void set(std::string_view key, JsonValue value);
  /// Appends an item; a value that is not an array becomes one.
  void push_back(JsonValue item);

  friend bool operator==(const JsonValue& a, const JsonValue& b);

 private:
  std::variant<std::monostate, bool, BigInteger, double, std::string, Array, Object> data_;
};

struct JsonMember {
  std::string key;
  JsonValue value;

  friend bool operator==(const JsonMember&, const JsonMember&) = default;
};

/// A JsonValue is itself in every format. From MessagePack, bytes become base64, an extension
/// {"type", "data"}.
template <>
struct Codec<JsonValue> {
  template <class Out>
  static void write(Out& out, const JsonValue& value);
  template <class In>
  static bool read(In& in, JsonValue& value);
};

/// Compact JSON of any MessagePack value whose map keys are strings or integers.
Result<std::string> msgpack_to_json(ByteSpan data, JsonStyle style = JsonStyle::compact);

/// Integers beyond 64 bits become `bin` of 16 bytes, as msgpack::Writer::big_integer.
Result<Bytes> json_to_msgpack(std::string_view text);

}  // namespace velo::codec

namespace velo {
using codec::json_to_msgpack;
using codec::JsonValue;
using codec::msgpack_to_json;
}  // namespace velo
