// SPDX-License-Identifier: Apache-2.0
// The estimate of code size against modules that are really emitted.
#include "codegen/code_size.h"

#include <gtest/gtest.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/LLVMContext.h>

#include "codegen/emit_function.h"
#include "codegen/emit_kernel.h"
#include "ir/random_conv.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::schedule_of;
using testing::target_of;

bool is_fma(const llvm::Instruction& instruction) {
  const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
  return call != nullptr && call->getIntrinsicID() == llvm::Intrinsic::fma;
}

struct Emitted {
  double fmas = 0;
  double longest_block_fmas = 0;
};

Emitted count_fmas(const ir::Conv& conv, const Schedule& schedule, const Target& target) {
  llvm::LLVMContext context;
  const auto module = make_module(context, target);
  emit_kernel(*module, conv, schedule, target, "f");
  Emitted emitted;
  for (const llvm::BasicBlock& block : *module->getFunction("f")) {
    double here = 0;
    for (const llvm::Instruction& instruction : block) here += is_fma(instruction);
    emitted.fmas += here;
    emitted.longest_block_fmas = std::max(emitted.longest_block_fmas, here);
  }
  return emitted;
}

CodeSize estimate(const std::string& conv, const std::string& schedule) {
  return estimate_code_size(conv_of(conv), schedule_of(schedule));
}

// What is counted in FMAs alone must be known to the operation: no borders, no chain.
TEST(CodeSize, TileOfAPlainConvolutionIsItsFmas) {
  const std::string conv = "conv2d src=f32:nhwc:1x14x14x32 weights=f32:hwio:3x3x32x32";
  const Target target = target_of("x86-64-v4");
  for (const char* text : {"lanes=16 tile=12x2 ic_unroll=1", "lanes=16 tile=12x2 ic_unroll=4",
                           "lanes=16 tile=6x1 ic_unroll=2", "lanes=16 tile=12x2 unroll=taps"}) {
    const Schedule schedule = schedule_of(text);
    const Emitted emitted = count_fmas(conv_of(conv), schedule, target);
    const CodeSize size = estimate_code_size(conv_of(conv), schedule);
    const double stores = 12 * 2;
    EXPECT_GE(size.total, emitted.fmas) << text;
    EXPECT_LE(size.total, emitted.fmas + stores) << text;
    EXPECT_GE(size.longest_block, emitted.longest_block_fmas) << text;
  }
}

// Lanes that span groups have no loop over channels: rows of taps that ask nothing at run time are
// one block. The sums of rotated end with a permute and an addition each but one.
TEST(CodeSize, TapsOfGroupsAreOneBlock) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x14x14x32 weights=f32:hwio:3x3x4x32 groups=8");
  const Target target = target_of("x86-64-v4");
  for (const auto& [text, turns] :
       {std::pair("grouped lanes=16 tile=6x1 unroll=taps", 0.0),
        std::pair("rotated lanes=16 tile=6x1 unroll=taps", 2.0 * 3 * 6),
        std::pair("rotated lanes=16 tile=6x1 unroll=taps order=oc_inner", 2.0 * 3 * 6)}) {
    const Schedule schedule = schedule_of(text);
    const Emitted emitted = count_fmas(conv, schedule, target);
    const CodeSize size = estimate_code_size(conv, schedule);
    const double fmas = 9 * 4 * 6, stores = 6;
    EXPECT_EQ(emitted.fmas, fmas) << text;
    EXPECT_EQ(emitted.longest_block_fmas, fmas) << text;
    EXPECT_EQ(size.total, fmas + turns + stores) << text;
    EXPECT_EQ(size.longest_block, fmas) << text;
  }
}

// Once for a dst that is aligned, once for any other.
TEST(CodeSize, StreamingTasksAreThereTwice) {
  const ir::Conv conv =
      conv_of("conv2d src=f32:nhwc:1x14x14x32 weights=f32:hwio:3x3x32x32 pads=1x1 post=relu");
  const Target target = target_of("x86-64-v4");
  for (const char* words : {"direct lanes=16 tile=7x2", "winograd lanes=16 tile=4x2"}) {
    const Schedule cached = schedule_of(words);
    const Schedule streaming = schedule_of("stores=streaming", cached);
    EXPECT_EQ(count_fmas(conv, streaming, target).fmas, 2 * count_fmas(conv, cached, target).fmas);
    const CodeSize size = estimate_code_size(conv, cached);
    EXPECT_EQ(estimate_code_size(conv, streaming).total, 2 * size.total);
    EXPECT_EQ(estimate_code_size(conv, streaming).longest_block, size.longest_block);
  }
}

