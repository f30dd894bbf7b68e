// SPDX-License-Identifier: Apache-2.0
// The last error of each thread, and structs that grow.
#include "tests/support/c_api.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <thread>

#include "runtime/c_api_support.h"

namespace convgen {
namespace {

using namespace convgen::testing;  // NOLINT: every helper of the file

// --- Errors ---

TEST(CApiErrorTest, EachThreadHasItsOwn) {
  convgen_conv* conv = nullptr;
  EXPECT_EQ(convgen_conv_parse("conv7d", &conv), CONVGEN_INVALID_ARGUMENT);
  const std::string here = convgen_last_error();
  std::string before, there;
  std::thread([&] {
    before = convgen_last_error();
    EXPECT_EQ(convgen_conv_parse("conv2d groups=0", &conv), CONVGEN_INVALID_ARGUMENT);
    there = convgen_last_error();
  }).join();
  EXPECT_EQ(before, "");
  EXPECT_NE(there, here);
  EXPECT_EQ(convgen_last_error(), here);
}

TEST(CApiErrorTest, SuccessLeavesItAlone) {
  convgen_conv* conv = nullptr;
  EXPECT_EQ(convgen_conv_parse(nullptr, &conv), CONVGEN_INVALID_ARGUMENT);
  c_conv(kCConv);
  EXPECT_STREQ(convgen_last_error(), "text: null");
}

// --- Structs that grow ---

struct Growing {
  size_t size;
  int32_t a, b;
  int64_t added_later;
};

}  // namespace

template <>
inline constexpr size_t c_api::kFirstSize<Growing> = 16;

namespace {

TEST(CApiStructTest, ShorterOnesOfOlderProgramsLeaveDefaults) {
  Growing value{sizeof(Growing), 1, 2, 3};
  const Growing given{16, 10, 20, 30};
  ASSERT_TRUE(c_api::read_struct(&given, "given", value).ok());
  EXPECT_EQ(value.a, 10);
  EXPECT_EQ(value.b, 20);
  EXPECT_EQ(value.added_later, 3);
}

TEST(CApiStructTest, ShorterOnesOfOlderProgramsGetWhatTheyKnow) {
  Growing out{16, 0, 0, 77};
  ASSERT_TRUE(c_api::write_struct(Growing{0, 1, 2, 3}, "out", &out).ok());
  EXPECT_EQ(out.size, 16u);
  EXPECT_EQ(out.b, 2);
  EXPECT_EQ(out.added_later, 77);
}

TEST(CApiStructTest, NullSaysNothing) {
  Growing value{sizeof(Growing), 1, 2, 3};
  ASSERT_TRUE(c_api::read_struct<Growing>(nullptr, "given", value).ok());
  EXPECT_EQ(value.a, 1);
}

// A struct's last field and its size in ABI version 1: no padding behind it, where a later field
// would not change the size. Adding a field adds a row; no row changes.
TEST(CApiStructTest, VersionOneIsWhatItWas) {
#define EXPECT_ENDS(type, field, bytes)                           \
  EXPECT_EQ(offsetof(type, field) + sizeof(type{}.field), bytes); \
  EXPECT_EQ(c_api::kFirstSize<type>, static_cast<size_t>(bytes))
  EXPECT_ENDS(convgen_conv_spec, strict, 248);
  EXPECT_ENDS(convgen_conv_info, uses_scale, 344);
  EXPECT_ENDS(convgen_engine_options, use_tuning, 64);
  EXPECT_ENDS(convgen_compile_options, deadline_ms, 32);
  EXPECT_ENDS(convgen_prepare_options, reserved, 40);
  EXPECT_ENDS(convgen_engine_stats, compile_seconds, 72);
  EXPECT_ENDS(convgen_packed_weights_info, size_bytes, 32);
  EXPECT_ENDS(convgen_kernel_info, winograd_tile, 136);
  EXPECT_ENDS(convgen_run_args, pool, 88);
  EXPECT_ENDS(convgen_verify_options, reserved, 48);
  EXPECT_ENDS(convgen_verify_report, failure, 312);
  EXPECT_ENDS(convgen_tune_options, reserved, 64);
  EXPECT_ENDS(convgen_tune_info, reserved, 88);
#undef EXPECT_ENDS
}

}  // namespace
}  // namespace convgen
