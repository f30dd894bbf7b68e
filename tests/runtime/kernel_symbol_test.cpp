// SPDX-License-Identifier: Apache-2.0
// Symbols: readable, made of what symbols may be made of, never too long, and told apart.
#include "runtime/kernel_symbol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include "ir/random_conv.h"
#include "ir/text.h"

namespace convgen {
namespace {

TEST(KernelSymbolTest, IsTheSignatureInOneWord) {
  EXPECT_EQ(print_symbol("conv2d src=f32:nhwc:1x56x56x64 weights=f32:hwio:3x3x64x64 pads=1x1 "
                         "post=bias,relu"),
            "conv2d_nhwc_1x56x56x64_hwio_3x3x64x64_p1x1_bias_relu");
  EXPECT_EQ(print_symbol("conv1d src=f32:ncw:1x8x9 weights=f32:oiw:8x1x3 dst=f32:nwc strides=2 "
                         "dilations=3 groups=8 pad_value=-1.5 accuracy=strict"),
            "conv1d_ncw_1x8x9_oiw_8x1x3_to_nwc_s2_d3_g8_pad_valuem1.5_strict");
  EXPECT_EQ(print_symbol("conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1 "
                         "constants=0123456789abcdef finite"),
            "conv2d_nhwc_1x9x9x1_hwio_3x3x1x1_c0123456789abcdef_finite");
}

TEST(KernelSymbolTest, LongOnesEndInAHash) {
  std::string chain = "post=bias";
  for (int i = 0; i < 40; ++i) chain += ",relu";
  const std::string conv = "conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1 ";
  const std::string symbol = print_symbol(conv + chain);
  EXPECT_EQ(symbol.size(), kMaxSymbolLength);
  EXPECT_EQ(symbol.rfind("conv2d_nhwc_1x9x9x1_hwio_3x3x1x1_bias_relu_relu", 0), 0u);
  EXPECT_NE(symbol, print_symbol(conv + chain + ",abs")) << "they differ beyond the cut";
}

TEST(KernelSymbolTest, AnySignatureMakesOne) {
  std::set<std::string> texts, symbols;
  for (uint64_t index = 0; index < 2000; ++index) {
    const std::string text = ir::print_conv(ir::random_conv(5, index));
    const std::string symbol = print_symbol(text);
    EXPECT_LE(symbol.size(), kMaxSymbolLength);
    EXPECT_TRUE(std::ranges::all_of(symbol, [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '.';
    })) << symbol;
    texts.insert(text);
    symbols.insert(symbol);
  }
  EXPECT_EQ(symbols.size(), texts.size());
}

}  // namespace
}  // namespace convgen
