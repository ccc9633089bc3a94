// SPDX-License-Identifier: Apache-2.0
// Which kind of value a C++ type is: the questions that write.hpp and read.hpp ask.
// Not an extension point; that is Codec<T> below.
// Threading: compile time only.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/codec/describe.hpp>
#include <velo/codec/int128.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace velo::codec {

/// Specialise for a type that is not a described struct: `template <class Out> static void
/// write(Out&, const T&)` and `template <class In> static bool read(In&, T&)`, in terms of the
/// methods of the writers and readers.
template <class T>
struct Codec;

namespace traits {

template <class T>
inline constexpr bool is_variant = false;
template <class... Alternatives>
inline constexpr bool is_variant<std::variant<Alternatives...>> = true;

template <class T>
inline constexpr bool is_array = false;
template <class T, std::size_t Count>
inline constexpr bool is_array<std::array<T, Count>> = true;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
inline constexpr bool is_unique_pointer = false;
template <class T>
inline constexpr bool is_unique_pointer<std::unique_ptr<T>> = true;

/// A value or nothing: absent members of such types are empty, not missing.
template <class T>
concept Nullable = is_optional<T> || is_unique_pointer<T>;

template <class T>
concept BigInt = std::same_as<T, U128> || std::same_as<T, I128>;

template <class T>
concept Text = std::is_convertible_v<const T&, std::string_view>;

/// Byte strings: their element is std::byte, never a small integer.
template <class T>
concept ByteString = std::same_as<T, Bytes> || (requires { typename T::value_type; } &&
                                                std::same_as<typename T::value_type, std::byte> &&
                                                std::is_convertible_v<const T&, ByteSpan>);

template <class T>
concept Duration = requires(const T& value) {
  typename T::rep;
  typename T::period;
  value.count();
};

template <class T>
concept TupleLike = !is_array<T> && requires { std::tuple_size<T>::value; };

template <class T>
concept Map = requires {
  typename T::key_type;
  typename T::mapped_type;
};

template <class T>
concept Set = !Map<T> && requires(T& value) {
  typename T::key_type;
  value.insert(std::declval<typename T::key_type>());
};

template <class T>
concept Range = requires(const T& value) {
  typename T::value_type;
  value.begin();
  value.end();
  value.size();
};

/// Iterates in an order that depends on hashing; written in the order of its keys instead.
template <class T>
concept Hashed = requires { typename T::hasher; };

inline constexpr std::size_t variant_alternatives_max = 32;

/// The key under which an alternative is written: its described name, or else its decimal index.
template <class T>
constexpr std::string_view alternative_name(std::size_t index) {
  constexpr std::array<std::string_view, variant_alternatives_max> decimal{
      "0",  "1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",  "10",
      "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21",
      "22", "23", "24", "25", "26", "27", "28", "29", "30", "31"};
  if constexpr (Described<T>) {
    return type_info<T>().name;
  } else {
    return decimal[index];
  }
}

template <class T>
struct Variant;

template <class... Alternatives>
struct Variant<std::variant<Alternatives...>> {
  static_assert(sizeof...(Alternatives) <= variant_alternatives_max);
  static constexpr bool has_monostate = (std::same_as<Alternatives, std::monostate> || ...);

  static constexpr auto make_names() {
    std::size_t index = 0;
    return std::array<std::string_view, sizeof...(Alternatives)>{
        alternative_name<Alternatives>(index++)...};
  }
  static constexpr bool distinct() {
    constexpr auto all = make_names();
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (all[i] == all[j]) return false;
      }
    }
    return true;
  }
  static_assert(distinct(), "two alternatives of this variant have the same described name");
  static constexpr auto names = make_names();
};

/// An enumerator with its value widened to 64 bits, so that the search needs no template.
struct EnumEntry {
  std::string_view name;
  std::uint64_t value;
};

template <class E>
inline constexpr auto enum_entries = velo_describe_enum(Tag<E>{}, [](TypeInfo, auto... items) {
  return std::array<EnumEntry, sizeof...(items)>{
      {EnumEntry{items.name, static_cast<std::uint64_t>(items.value)}...}};
});

}  // namespace traits
}  // namespace velo::codec
