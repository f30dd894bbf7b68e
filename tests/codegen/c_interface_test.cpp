// SPDX-License-Identifier: Apache-2.0
// Names that C takes, symbols that do not clash, and what the header says.
#include "codegen/c_interface.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/select_schedule.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kConv =
    "conv2d src=f32:nhwc:1x8x9x4 weights=f32:hwio:3x3x4x6 pads=1x1 post=bias,add,scale";

CFunction named(const std::string& name) { return {name, conv_of(kConv), {}}; }

TEST(CInterface, NamesComeFromTheLabelElseTheText) {
  EXPECT_EQ(c_name_of(conv_of(std::string(kConv) + " name=res4.1x1-a")), "res4_1x1_a");
  EXPECT_EQ(c_name_of(conv_of("conv1d src=f32:nwc:1x9x4 weights=f32:wio:3x4x6 pads=1:0")),
            "conv1d_src_f32_nwc_1x9x4_weights_f32_wio_3x4x6_pads_1_0");
}

TEST(CInterface, RefusesWhatIsNoIdentifier) {
  EXPECT_TRUE(check_c_identifier("name", "conv_1").ok());
  for (const char* name : {"", "1st", "a-b", "a b", "\xc3\xa9"})
    EXPECT_THAT(check_c_identifier("name", name).message(), HasSubstr("expected a c identifier"));
  for (const char* name : {"int", "double", "class", "reinterpret_cast", "main"})
    EXPECT_THAT(check_c_identifier("name", name).message(), HasSubstr("is a word of c or c++"));
}

TEST(CInterface, RefusesSymbolsDeclaredTwice) {
  const auto check = [](const std::vector<std::string>& names, const std::string& library) {
    std::vector<CFunction> functions;
    for (const std::string& name : names) functions.push_back(named(name));
    return check_distinct(functions, library);
  };
  EXPECT_TRUE(check({"a", "b", "a_b"}, "net").ok());
  EXPECT_TRUE(check({"net"}, "net").ok());
  EXPECT_THAT(check({"a", "a"}, "net").message(), HasSubstr("name=a: declares a, as a does"));
  EXPECT_FALSE(check({"conv", "Conv"}, "net").ok()) << "macros are in upper case";
  EXPECT_FALSE(check({"a", "a_tasks"}, "net").ok());
  EXPECT_FALSE(check({"net_level"}, "net").ok());
}

TEST(CInterface, ParametersAreThoseInUse) {
  const auto names = [](const CFunction& function) {
    std::vector<std::string_view> result;
    for (const CParameter& parameter : c_parameters(function)) result.push_back(parameter.name);
    return result;
  };
  using Names = std::vector<std::string_view>;
  EXPECT_EQ(names(named("f")),
            (Names{"src", "weights_packed", "bias", "add", "scale", "dst", "scratch"}));
  CFunction bare{"f", conv_of("conv1d src=f32:nwc:1x9x1 weights=f32:wio:3x1x1"), {}};
  EXPECT_EQ(names(bare), (Names{"src", "weights_packed", "dst", "scratch"}));
  bare.constants = ConstantWeights{{1, 2, 3}, false};
  EXPECT_EQ(names(bare), (Names{"src", "dst", "scratch"}));
}

TEST(CInterface, HeaderSaysShapesAndSizes) {
  const CFunction function = named("f");
  const KernelSizes sizes{3, 100, 64};
  const std::string object =
      print_c_header({"f", "", "x86_64: x86-64-v3", std::span(&function, 1), std::span(&sizes, 1)});
  for (const char* line :
       {"#ifndef CONVGEN_F_H\n", "src             [1, 8, 9, 4] nhwc\n",
        "weights_packed  from f_pack_weights, out of [3, 3, 4, 6] hwio\n",
        "add             [1, 8, 9, 6] nhwc\n", "#define F_SRC_ELEMENTS 288\n",
        "#define F_PACKED_WEIGHTS_BYTES 400\n", "#define F_SCRATCH_BYTES 64\n",
        "int f(const float* src, const float* weights_packed, const float* bias, const float* add, "
        "const float* scale, float* dst, void* scratch);\n",
        "int f_pack_weights(const float* weights, float* packed);\n"})
    EXPECT_THAT(object, HasSubstr(line));
  EXPECT_THAT(object, Not(HasSubstr("_bundle")));
  const std::string bundle = print_c_header(
      {"net", "net", "x86_64: x86-64-v3", std::span(&function, 1), std::span(&sizes, 1)});
  EXPECT_THAT(bundle, HasSubstr("const char* net_level(void);\n"));
  EXPECT_THAT(bundle, HasSubstr("extern const struct convgen_bundle net_bundle;\n"));
}

}  // namespace
}  // namespace convgen::codegen
