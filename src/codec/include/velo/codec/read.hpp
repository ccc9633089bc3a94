// SPDX-License-Identifier: Apache-2.0
// From the methods of a reader to C++ values: the per-type glue of decoding, the same for every
// format. Not a format; a reader (msgpack::Reader, json::Reader) is an Input with peek, try_nil,
// read_*, enter_*, next_*, skip.
// Threading: as the reader.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/codec/input.hpp>
#include <velo/codec/read_struct.hpp>
#include <velo/codec/traits.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace velo::codec {

namespace read_detail {

template <class T, class Wide, class In>
bool narrow(In& in, Wide wide, T& value) {
  if constexpr (sizeof(T) < sizeof(Wide)) {
    if (wide > static_cast<Wide>(std::numeric_limits<T>::max())) {
      return in.fail_out_of_range({static_cast<U128>(wide), false});
    }
    if constexpr (std::is_signed_v<Wide>) {
      if (wide < static_cast<Wide>(std::numeric_limits<T>::min())) {
        return in.fail_out_of_range({U128{0} - static_cast<U128>(wide), true});
      }
    }
  }
  value = static_cast<T>(wide);
  return true;
}

template <class In, class T>
bool read_number(In& in, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return in.read_boolean(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    static_assert(sizeof(T) <= sizeof(double), "long double has no encoding");
    double wide = 0;
    if (!in.read_real(wide)) return false;
    if (std::isfinite(wide) &&
        std::abs(wide) > static_cast<double>(std::numeric_limits<T>::max())) {
      return in.fail(Errc::out_of_range, "the number is too large for a float");
    }
    value = static_cast<T>(wide);
    return true;
  } else if constexpr (traits::BigInt<T>) {
    BigInteger big;
    if (!in.read_big_integer(big, std::is_same_v<T, I128>)) return false;
    if constexpr (std::is_same_v<T, U128>) {
      if (big.negative && big.magnitude != 0) return in.fail_out_of_range(big);
      value = big.magnitude;
    } else {
      if (!big.negative && big.magnitude >= BigInteger::negative_magnitude_max) {
        return in.fail_out_of_range(big);
      }
      value = static_cast<I128>(big.negative ? U128{0} - big.magnitude : big.magnitude);
    }
    return true;
  } else if constexpr (std::is_signed_v<T>) {
    std::int64_t wide = 0;
    return in.read_signed(wide) && narrow(in, wide, value);
  } else {
    std::uint64_t wide = 0;
    return in.read_unsigned(wide) && narrow(in, wide, value);
  }
}

template <class In>
bool read_enumerator(In& in, std::span<const traits::EnumEntry> entries, std::uint64_t& value) {
  if (in.peek() == Kind::integer) {
    BigInteger big;
    if (!in.read_big_integer(big, true)) return false;
    const std::uint64_t bits = low_half(big.negative ? U128{0} - big.magnitude : big.magnitude);
    for (const traits::EnumEntry& entry : entries) {
      if (entry.value == bits) return value = bits, true;
    }
    DecimalBuffer buffer;
    return in.fail_unknown_enumerator(to_decimal(big, buffer));
  }
  std::string_view name;
  if (!in.read_string(name)) return false;
  for (const traits::EnumEntry& entry : entries) {
    if (entry.name == name) return value = entry.value, true;
  }
  return in.fail_unknown_enumerator(name);
}

template <class In, class T>
bool read_enum(In& in, T& value) {
  if constexpr (DescribedEnum<T>) {
    std::uint64_t bits = 0;
    if (!read_enumerator(in, std::span<const traits::EnumEntry>(traits::enum_entries<T>), bits)) {
      return false;
    }
    value = static_cast<T>(bits);
  } else {
    std::underlying_type_t<T> number{};
    if (!read_number(in, number)) return false;
    value = static_cast<T>(number);
  }
  return true;
}

template <class In>
bool parse_id(In& in, std::string_view text, InstanceId& id) {
  Result<InstanceId> parsed = InstanceId::parse(text);
  if (!parsed) return in.fail(Errc::malformed, "not a UUID");
  id = *parsed;
  return true;
}

template <class In, class T>
bool read_id(In& in, T& id) {
  if constexpr (std::is_same_v<T, WorkerId>) {
    std::uint64_t number = 0;
    if (!in.read_unsigned(number)) return false;
    id = WorkerId(number);
  } else {
    if (in.peek() == Kind::string) {
      std::string_view text;
      return in.read_string(text) && parse_id(in, text, id);
    }
    std::array<std::uint8_t, 16> bytes;
    if (!in.read_bytes_exact(std::as_writable_bytes(std::span(bytes)))) return false;
    id = InstanceId(bytes);
  }
  return true;
}

/// Reads the next key of a map; false at its end too, as next_key.
template <class In, class Key>
bool next_key(In& in, Sequence& sequence, Key& key, bool& ok) {
  if constexpr (std::is_integral_v<Key>) {
    std::conditional_t<std::is_signed_v<Key>, std::int64_t, std::uint64_t> wide = 0;
    if (!in.next_key(sequence, wide)) return false;
    ok = narrow(in, wide, key);
  } else if constexpr (std::is_same_v<Key, WorkerId>) {
    std::uint64_t number = 0;
    if (!in.next_key(sequence, number)) return false;
    key = WorkerId(number);
  } else {
    std::string_view text;
    if (!in.next_key(sequence, text)) return false;
    if constexpr (std::is_same_v<Key, InstanceId>) {
      ok = parse_id(in, text, key);
    } else if constexpr (DescribedEnum<Key>) {
      const auto parsed = parse_enum<Key>(text);
      ok = parsed.has_value() || in.fail_unknown_enumerator(text);
      if (ok) key = *parsed;
    } else {
      key = Key(text);
    }
  }
  return true;
}

template <class In, class Key>
bool fail_in_key(In& in, const Key& key) {
  if constexpr (traits::Text<Key>) {
    return in.in_key(key);
  } else if constexpr (DescribedEnum<Key>) {
    return in.in_key(enum_name(key));
  } else if constexpr (std::is_integral_v<Key>) {
    return in.in_key(std::to_string(key));
  } else {
    return in.in_key(key.to_string());
  }
}

template <class In, class T>
bool read_map(In& in, T& map) {
  Sequence sequence;
  map.clear();
  if (!in.enter_map(sequence)) return false;
  typename T::key_type key{};
  bool ok = true;
  while (next_key(in, sequence, key, ok)) {
    if (!ok) return false;
    typename T::mapped_type item{};
    if (!read_value(in, item)) return fail_in_key(in, key);
    map.insert_or_assign(std::move(key), std::move(item));
    key = typename T::key_type{};
  }
  return !in.failed();
}

template <class In, class T>
bool read_range(In& in, T& range) {
  Sequence sequence;
  range.clear();
  if (!in.enter_array(sequence)) return false;
  if constexpr (requires { range.reserve(1); }) {
    range.reserve(In::reserve_count(sequence, sizeof(typename T::value_type)));
  }
  for (std::size_t i = 0; in.next_item(sequence); ++i) {
    if constexpr (traits::Set<T> || std::is_same_v<typename T::value_type, bool>) {
      typename T::value_type item{};
      if (!read_value(in, item)) return in.in_index(i);
      range.insert(range.end(), std::move(item));
    } else {
      if (!read_value(in, range.emplace_back())) return in.in_index(i);
    }
  }
  return !in.failed();
}

template <class In>
bool next_of(In& in, Sequence& sequence, std::size_t count) {
  if (in.next_item(sequence)) return true;
  return in.failed() ? false : in.fail_length(count);
}

template <class In>
bool ends_at(In& in, Sequence& sequence, std::size_t count) {
  if (in.next_item(sequence)) return in.fail_length(count);
  return !in.failed();
}

template <class In, class T>
bool read_array(In& in, T& array) {
  Sequence sequence;
  if (!in.enter_array(sequence)) return false;
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (!next_of(in, sequence, array.size())) return false;
    if (!read_value(in, array[i])) return in.in_index(i);
  }
  return ends_at(in, sequence, array.size());
}

