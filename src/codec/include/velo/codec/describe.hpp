// SPDX-License-Identifier: Apache-2.0
// Reflection of plain structs and enumerations by one macro, for every format of this room.
//   struct Point { int x = 0; std::optional<std::string> label; };
//   VELO_DESCRIBE(Point, x, label);
// Not a serializer: names and member pointers only, found by argument-dependent lookup.
// Threading: compile time only.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>

namespace velo::codec {

/// Names a type to velo_describe; converts to nothing, so a derived type is not taken for its
/// described base.
template <class T>
struct Tag {};

struct TypeInfo {
  std::string_view name;  ///< without namespaces
  bool defaults;          ///< absent members keep the value of a default-constructed object
};

/// One described member; its pointer is part of the type.
template <auto Pointer>
struct Field {
  static constexpr auto pointer = Pointer;
  std::string_view name;
};

template <class E>
struct Enumerator {
  std::string_view name;
  E value;
};

namespace describe_detail {

struct Accept {
  template <class... Items>
  constexpr void operator()(TypeInfo /*type*/, Items... /*items*/) const {}
};

constexpr std::string_view unqualified(std::string_view name) noexcept {
  const std::size_t colons = name.rfind("::");
  return colons == std::string_view::npos ? name : name.substr(colons + 2);
}

}  // namespace describe_detail

/// A struct or class with VELO_DESCRIBE. Ask only after the macro: the answer is remembered.
template <class T>
concept Described =
    std::is_class_v<T> && requires { velo_describe(Tag<T>{}, describe_detail::Accept{}); };

/// An enumeration with VELO_DESCRIBE_ENUM.
template <class T>
concept DescribedEnum =
    std::is_enum_v<T> && requires { velo_describe_enum(Tag<T>{}, describe_detail::Accept{}); };

template <Described T>
constexpr TypeInfo type_info() {
  return velo_describe(Tag<T>{}, [](TypeInfo type, auto...) { return type; });
}

/// Empty for a value without a described name.
template <DescribedEnum E>
constexpr std::string_view enum_name(E value) {
  return velo_describe_enum(Tag<E>{}, [value](TypeInfo, auto... items) {
    std::string_view name;
    static_cast<void>(((items.value == value && (name = items.name, true)) || ...));
    return name;
  });
}

template <DescribedEnum E>
constexpr std::optional<E> parse_enum(std::string_view name) {
  return velo_describe_enum(Tag<E>{}, [name](TypeInfo, auto... items) {
    std::optional<E> value;
    static_cast<void>(((items.name == name && (value = items.value, true)) || ...));
    return value;
  });
}

}  // namespace velo::codec

// Applies macro(fixed, item) to each item, at most 256 of them.
#define VELO_DETAIL_PARENS ()
#define VELO_DETAIL_EXPAND1(...) __VA_ARGS__
#define VELO_DETAIL_EXPAND2(...) \
  VELO_DETAIL_EXPAND1(VELO_DETAIL_EXPAND1(VELO_DETAIL_EXPAND1(VELO_DETAIL_EXPAND1(__VA_ARGS__))))
#define VELO_DETAIL_EXPAND3(...) \
  VELO_DETAIL_EXPAND2(VELO_DETAIL_EXPAND2(VELO_DETAIL_EXPAND2(VELO_DETAIL_EXPAND2(__VA_ARGS__))))
#define VELO_DETAIL_EXPAND4(...) \
  VELO_DETAIL_EXPAND3(VELO_DETAIL_EXPAND3(VELO_DETAIL_EXPAND3(VELO_DETAIL_EXPAND3(__VA_ARGS__))))
#define VELO_DETAIL_EXPAND(...) \
  VELO_DETAIL_EXPAND4(VELO_DETAIL_EXPAND4(VELO_DETAIL_EXPAND4(VELO_DETAIL_EXPAND4(__VA_ARGS__))))
#define VELO_DETAIL_EACH(macro, fixed, ...) \
  __VA_OPT__(VELO_DETAIL_EXPAND(VELO_DETAIL_EACH_STEP(macro, fixed, __VA_ARGS__)))
#define VELO_DETAIL_EACH_STEP(macro, fixed, first, ...) \
  macro(fixed, first)                                   \
      __VA_OPT__(VELO_DETAIL_EACH_AGAIN VELO_DETAIL_PARENS(macro, fixed, __VA_ARGS__))
#define VELO_DETAIL_EACH_AGAIN() VELO_DETAIL_EACH_STEP

#define VELO_DETAIL_FIELD(Type, member) \
  , ::velo::codec::Field<&Type::member> { #member }
#define VELO_DETAIL_ENUMERATOR(Type, enumerator) \
  , ::velo::codec::Enumerator<Type> { #enumerator, Type::enumerator }

#define VELO_DETAIL_DESCRIBE(function, specifiers, item, Type, defaults, ...)                  \
  template <class VeloVisitor>                                                                 \
  specifiers constexpr auto function(::velo::codec::Tag<Type>, VeloVisitor&& visit) {          \
    return visit(::velo::codec::TypeInfo{::velo::codec::describe_detail::unqualified(#Type),   \
                                         defaults} VELO_DETAIL_EACH(item, Type, __VA_ARGS__)); \
  }                                                                                            \
  static_assert(true)

/// VELO_DESCRIBE(Type, member...); at namespace scope, in the type's namespace, after its
/// definition. At most 64 members, inherited ones included. An absent member that is not optional
/// is an error.
#define VELO_DESCRIBE(Type, ...) \
  VELO_DETAIL_DESCRIBE(velo_describe, , VELO_DETAIL_FIELD, Type, false, __VA_ARGS__)

/// The same, but absent members keep the value that the default constructor gave them.
#define VELO_DESCRIBE_DEFAULTS(Type, ...) \
  VELO_DETAIL_DESCRIBE(velo_describe, , VELO_DETAIL_FIELD, Type, true, __VA_ARGS__)

/// VELO_DESCRIBE for inside the class: private members, class templates.
#define VELO_DESCRIBE_INSIDE(Type, ...) \
  VELO_DETAIL_DESCRIBE(velo_describe, friend, VELO_DETAIL_FIELD, Type, false, __VA_ARGS__)

#define VELO_DESCRIBE_INSIDE_DEFAULTS(Type, ...) \
  VELO_DETAIL_DESCRIBE(velo_describe, friend, VELO_DETAIL_FIELD, Type, true, __VA_ARGS__)

/// VELO_DESCRIBE_ENUM(Type, enumerator...); at namespace scope. Such an enumeration is encoded by
/// name.
#define VELO_DESCRIBE_ENUM(Type, ...) \
  VELO_DETAIL_DESCRIBE(velo_describe_enum, , VELO_DETAIL_ENUMERATOR, Type, false, __VA_ARGS__)
