// SPDX-License-Identifier: Apache-2.0
// Codes, their names and makers; what a Result holds.
#include "ir/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace convgen {
namespace {

TEST(Status, DefaultIsOk) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kOk);
  EXPECT_EQ(status.message(), "");
}

TEST(Status, EachMakerSetsItsCodeAndMessage) {
  struct Case {
    Status status;
    StatusCode code;
    std::string_view name;
  };
  const Case cases[] = {
      {invalid_argument("m"), StatusCode::kInvalidArgument, "invalid_argument"},
      {unsupported("m"), StatusCode::kUnsupported, "unsupported"},
      {compile_failed("m"), StatusCode::kCompileFailed, "compile_failed"},
      {resource_exhausted("m"), StatusCode::kResourceExhausted, "resource_exhausted"},
      {io_error("m"), StatusCode::kIoError, "io_error"},
      {internal_error("m"), StatusCode::kInternal, "internal"},
  };
  for (const Case& c : cases) {
    EXPECT_FALSE(c.status.ok());
    EXPECT_EQ(c.status.code(), c.code);
    EXPECT_EQ(c.status.message(), "m");
    EXPECT_EQ(status_code_name(c.code), c.name);
  }
}

TEST(Status, EveryNumberHasAName) {
  EXPECT_EQ(status_code_name(StatusCode::kOk), "ok");
  EXPECT_EQ(status_code_name(static_cast<StatusCode>(99)), "unknown");
}

TEST(Result, HoldsAValue) {
  Result<std::string> result(std::string("seven"));
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result);
  EXPECT_TRUE(result.status().ok());
  EXPECT_EQ(*result, "seven");
  EXPECT_EQ(result->size(), 5u);
}

TEST(Result, HoldsAStatus) {
  const Result<int> result(unsupported("not yet"));
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), StatusCode::kUnsupported);
  EXPECT_EQ(result.status().message(), "not yet");
}

TEST(Result, GivesAMoveOnlyValueAway) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  const std::unique_ptr<int> value = *std::move(result);
  EXPECT_EQ(*value, 7);
}

}  // namespace
}  // namespace convgen
