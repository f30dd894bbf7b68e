// SPDX-License-Identifier: Apache-2.0
// tests/data/adversarial.conv, convolutions that are hard to compile: each has a schedule within
// the instruction budget, which is what bounds the time LLVM takes, and compiles. Every 25th of
// them; all with CONVGEN_SOAK=1.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "codegen/code_size.h"
#include "codegen/compile.h"
#include "codegen/select_schedule.h"
#include "codegen/target_machines.h"
#include "ir/text.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using testing::target_of;

std::vector<std::string> adversarial_texts() { return testing::texts_of("adversarial.conv"); }

TEST(Adversarial, FileHoldsTheKindsItNames) {
  const std::vector<std::string> texts = adversarial_texts();
  EXPECT_EQ(texts.size(), 500u);
  bool kernel_31 = false, channels_1000 = false, volume = false, long_chain = false;
  for (const std::string& text : texts) {
    const ir::Conv conv = conv_of(text);
    kernel_31 |= conv.kernel.h == 31 && conv.kernel.w == 31;
    channels_1000 |= conv.ic == 1000 && conv.oc >= 1000;
    volume |= conv.kernel.d == 31;
    long_chain |= conv.post.size() >= 60;
  }
  EXPECT_TRUE(kernel_31 && channels_1000 && volume && long_chain);
}

// Selection is quick, so all of them are within the budget, on every instruction set.
TEST(Adversarial, SelectedSchedulesKeepTheBudget) {
  for (const std::string& name : isa_levels()) {
    const Target target = target_of(name);
    for (const std::string& text : adversarial_texts()) {
      const ir::Conv conv = conv_of(text);
      const Schedule schedule = select_schedule(conv, target).schedule;
      const Status status = check_schedule(schedule, conv, target);
      EXPECT_TRUE(status.ok()) << text << "\n" << status.message();
      const CodeSize size = estimate_code_size(conv, schedule);
      EXPECT_LE(size.total, kMaxTotalOps) << text << "\n" << print_schedule(schedule);
      EXPECT_LE(size.longest_block, kMaxBlockOps) << text << "\n" << print_schedule(schedule);
    }
  }
}

TEST(Adversarial, CompilesWithinItsEstimate) {
  // What no schedule is allowed to be, as bytes: 64 a vector operation, epilogues included.
  constexpr double kBytesPerOp = 64;
  const bool all = std::getenv("CONVGEN_SOAK") != nullptr;
  const std::vector<std::string> texts = adversarial_texts();
  TargetMachines machines;
  for (const std::string& name : isa_levels()) {
    const Target target = target_of(name);
    for (size_t i = 0; i < texts.size(); i += all ? 1 : 25) {
      const ir::Conv conv = conv_of(texts[i]);
      const Schedule schedule = select_schedule(conv, target).schedule;
      const auto object = compile(Stage::kObject, conv, schedule, target, {.machines = &machines});
      ASSERT_TRUE(object.ok()) << texts[i] << "\n" << object.status().message();
      EXPECT_LE(static_cast<double>(object->size()),
                4096 + kBytesPerOp * estimate_code_size(conv, schedule).total)
          << texts[i] << "\n"
          << print_schedule(schedule);
    }
  }
}

}  // namespace
}  // namespace convgen::codegen