template <class In, class T>
bool read_tuple(In& in, T& tuple) {
  constexpr std::size_t count = std::tuple_size_v<T>;
  Sequence sequence;
  if (!in.enter_array(sequence)) return false;
  const auto item = [&](std::size_t index, auto& value) {
    if (!next_of(in, sequence, count)) return false;
    return read_value(in, value) || in.in_index(index);
  };
  const bool read = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return (item(I, std::get<I>(tuple)) && ...);
  }(std::make_index_sequence<count>());
  return read && ends_at(in, sequence, count);
}

template <class In, class T>
bool read_variant(In& in, T& variant) {
  using Names = traits::Variant<T>;
  if constexpr (Names::has_monostate) {
    if (in.try_nil()) {
      variant = std::monostate();
      return true;
    }
  }
  Sequence sequence;
  std::string_view key;
  if (!in.enter_map(sequence)) return false;
  const auto not_one_entry = [&in] {
    return in.fail(Errc::wrong_type, "expected a map of one entry for the variant");
  };
  if (!in.next_key(sequence, key)) return in.failed() ? false : not_one_entry();
  std::size_t index = 0;
  while (index < Names::names.size() && Names::names[index] != key) ++index;
  if (index == Names::names.size()) return in.fail_unknown_enumerator(key);
  const auto alternative = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
    return I == index && read_value(in, variant.template emplace<I>());
  };
  const bool read = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return (alternative(std::integral_constant<std::size_t, I>()) || ...);
  }(std::make_index_sequence<std::variant_size_v<T>>());
  if (!read) return in.in_member(Names::names[index]);
  if (in.next_key(sequence, key)) return not_one_entry();
  return !in.failed();
}

