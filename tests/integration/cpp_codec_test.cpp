// Values of the C++ API as JSON text, as the Python SDK reads and writes it.

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <workflows/codec.h>
#include <workflows/error.h>
#include <boost/describe/class.hpp>

namespace shop {

struct Item {
  std::string name;
  std::int64_t count = 0;
  double price = 0;
  std::optional<std::string> note;
};
BOOST_DESCRIBE_STRUCT(Item, (), (name, count, price, note))

struct Point {
  int x = 0;
  int y = 0;
};
void tag_invoke(boost::json::value_from_tag, boost::json::value& json, const Point& point) {
  json = {point.x, point.y};
}
Point tag_invoke(boost::json::value_to_tag<Point>, const boost::json::value& json) {
  return {boost::json::value_to<int>(json.at(0)), boost::json::value_to<int>(json.at(1))};
}

struct Money {
  std::int64_t cents = 0;
};

}  // namespace shop

template <>
struct workflows::Codec<shop::Money> {
  static std::string encode(const shop::Money& money) { return to_json(money.cents); }
  static shop::Money decode(std::string_view json) { return {Codec<std::int64_t>::decode(json)}; }
};

namespace workflows {
namespace {

template <class T>
T round_trip(const T& value) {
  return Codec<T>::decode(to_json(value));
}

TEST(CppCodec, NumbersKeepTheirKindAndTheirDigits) {
  EXPECT_EQ(to_json(5), "5");
  EXPECT_EQ(to_json(5.0), "5.0");
  EXPECT_EQ(to_json(0.1), "0.1");
  EXPECT_EQ(to_json(-0.0), "-0.0");
  EXPECT_EQ(to_json(1e300), "1e+300");
  EXPECT_EQ(to_json(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(to_json(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  for (const double value : {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0}) {
    EXPECT_EQ(to_json(round_trip(value)), to_json(value));
  }
  EXPECT_EQ(round_trip(std::numeric_limits<std::uint64_t>::max()), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(round_trip(std::numeric_limits<std::int64_t>::min()), std::numeric_limits<std::int64_t>::min());
}

TEST(CppCodec, WhatPythonWritesForNumbersIsRead) {
  EXPECT_EQ(Codec<double>::decode("5"), 5.0);
  EXPECT_EQ(Codec<int>::decode("5.0"), 5);
  EXPECT_EQ(Codec<double>::decode("1e+16"), 1e16);
  EXPECT_TRUE(Codec<bool>::decode("true"));
  EXPECT_THROW(Codec<int>::decode("5.5"), SerializationError);
  EXPECT_THROW(Codec<std::int8_t>::decode("300"), SerializationError);
  EXPECT_THROW(Codec<unsigned>::decode("-1"), SerializationError);
}

TEST(CppCodec, NanAndTheInfinitiesAreTaggedAtAnyDepth) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(to_json(infinity), R"({"$":"float","v":"inf"})");
  EXPECT_EQ(to_json(std::vector<double>{std::nan(""), -infinity, 1}),
            R"([{"$":"float","v":"nan"},{"$":"float","v":"-inf"},1.0])");
  EXPECT_TRUE(std::isnan(round_trip(std::nan(""))));
  EXPECT_EQ(round_trip(std::map<std::string, std::vector<double>>{{"a", {-infinity, infinity}}}).at("a"),
            (std::vector<double>{-infinity, infinity}));
}

TEST(CppCodec, AnObjectThatLooksLikeATaggedValueStaysAnObject) {
  const boost::json::value lookalike = {{"$", "float"}, {"v", "nan"}};
  EXPECT_EQ(to_json(lookalike), R"({"$":"dict","v":[["$","float"],["v","nan"]]})");
  EXPECT_EQ(round_trip(lookalike), lookalike);
  const boost::json::value nested = {{"a", {lookalike, {{"$", lookalike}}}}};
  EXPECT_EQ(round_trip(nested), nested);
  const boost::json::value moment = {{"$", "datetime"}, {"v", "2026-11-22T20:00:00+00:00"}};
  EXPECT_EQ(Codec<boost::json::value>::decode(boost::json::serialize(moment)), moment);
}

TEST(CppCodec, TextIsUtf8) {
  const std::string text =
      "quote \" backslash \\ newline \n tab \t zero " + std::string(1, '\0') + " snow \u2603 \U0001F600";
  EXPECT_EQ(round_trip(text), text);
  EXPECT_EQ(to_json("a\"b"), R"("a\"b")");
  EXPECT_EQ(Codec<std::string>::decode(R"("\u2603 \ud83d\ude00")"), "\u2603 \U0001F600");
}

TEST(CppCodec, TextThatIsNotUtf8IsRefusedWithItsPath) {
  // Broken, overlong, surrogate, beyond the last code point, cut short.
  for (const std::string bad : {"\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x98"}) {
    EXPECT_THROW(to_json(bad), SerializationError);
    try {
      to_json(std::map<std::string, std::vector<std::string>>{{"names", {"fine", bad}}});
      ADD_FAILURE();
    } catch (const SerializationError& error) {
      EXPECT_NE(std::string(error.what()).find(".names[1]"), std::string::npos) << error.what();
    }
  }
}

TEST(CppCodec, NullStandsForNothing) {
  EXPECT_EQ(to_json(nullptr), "null");
  EXPECT_EQ(to_json(std::monostate()), "null");
  EXPECT_EQ(Codec<void>::encode(), "null");
  EXPECT_EQ(to_json(std::optional<int>()), "null");
  EXPECT_EQ(Codec<std::optional<int>>::decode("null"), std::nullopt);
  EXPECT_EQ(Codec<std::optional<int>>::decode("3"), 3);
}

TEST(CppCodec, TypesOfTheUserAreDescribedTaggedOrSpecialised) {
  const shop::Item item{"tea", 2, 3.0, std::nullopt};
  EXPECT_EQ(to_json(item), R"({"name":"tea","count":2,"price":3.0,"note":null})");
  EXPECT_EQ(round_trip(std::vector{item}).at(0).price, 3.0);
  EXPECT_EQ(to_json(std::vector{shop::Point{1, 2}}), "[[1,2]]");
  EXPECT_EQ(round_trip(shop::Point{1, 2}).y, 2);
  EXPECT_EQ(to_json(shop::Money{5}), "5");
  EXPECT_EQ(round_trip(shop::Money{5}).cents, 5);
}

TEST(CppCodec, JsonOfAnyShapeIsAValueToo) {
  const boost::json::value value = {{"a", {1, 2.0, "x", nullptr, true}}, {"b", boost::json::object{}}};
  EXPECT_EQ(to_json(value), R"({"a":[1,2.0,"x",null,true],"b":{}})");
  EXPECT_EQ(round_trip(value), value);
}

TEST(CppCodec, AnErrorNamesTheTypeAndShowsTheText) {
  try {
    Codec<shop::Item>::decode(R"({"name":7})");
    FAIL();
  } catch (const SerializationError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("shop::Item"), std::string::npos) << message;
    EXPECT_NE(message.find(R"({"name":7})"), std::string::npos) << message;
  }
  EXPECT_THROW(Codec<int>::decode(""), SerializationError);
  EXPECT_THROW(Codec<int>::decode("{"), SerializationError);
  EXPECT_THROW(Codec<std::vector<int>>::decode("[1,]"), SerializationError);
}

TEST(CppCodec, DeepValuesDoNotExhaustTheStack) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_THROW(Codec<boost::json::value>::decode(deep), SerializationError);
  const std::string fine = std::string(500, '[') + std::string(500, ']');
  EXPECT_EQ(to_json(Codec<boost::json::value>::decode(fine)), fine);
}

}  // namespace
}  // namespace workflows
