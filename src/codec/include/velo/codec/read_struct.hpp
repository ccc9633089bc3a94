// SPDX-License-Identifier: Apache-2.0
// The part of read.hpp for described structs: a table of members per type, and one loop per format
// over it. Not to be included alone by users; read.hpp has the definition of read_value.
// Threading: as the reader.
#pragma once

#include <velo/codec/input.hpp>
#include <velo/codec/traits.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace velo::codec {

template <class In, class T>
bool read_value(In& in, T& value);

namespace read_detail {

inline constexpr std::size_t fields_max = 64;

template <class In>
struct FieldReader {
  std::string_view name;
  bool (*read)(In&, void*);
  bool required;
};

template <class In, class T, auto Pointer>
bool read_field(In& in, void* object) {
  return read_value(in, static_cast<T*>(object)->*Pointer);
}

template <class T, auto Pointer>
inline constexpr bool is_required =
    !traits::Nullable<std::remove_cvref_t<decltype(std::declval<T&>().*Pointer)>>;

template <class In, class T>
inline constexpr auto field_readers = velo_describe(Tag<T>{}, [](TypeInfo type, auto... fields) {
  static_assert(sizeof...(fields) <= fields_max, "a described type has at most 64 members");
  return std::array<FieldReader<In>, sizeof...(fields)>{
      {FieldReader<In>{fields.name, &read_field<In, T, decltype(fields)::pointer>,
                       !type.defaults && is_required<T, decltype(fields)::pointer>}...}};
});

/// The field called `name`; members usually come in the order in which they were described, so
/// `guess` is tried first.
template <class In>
std::size_t find_field(std::span<const FieldReader<In>> fields, std::size_t guess,
                       std::string_view name) {
  if (guess < fields.size() && fields[guess].name == name) return guess;
  std::size_t i = 0;
  while (i < fields.size() && fields[i].name != name) ++i;
  return i;
}

template <class In>
bool check_missing(In& in, std::span<const FieldReader<In>> fields, std::uint64_t seen) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].required && ((seen >> i) & 1U) == 0)
      return in.fail_missing_member(fields[i].name);
  }
  return true;
}

/// A struct written as an array of its members in order, as the public velo's MessagePack has them.
template <class In>
bool read_positional(In& in, void* object, std::span<const FieldReader<In>> fields) {
  Sequence sequence;
  if (!in.enter_array(sequence)) return false;
  std::uint64_t seen = 0;
  for (std::size_t i = 0; in.next_item(sequence); ++i) {
    if (i >= fields.size()) {
      if (!in.skip()) return in.in_index(i);
    } else if (!fields[i].read(in, object)) {
      return in.in_member(fields[i].name);
    } else {
      seen |= std::uint64_t{1} << i;
    }
  }
  return !in.failed() && check_missing(in, fields, seen);
}

template <class In>
bool read_struct(In& in, void* object, std::span<const FieldReader<In>> fields) {
  if constexpr (!In::human_readable) {
    if (in.peek() == Kind::array) return read_positional(in, object, fields);
  }
  Sequence sequence;
  if (!in.enter_map(sequence)) return false;
  std::uint64_t seen = 0;
  std::size_t next = 0;
  std::string_view name;
  while (in.next_key(sequence, name)) {
    const std::size_t i = find_field(fields, next, name);
    if (i == fields.size()) {
      if (!in.skip()) return false;
      continue;
    }
    if (!fields[i].read(in, object)) return in.in_member(fields[i].name);
    seen |= std::uint64_t{1} << i;
    next = i + 1;
  }
  return !in.failed() && check_missing(in, fields, seen);
}

}  // namespace read_detail
}  // namespace velo::codec
