// SPDX-License-Identifier: Apache-2.0
// From C++ values to the methods of a writer: the per-type glue of encoding, the same for every
// format. Not a format; a writer (msgpack::Writer, json::Writer) supplies nil, boolean,
// signed_integer, unsigned_integer, big_integer, real, string, bytes, begin/end_array,
// begin/end_map, key, and human_readable.
// Threading: as the writer.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/codec/traits.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace velo::codec {

template <class Out, class T>
void write_value(Out& out, const T& value);

namespace write_detail {

template <class Out>
struct FieldWriter {
  std::string_view name;
  void (*write)(Out&, const void*);
};

template <class Out, class T, auto Pointer>
void write_field(Out& out, const void* object) {
  write_value(out, static_cast<const T*>(object)->*Pointer);
}

template <class Out, class T>
inline constexpr auto field_writers = velo_describe(Tag<T>{}, [](TypeInfo, auto... fields) {
  return std::array<FieldWriter<Out>, sizeof...(fields)>{
      {FieldWriter<Out>{fields.name, &write_field<Out, T, decltype(fields)::pointer>}...}};
});

template <class Out>
void write_struct(Out& out, const void* object, std::span<const FieldWriter<Out>> fields) {
  out.begin_map(fields.size());
  for (const FieldWriter<Out>& field : fields) {
    out.key(field.name);
    field.write(out, object);
  }
  out.end_map();
}

template <class Out, class Key>
void write_key(Out& out, const Key& key) {
  if constexpr (std::is_same_v<Key, WorkerId>) {
    out.key(key.value());
  } else if constexpr (std::is_same_v<Key, InstanceId>) {
    out.key(std::string_view(key.to_string()));
  } else if constexpr (DescribedEnum<Key>) {
    out.key(enum_name(key));
  } else if constexpr (traits::Text<Key>) {
    out.key(std::string_view(key));
  } else {
    static_assert(
        std::is_integral_v<Key> && !std::is_same_v<Key, bool>,
        "the keys of an encoded map are strings, integers, ids or described enumerations");
    if constexpr (std::is_signed_v<Key>) {
      out.key(static_cast<std::int64_t>(key));
    } else {
      out.key(static_cast<std::uint64_t>(key));
    }
  }
}

template <class T>
auto in_key_order(const T& container) {
  std::vector<const typename T::value_type*> items;
  items.reserve(container.size());
  for (const auto& item : container) items.push_back(&item);
  std::sort(items.begin(), items.end(), [](const auto* a, const auto* b) {
    if constexpr (traits::Map<T>) {
      return a->first < b->first;
    } else {
      return *a < *b;
    }
  });
  return items;
}

template <class Out, class T>
void write_map(Out& out, const T& map) {
  out.begin_map(map.size());
  const auto entry = [&out](const auto& item) {
    write_key(out, item.first);
    write_value(out, item.second);
  };
  if constexpr (traits::Hashed<T>) {
    for (const auto* item : in_key_order(map)) entry(*item);
  } else {
    for (const auto& item : map) entry(item);
  }
  out.end_map();
}

template <class Out, class T>
void write_range(Out& out, const T& range) {
  using Item = typename T::value_type;
  out.begin_array(range.size());
  if constexpr (traits::Set<T> && traits::Hashed<T>) {
    for (const auto* item : in_key_order(range)) write_value(out, *item);
  } else if constexpr (std::is_same_v<Item, bool>) {
    for (const bool item : range) out.boolean(item);
  } else {
    for (const Item& item : range) write_value(out, item);
  }
  out.end_array();
}

template <class Out, class T>
void write_tuple(Out& out, const T& tuple) {
  out.begin_array(std::tuple_size_v<T>);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (write_value(out, std::get<I>(tuple)), ...);
  }(std::make_index_sequence<std::tuple_size_v<T>>());
  out.end_array();
}

