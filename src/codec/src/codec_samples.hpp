// SPDX-License-Identifier: Apache-2.0
// Types of every encodable kind, for this room's tests.
// Threading: value types.
#pragma once

#include <velo/base/ids.hpp>
#include <velo/codec/describe.hpp>
#include <velo/codec/int128.hpp>
#include <velo/codec/int_array_bytes.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace velo::codec::samples {

enum class Color : std::uint8_t { red, green, blue = 7 };
VELO_DESCRIBE_ENUM(Color, red, green, blue);

enum class Plain : std::int16_t { none = 0, below = -5, above = 300 };

struct Circle {
  double radius = 0;
  friend bool operator==(const Circle&, const Circle&) = default;
};
VELO_DESCRIBE(Circle, radius);

struct Square {
  std::int32_t side = 0;
  friend bool operator==(const Square&, const Square&) = default;
};
VELO_DESCRIBE(Square, side);

struct Empty {
  friend bool operator==(const Empty&, const Empty&) = default;
};
VELO_DESCRIBE(Empty);

using Shape = std::variant<std::monostate, Circle, Square, std::string, std::int64_t>;

struct Peer {
  std::string name;
  std::uint16_t port = 0;
  std::optional<std::string> zone;
  friend bool operator==(const Peer&, const Peer&) = default;
};
VELO_DESCRIBE(Peer, name, port, zone);

struct Settings {
  std::uint32_t retries = 3;
  std::string mode = "fast";
  std::vector<Peer> peers;
  friend bool operator==(const Settings&, const Settings&) = default;
};
VELO_DESCRIBE_DEFAULTS(Settings, retries, mode, peers);

struct Derived : Peer {
  bool extra = false;
  friend bool operator==(const Derived&, const Derived&) = default;
};
VELO_DESCRIBE(Derived, name, port, zone, extra);

/// Private members and a template, described inside.
template <class T>
class Page {
 public:
  Page() = default;
  explicit Page(std::vector<T> items) : items_(std::move(items)) {}
  const std::vector<T>& items() const { return items_; }

 private:
  std::vector<T> items_;
  VELO_DESCRIBE_INSIDE(Page, items_);
};

struct Tree {
  std::int32_t value = 0;
  std::unique_ptr<Tree> left;
  std::vector<Tree> others;
};
VELO_DESCRIBE(Tree, value, left, others);

struct Everything {
  bool flag = false;
  std::int8_t i8 = 0;
  std::int16_t i16 = 0;
  std::int32_t i32 = 0;
  std::int64_t i64 = 0;
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  U128 u128 = 0;
  I128 i128 = 0;
  float f32 = 0;
  double f64 = 0;
  std::string text;
  Bytes bytes;
  std::vector<std::byte> byte_vector;
  std::array<std::byte, 4> byte_array{};
  IntArrayBytes int_bytes;
  std::optional<std::int32_t> some;
  std::optional<std::int32_t> none;
  std::unique_ptr<std::string> pointer;
  std::vector<Peer> peers;
  std::vector<bool> bits;
  std::set<std::string> names;
  std::map<std::string, std::vector<std::int32_t>> by_name;
  std::map<std::int32_t, std::string> by_number;
  std::map<Color, std::uint8_t> by_color;
  std::map<WorkerId, std::string> by_worker;
  std::map<InstanceId, std::string> by_instance;
  std::unordered_map<std::string, std::uint64_t> hashed;
  Color color = Color::red;
  Plain plain = Plain::none;
  std::vector<Shape> shapes;
  std::pair<std::int32_t, std::string> pair;
  std::tuple<bool, double, Peer> tuple;
  std::array<std::uint16_t, 3> triple{};
  std::chrono::milliseconds pause{};
  std::chrono::duration<double> seconds{};
  InstanceId instance;
  WorkerId worker;
  Empty empty;

  auto fields() const {
    return std::tuple_cat(
        std::tie(flag, i8, i16, i32, i64, u8, u16, u32, u64, u128, i128, f32, f64, text, bytes),
        std::tie(byte_vector, byte_array, int_bytes, some, none, peers, bits, names, by_name,
                 by_number, by_color, by_worker, by_instance, hashed, color, plain, shapes, pair),
        std::tie(tuple, triple, pause, seconds, instance, worker, empty));
  }
  friend bool operator==(const Everything& a, const Everything& b) {
    return a.fields() == b.fields() && *a.pointer == *b.pointer;
  }
};
VELO_DESCRIBE(Everything, flag, i8, i16, i32, i64, u8, u16, u32, u64, u128, i128, f32, f64, text,
              bytes, byte_vector, byte_array, int_bytes, some, none, pointer, peers, bits, names,
              by_name, by_number, by_color, by_worker, by_instance, hashed, color, plain, shapes,
              pair, tuple, triple, pause, seconds, instance, worker, empty);

inline InstanceId sample_id() {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 17);
  return InstanceId(bytes);
}

inline Everything everything() {
  Everything all;
  all.flag = true;
  all.i8 = std::numeric_limits<std::int8_t>::min();
  all.i16 = -1000;
  all.i32 = -100000;
  all.i64 = std::numeric_limits<std::int64_t>::min();
  all.u8 = 255;
  all.u16 = 65535;
  all.u32 = 4'000'000'000;
  all.u64 = std::numeric_limits<std::uint64_t>::max();
  all.u128 = u128_from_halves(0x0123456789abcdef, 0xfedcba9876543210);
  all.i128 = -static_cast<I128>(u128_from_halves(1, 2));
  all.f32 = 1.5F;
  all.f64 = -0.1;
  all.text = "gr\xc3\xbc\xc3\x9f dich \"\\\n\x01";
  all.bytes = Bytes::copy("\x00\xff\x80 raw");
  all.byte_vector = {std::byte{1}, std::byte{200}};
  all.byte_array = {std::byte{9}, std::byte{8}, std::byte{7}, std::byte{6}};
  all.int_bytes = {Bytes::copy("\x7f\x80")};
  all.some = -7;
  all.pointer = std::make_unique<std::string>("pointed at");
  all.peers = {{"a", 1, "z1"}, {"b", 65535, std::nullopt}};
  all.bits = {true, false, true};
  all.names = {"x", "y"};
  all.by_name = {{"", {}}, {"n", {1, -2, 300}}};
  all.by_number = {{-5, "minus"}, {70000, "large"}};
  all.by_color = {{Color::blue, 1}};
  all.by_worker = {{WorkerId(17), "seventeen"}};
  all.by_instance = {{sample_id(), "me"}};
  all.hashed = {{"one", 1}, {"two", 2}, {"three", 3}};
  all.color = Color::blue;
  all.plain = Plain::below;
  all.shapes = {Circle{2.5}, Square{-3}, std::string("text"), std::int64_t{42}, std::monostate()};
  all.pair = {5, "five"};
  all.tuple = {true, 0.25, Peer{"t", 2, std::nullopt}};
  all.triple = {1, 2, 3};
  all.pause = std::chrono::milliseconds(1500);
  all.seconds = std::chrono::duration<double>(0.125);
  all.instance = sample_id();
  all.worker = WorkerId(0xffffffffffffffff);
  return all;
}

}  // namespace velo::codec::samples