// Never far too low: that would let an endless compile through. Never far too high: that would
// refuse what is harmless. Half of the FMAs may hide in tails that few tiles take.
TEST(CodeSize, EstimateHoldsForRandomConvolutions) {
  const Target target = target_of("x86-64-v3");
  double worst_total = 0, worst_block = 0;
  int compared = 0;
  for (uint64_t index = 0; index < 400; ++index) {
    const ir::Conv conv = ir::random_conv(5, index);
    if (conv.dst_elements() == 0) continue;
    for (const char* words :
         {"unroll=tile", "unroll=taps", "unroll=full", "edges=ranged", "order=oc_inner",
          "grouped tile=2x1 unroll=taps", "rotated tile=2x2 unroll=taps"}) {
      const Schedule schedule = schedule_of(words, select_schedule(conv, target).schedule);
      if (!check_schedule(schedule, conv, target).ok()) continue;
      const CodeSize size = estimate_code_size(conv, schedule);
      ASSERT_LE(size.longest_block, size.total) << ir::print_conv(conv);
      if (size.total > 8192) continue;  // emitted in full below: keep the test quick
      const Emitted emitted = count_fmas(conv, schedule, target);
      ++compared;
      EXPECT_LE(emitted.fmas, 1.5 * size.total + 64)
          << ir::print_conv(conv) << " " << print_schedule(schedule);
      EXPECT_LE(emitted.longest_block_fmas, 1.5 * size.longest_block + 64)
          << ir::print_conv(conv) << " " << print_schedule(schedule);
      worst_total = std::max(worst_total, emitted.fmas / size.total);
      worst_block = std::max(worst_block, emitted.longest_block_fmas / size.longest_block);
    }
  }
  EXPECT_GT(compared, 400);
  RecordProperty("worst_total_ratio", std::to_string(worst_total));
  RecordProperty("worst_block_ratio", std::to_string(worst_block));
}

TEST(CodeSize, FullUnrollCountsEveryProduct) {
  // 4 x 4 outputs of 8 channels, 9 taps of 3 channels, 2 vectors of 4.
  const CodeSize size = estimate("conv2d src=f32:nhwc:1x6x6x3 weights=f32:hwio:3x3x3x8",
                                 "lanes=4 tile=2x2 unroll=full");
  const double fmas = 16 * 2 * 27;
  EXPECT_GE(size.total, fmas);
  EXPECT_LE(size.total, fmas + 2 * 16 * 2);
  EXPECT_EQ(size.longest_block, size.total);
}

TEST(CodeSize, GrowsWithWhatIsUnrolled) {
  const std::string conv =
      "conv2d src=f32:nhwc:2x20x20x16 weights=f32:hwio:5x5x16x24 pads=2x2 post=bias,relu";
  const double tile = estimate(conv, "lanes=8 tile=4x3").total;
  const double taps = estimate(conv, "lanes=8 tile=4x3 unroll=taps").total;
  const double full = estimate(conv, "lanes=8 tile=4x3 unroll=full").total;
  EXPECT_GT(taps, 4 * tile);
  EXPECT_GT(full, 100 * taps);
  EXPECT_GT(estimate(conv, "lanes=8 tile=4x3 ic_unroll=4").total, 1.8 * tile);
  EXPECT_GT(estimate(conv, "lanes=8 tile=8x3").total, tile);
}

TEST(CodeSize, ALoopedEpilogueHoldsTheChainOnce) {
  const std::string conv = "conv2d src=f32:nhwc:1x20x20x8 weights=f32:hwio:1x1x8x16 post=gelu,gelu";
  const double inlined = estimate(conv, "lanes=8 tile=6x2 epilogue=inline").total;
  const double looped = estimate(conv, "lanes=8 tile=6x2 epilogue=loop").total;
  EXPECT_GT(inlined, 3 * looped);
}

TEST(CodeSize, HugeConvolutionsAreNumbersNotOverflows) {
  const CodeSize size =
      estimate("conv2d src=f32:nhwc:1x1000000x1000000x1000 weights=f32:hwio:31x31x1000x1000",
               "lanes=16 tile=14x2 unroll=full");
  EXPECT_GT(size.total, 1e18);
  EXPECT_LT(size.total, 1e24);
}

// Instructions that make or store a vector.
double count_vector_ops(const llvm::BasicBlock& block) {
  double count = 0;
  for (const llvm::Instruction& instruction : block) {
    const auto* store = llvm::dyn_cast<llvm::StoreInst>(&instruction);
    const llvm::Value* value = store != nullptr ? store->getValueOperand() : &instruction;
    count += value->getType()->isVectorTy() && !llvm::isa<llvm::PHINode>(instruction);
  }
  return count;
}

double count_vector_ops(const ir::Conv& conv, const Schedule& schedule, const Target& target) {
  llvm::LLVMContext context;
  const auto module = make_module(context, target);
  emit_kernel(*module, conv, schedule, target, "f");
  double count = 0;
  for (const llvm::BasicBlock& block : *module->getFunction("f")) count += count_vector_ops(block);
  return count;
}

