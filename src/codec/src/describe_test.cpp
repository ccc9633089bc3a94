// SPDX-License-Identifier: Apache-2.0
// What VELO_DESCRIBE promises, apart from any format.

#include <velo/codec/describe.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "codec_samples.hpp"

namespace velo::codec::describe_test {

struct Wide {
  int a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, b0, b1, b2, b3, b4, b5, b6, b7, b8, b9;
  int c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, d0, d1, d2, d3, d4, d5, d6, d7, d8, d9;
  int e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, g0, g1, g2,
      g3;
};
VELO_DESCRIBE(Wide, a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, b0, b1, b2, b3, b4, b5, b6, b7, b8, b9,
              c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, e0,
              e1, e2, e3, e4, e5, e6, e7, e8, e9, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, g0, g1,
              g2, g3);

struct NotDescribed : samples::Peer {};

template <class T>
static std::vector<std::string> member_names() {
  return velo_describe(Tag<T>{}, [](TypeInfo, auto... fields) {
    return std::vector<std::string>{std::string(fields.name)...};
  });
}

TEST(Describe, ListsTheMembersInTheGivenOrder) {
  EXPECT_EQ(member_names<samples::Peer>(), (std::vector<std::string>{"name", "port", "zone"}));
  EXPECT_TRUE(member_names<samples::Empty>().empty());
}

TEST(Describe, HoldsSixtyFourMembers) {
  const auto names = member_names<Wide>();
  ASSERT_EQ(names.size(), 64U);
  EXPECT_EQ(names.back(), "g3");
}

TEST(Describe, NamesTheTypeWithoutItsNamespaces) {
  EXPECT_EQ(type_info<samples::Circle>().name, "Circle");
  EXPECT_EQ(describe_detail::unqualified("a::b::C"), "C");
}

TEST(Describe, DoesNotTakeADerivedTypeForItsDescribedBase) {
  static_assert(Described<samples::Peer>);
  static_assert(!Described<NotDescribed>);
  static_assert(Described<samples::Derived>);
  static_assert(!Described<int>);
}

TEST(Describe, ReachesPrivateMembersAndTemplatesFromInside) {
  EXPECT_EQ(member_names<samples::Page<int>>(), (std::vector<std::string>{"items_"}));
}

TEST(Describe, NamesEnumeratorsBothWays) {
  static_assert(enum_name(samples::Color::blue) == "blue");
  static_assert(parse_enum<samples::Color>("green") == samples::Color::green);
  EXPECT_EQ(enum_name(static_cast<samples::Color>(99)), "");
  EXPECT_EQ(parse_enum<samples::Color>("Green"), std::nullopt);
  static_assert(!DescribedEnum<samples::Plain>);
}

}  // namespace velo::codec::describe_test