template <class Out, class T>
void write_variant(Out& out, const T& variant) {
  const auto alternative = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
    if (variant.index() != I) return false;
    if constexpr (std::is_same_v<std::variant_alternative_t<I, T>, std::monostate>) {
      out.nil();
    } else {
      out.begin_map(1);
      out.key(traits::Variant<T>::names[I]);
      write_value(out, *std::get_if<I>(&variant));
      out.end_map();
    }
    return true;
  };
  const bool written = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return (alternative(std::integral_constant<std::size_t, I>()) || ...);
  }(std::make_index_sequence<std::variant_size_v<T>>());
  if (!written) out.nil();
}

template <class Out, class T>
void write_integer(Out& out, T value) {
  if constexpr (std::is_signed_v<T>) {
    out.signed_integer(value);
  } else {
    out.unsigned_integer(value);
  }
}

template <class Out, class T>
void write_number(Out& out, T value) {
  if constexpr (std::is_same_v<T, bool>) {
    out.boolean(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    static_assert(sizeof(T) <= sizeof(double), "long double has no encoding");
    out.real(value);
  } else if constexpr (std::is_same_v<T, U128>) {
    out.big_integer(BigInteger{value, false});
  } else if constexpr (std::is_same_v<T, I128>) {
    const U128 bits = static_cast<U128>(value);
    out.big_integer(value < 0 ? BigInteger{U128{0} - bits, true} : BigInteger{bits, false});
  } else {
    write_integer(out, value);
  }
}

template <class Out, class T>
void write_enum(Out& out, T value) {
  if constexpr (DescribedEnum<T>) {
    const std::string_view name = enum_name(value);
    if (!name.empty()) return out.string(name);
  }
  write_integer(out, static_cast<std::underlying_type_t<T>>(value));
}

template <class Out, class T>
void write_id(Out& out, const T& id) {
  if constexpr (std::is_same_v<T, WorkerId>) {
    out.unsigned_integer(id.value());
  } else if constexpr (Out::human_readable) {
    out.string(id.to_string());
  } else {
    out.bytes(std::as_bytes(std::span(id.bytes())));
  }
}

template <class Out, class T>
concept Custom = requires(Out& out, const T& value) { Codec<T>::write(out, value); };

}  // namespace write_detail

/// Writes one value. What each kind of type becomes is listed in the room's README.
template <class Out, class T>
void write_value(Out& out, const T& value) {
  using namespace write_detail;  // NOLINT(google-build-using-namespace): the helpers of this function
  if constexpr (Custom<Out, T>) {
    Codec<T>::write(out, value);
  } else if constexpr (Described<T>) {
    write_struct<Out>(out, &value, std::span<const FieldWriter<Out>>(field_writers<Out, T>));
  } else if constexpr (std::is_same_v<T, WorkerId> || std::is_same_v<T, InstanceId>) {
    write_id(out, value);
  } else if constexpr (std::is_enum_v<T>) {
    write_enum(out, value);
  } else if constexpr (std::is_arithmetic_v<T> || traits::BigInt<T>) {
    write_number(out, value);
  } else if constexpr (traits::Text<T>) {
    out.string(std::string_view(value));
  } else if constexpr (traits::ByteString<T>) {
    out.bytes(ByteSpan(value));
  } else if constexpr (traits::Nullable<T>) {
    if (value) {
      write_value(out, *value);
    } else {
      out.nil();
    }
  } else if constexpr (traits::is_variant<T>) {
    write_variant(out, value);
  } else if constexpr (std::is_same_v<T, std::monostate>) {
    out.nil();
  } else if constexpr (traits::Duration<T>) {
    write_number(out, value.count());
  } else if constexpr (traits::TupleLike<T>) {
    write_tuple(out, value);
  } else if constexpr (traits::Map<T>) {
    write_map(out, value);
  } else {
    static_assert(traits::Range<T>,
                  "no encoding: add VELO_DESCRIBE, or specialise velo::codec::Codec");
    write_range(out, value);
  }
}

}  // namespace velo::codec
