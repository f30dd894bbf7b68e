// SPDX-License-Identifier: Apache-2.0
// The measured peak is a number a machine can have; how large it is, no test decides.
#include "runtime/peak.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "tests/support/isa_levels.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

TEST(PeakTest, IsANumberAMachineCanHave) {
  for (const testing::IsaLevel& level : testing::kIsaLevels) {
    const Result<Engine> engine = Engine::create({.mcpu = level.mcpu});
    if (!engine.ok()) continue;  // the host cannot run this level
    const Result<PeakRate> peak = measure_peak(*engine);
    ASSERT_TRUE(peak.ok()) << level.name << ": " << peak.status().message();
    EXPECT_TRUE(std::isfinite(peak->gflops)) << level.name;
    EXPECT_GT(peak->gflops, 0) << level.name;
    // Two FMA units of 16 lanes at 10 GHz make 640: no thread does 10,000.
    EXPECT_LT(peak->gflops, 10000) << level.name;
  }
}

TEST(PeakTest, NamesTheVectorsOfItsTarget) {
  const std::pair<const char*, int> bits[] = {
      {"x86-64-v2", 128}, {"x86-64-v3", 256}, {"x86-64-v4", 512}};
  for (const auto& [mcpu, expected] : bits) {
    const Result<Engine> engine = Engine::create({.mcpu = mcpu});
    if (!engine.ok()) continue;  // the host cannot run this level
    EXPECT_EQ(measure_peak(*engine)->vector_bits, expected) << mcpu;
  }
}

}  // namespace
}  // namespace convgen