template <class In, class T>
bool read_nullable(In& in, T& value) {
  if (in.try_nil()) {
    value.reset();
    return true;
  }
  if constexpr (traits::is_optional<T>) {
    return read_value(in, value.emplace());
  } else {
    value = std::make_unique<typename T::element_type>();
    return read_value(in, *value);
  }
}

template <class In, class T>
bool read_bytes(In& in, T& value) {
  if constexpr (traits::is_array<T>) {
    return in.read_bytes_exact(std::span<std::byte>(value));
  } else {
    return in.read_bytes(value);
  }
}

template <class In, class T>
concept Custom = requires(In& in, T& value) { Codec<T>::read(in, value); };

}  // namespace read_detail

/// False after a failure, which `in` keeps; `value` is then unspecified but valid.
template <class In, class T>
bool read_value(In& in, T& value) {
  using namespace read_detail;  // NOLINT(google-build-using-namespace): the helpers of this function
  if constexpr (Custom<In, T>) {
    return Codec<T>::read(in, value);
  } else if constexpr (Described<T>) {
    return read_struct<In>(in, &value, std::span<const FieldReader<In>>(field_readers<In, T>));
  } else if constexpr (std::is_same_v<T, WorkerId> || std::is_same_v<T, InstanceId>) {
    return read_id(in, value);
  } else if constexpr (std::is_enum_v<T>) {
    return read_enum(in, value);
  } else if constexpr (std::is_arithmetic_v<T> || traits::BigInt<T>) {
    return read_number(in, value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    std::string_view text;
    if (!in.read_string(text)) return false;
    value.assign(text);
    return true;
  } else if constexpr (traits::ByteString<T>) {
    return read_bytes(in, value);
  } else if constexpr (traits::Nullable<T>) {
    return read_nullable(in, value);
  } else if constexpr (traits::is_variant<T>) {
    return read_variant(in, value);
  } else if constexpr (std::is_same_v<T, std::monostate>) {
    return in.read_nil();
  } else if constexpr (traits::Duration<T>) {
    typename T::rep count{};
    if (!read_number(in, count)) return false;
    value = T(count);
    return true;
  } else if constexpr (traits::is_array<T>) {
    return read_array(in, value);
  } else if constexpr (traits::TupleLike<T>) {
    return read_tuple(in, value);
  } else if constexpr (traits::Map<T>) {
    return read_map(in, value);
  } else {
    static_assert(traits::Range<T> && !traits::Text<T>,
                  "no decoding: add VELO_DESCRIBE, or specialise velo::codec::Codec");
    return read_range(in, value);
  }
}

}  // namespace velo::codec
