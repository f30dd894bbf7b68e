// SPDX-License-Identifier: Apache-2.0
#include "codegen/target_machines.h"

#include <gtest/gtest.h>
#include <llvm/Target/TargetMachine.h>

#include <thread>
#include <vector>

#include "codegen/compile.h"
#include "codegen/select_schedule.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::target_of;

constexpr const char* kConv =
    "conv2d src=f32:nhwc:1x14x14x32 weights=f32:hwio:3x3x32x32 pads=1x1 post=relu";

TEST(TargetMachines, KeepsWhatIsGivenBackForTheSameTarget) {
  TargetMachines machines;
  const Target v3 = target_of("x86-64-v3"), v4 = target_of("x86-64-v4");
  auto first = machines.take(v3);
  ASSERT_TRUE(first.ok());
  const llvm::TargetMachine* kept = first->get();
  machines.give_back(v3, std::move(*first));
  auto other = machines.take(v4);
  ASSERT_TRUE(other.ok());
  EXPECT_NE(other->get(), kept);
  auto again = machines.take(v3);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->get(), kept);
}

// What was compiled before on a machine must not show, nor who else compiles.
TEST(TargetMachines, BytesAreThoseOfANewMachine) {
  const Target target = target_of("x86-64-v4");
  const auto object_of = [&](const std::string& words, TargetMachines* machines) {
    const ir::Conv conv = conv_of(kConv);
    const auto schedule = parse_schedule(words, select_schedule(conv, target).schedule);
    EXPECT_TRUE(schedule.ok());
    return compile(Stage::kObject, conv, *schedule, target, {.machines = machines}).value();
  };
  const std::vector<std::string> words = {"", "direct lanes=4 tile=2x2", "direct lanes=8 tile=3x2"};
  std::vector<std::string> expected;
  for (const std::string& w : words) expected.push_back(object_of(w, nullptr));
  TargetMachines machines;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 2 * words.size(); ++i) {
        const size_t which = (i + static_cast<size_t>(t)) % words.size();
        EXPECT_EQ(object_of(words[which], &machines), expected[which]);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace convgen::codegen
