// SPDX-License-Identifier: Apache-2.0
// Shuffles of the builder's vocabulary, on vectors of constants: what they give folds to constants
// too, and can be read without running anything.
#include "codegen/ir_builder.h"

#include <gtest/gtest.h>
#include <llvm/IR/Constants.h>

#include <optional>
#include <vector>

#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

class Shuffles : public ::testing::TestWithParam<int> {
 protected:
  // Vectors that hold 0, 1, 2, ... in the order of memory.
  Values counting(int vectors) {
    Values result;
    for (int v = 0; v < vectors; ++v) {
      llvm::SmallVector<llvm::Constant*, 16> lanes;
      for (int lane = 0; lane < b_.lanes(); ++lane)
        lanes.push_back(llvm::ConstantFP::get(b_.getFloatTy(), v * b_.lanes() + lane));
      result.push_back(llvm::ConstantVector::get(lanes));
    }
    return result;
  }

  // A lane that is no number, poison among them, is nothing.
  static std::optional<double> lane_of(llvm::Value* vector, int lane) {
    const auto* constant = llvm::dyn_cast<llvm::Constant>(vector);
    if (constant == nullptr) return std::nullopt;
    const auto* number =
        llvm::dyn_cast_or_null<llvm::ConstantFP>(constant->getAggregateElement(lane));
    if (number == nullptr) return std::nullopt;
    return number->getValueAPF().convertToFloat();
  }

  llvm::LLVMContext context_;
  llvm::Module module_{"test", context_};
  KernelBuilder b_{module_, testing::target_of("x86-64-v4"), GetParam()};
};

TEST_P(Shuffles, DeinterleaveTakesEveryKth) {
  for (int step = 1; step <= 8; ++step) {
    const Values planes = b_.deinterleave(counting(step));
    ASSERT_EQ(planes.size(), static_cast<size_t>(step));
    for (int k = 0; k < step; ++k)
      for (int lane = 0; lane < b_.lanes(); ++lane)
        EXPECT_EQ(lane_of(planes[k], lane), lane * step + k) << step << " " << k << " " << lane;
  }
}

TEST_P(Shuffles, InterleaveBringsThemBackInTheOrderOfMemory) {
  for (int step = 1; step <= 24; ++step) {
    const Values memory = b_.interleave(b_.deinterleave(counting(step)));
    ASSERT_EQ(memory.size(), static_cast<size_t>(step));
    for (int v = 0; v < step; ++v)
      for (int lane = 0; lane < b_.lanes(); ++lane)
        EXPECT_EQ(lane_of(memory[v], lane), v * b_.lanes() + lane) << step << " " << v;
  }
}

TEST_P(Shuffles, InterleavePutsNeighboursOfAPixelSideBySide) {
  for (int step = 1; step <= 24; ++step) {
    const Values memory = b_.interleave(counting(step));
    for (int i = 0; i < step * b_.lanes(); ++i)
      EXPECT_EQ(lane_of(memory[i / b_.lanes()], i % b_.lanes()), i % step * b_.lanes() + i / step)
          << step << " " << i;
  }
}

TEST_P(Shuffles, TransposeSwapsLanesAndVectors) {
  const Values rows = b_.transpose(counting(b_.lanes()));
  for (int v = 0; v < b_.lanes(); ++v)
    for (int lane = 0; lane < b_.lanes(); ++lane)
      EXPECT_EQ(lane_of(rows[v], lane), lane * b_.lanes() + v);
}

INSTANTIATE_TEST_SUITE_P(Lanes, Shuffles, ::testing::Values(4, 8, 16));

}  // namespace
}  // namespace convgen::codegen