double longest_block_ops(const ir::Conv& conv, const Schedule& schedule, const Target& target) {
  llvm::LLVMContext context;
  const auto module = make_module(context, target);
  emit_kernel(*module, conv, schedule, target, "f");
  double longest = 0;
  for (const llvm::BasicBlock& block : *module->getFunction("f"))
    longest = std::max(longest, count_vector_ops(block));
  return longest;
}

// The copy into a stage by shuffles and block by block, and sums that are interleaved or stored
// lane by lane. Products count once, but are two instructions without FMA.
TEST(CodeSize, StagesAndInterleavedSumsAreCounted) {
  int compared = 0;
  for (const std::string& name : isa_levels()) {
    const Target target = target_of(name);
    for (const char* text :
         {"conv2d src=f32:nhwc:1x9x70x3 weights=f32:hwio:3x3x3x3 pads=1x1 post=bias,relu",
          "conv2d src=f32:nhwc:1x9x70x3 weights=f32:hwio:3x3x3x7 strides=2x2 pads=1x1 post=bias",
          "conv2d src=f32:nhwc:1x9x70x40 weights=f32:hwio:1x1x40x5 post=add",
          "conv2d src=f32:nchw:1x5x9x70 weights=f32:oihw:9x5x3x3 strides=2x8 post=bias,gelu",
          "conv2d src=f32:nchw:1x5x9x70 weights=f32:oihw:9x5x3x3 strides=2x7 dst=f32:nhwc"})
      for (const char* words : {"tile=32x3", "tile=32x7", "tile=16x9", "tile=64x5 epilogue=loop",
                                "unroll=taps", "unroll=full", "edges=ranged"}) {
        Schedule schedule = schedule_of(std::string("staged tile=16x3 ") + words);
        schedule.lanes = target.max_lanes;
        const CodeSize size = estimate_code_size(conv_of(text), schedule);
        if (size.total > 32768) continue;
        const double emitted = count_vector_ops(conv_of(text), schedule, target);
        ++compared;
        EXPECT_LE(emitted, 2 * size.total) << name << " " << text << " " << words;
        EXPECT_LE(size.total, 16 * emitted) << name << " " << text << " " << words;
        EXPECT_LE(size.longest_block, size.total) << name << " " << text << " " << words;
      }
  }
  EXPECT_GE(compared, 100);
}

// Winograd: transforms of whole and of partial vectors, inside and at the border, products and
// outputs of whole and of narrower blocks. The longest block as well, which takes the time.
TEST(CodeSize, TransformsAreCounted) {
  int compared = 0;
  double most = 0, least = 1e9;
  for (const std::string& name : isa_levels()) {
    const Target target = target_of(name);
    for (const char* text :
         {"conv2d src=f32:nhwc:1x19x17x64 weights=f32:hwio:3x3x64x64 pads=1x1",
          "conv2d src=f32:nhwc:1x19x17x5 weights=f32:hwio:3x3x5x41 pads=1x1 post=bias,relu",
          "conv2d src=f32:nhwc:1x19x17x37 weights=f32:hwio:5x5x37x23 pads=2x2 post=bias,gelu",
          "conv2d src=f32:nhwc:1x19x17x16 weights=f32:hwio:1x3x16x64 pads=0x1 post=add",
          "conv2d src=f32:nhwc:1x19x17x21 weights=f32:hwio:3x3x21x35 dst=f32:nchw post=bias"})
      for (const char* words :
           {"output_tile=2", "output_tile=4", "epilogue=loop", "tile=6x3 ic_unroll=8",
            "tile=1x1 order=pixel_outer", "output_tile=2 epilogue=loop tile=2x4", "edges=nested",
            "edges=nested output_tile=2", "edges=nested epilogue=loop tile=6x3 ic_unroll=8"}) {
        Schedule schedule = schedule_of(std::string("winograd tile=4x2 ic_unroll=2 ") + words);
        schedule.lanes = target.max_lanes;
        const CodeSize size = estimate_code_size(conv_of(text), schedule);
        const double emitted = count_vector_ops(conv_of(text), schedule, target);
        ++compared;
        SCOPED_TRACE(name + " " + text + " " + words);
        const double most_allowed =
            target.has_fma ? 2 : 3;  // a product is two instructions without
        EXPECT_LE(emitted, most_allowed * size.total);
        EXPECT_LE(size.total, 3 * emitted);
        EXPECT_LE(size.longest_block, size.total);
        EXPECT_LE(longest_block_ops(conv_of(text), schedule, target),
                  most_allowed * size.longest_block);
        most = std::max(most, emitted / size.total);
        least = std::min(least, emitted / size.total);
      }
  }
  EXPECT_EQ(compared, 135);
  RecordProperty("most_emitted_of_estimate", std::to_string(most));
  RecordProperty("least_emitted_of_estimate", std::to_string(least));
}

}  // namespace
}  // namespace convgen::codegen
