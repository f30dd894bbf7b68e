// SPDX-License-Identifier: Apache-2.0
// Emitted code reads packed weights from their first to their last float and no further: the one
// tensor that verify_kernel cannot lay against a guard page, since a Kernel owns its memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "codegen/compile.h"
#include "codegen/packed_layout.h"
#include "codegen/select_schedule.h"
#include "ir/random_conv.h"
#include "ir/text.h"
#include "runtime/jit_session.h"
#include "tests/support/kernels.h"

namespace convgen::testing {
namespace {

using codegen::Schedule;

// Weights packed into read-only memory of exactly the layout's size.
GuardedBuffer packed_between_guards(const ir::Conv& conv, const Schedule& schedule,
                                    const std::vector<float>& weights, Flush flush) {
  const codegen::PackedLayout layout = codegen::packed_layout(conv, schedule);
  const auto bytes = static_cast<size_t>(layout.elements()) * sizeof(float);
  GuardedBuffer packed = GuardedBuffer::create(bytes, flush).value();
  codegen::pack_weights(conv, layout, weights.data(), packed.floats());
  EXPECT_TRUE(packed.make_read_only());
  return packed;
}

void check(JitSession& session, const codegen::Target& target, const ir::Conv& conv,
           const Schedule& schedule) {
  const auto object = codegen::compile(codegen::Stage::kObject, conv, schedule, target);
  ASSERT_TRUE(object.ok()) << object.status().message();
  const auto code = session.link(*object, codegen::kDefaultFunctionName);
  ASSERT_TRUE(code.ok()) << code.status().message();
  const HostTensors tensors = random_tensors(conv, test_seed(), Data::kReals);
  for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
    const GuardedBuffer packed = packed_between_guards(conv, schedule, tensors.weights, flush);
    std::vector<float> dst(static_cast<size_t>(conv.dst_elements()));
    GuardedBuffer scratch =
        GuardedBuffer::create(codegen::scratch_bytes(conv, schedule), flush).value();
    const codegen::KernelArgs args{
        tensors.src.data(),   packed.floats(), tensors.bias.data(), tensors.add.data(),
        tensors.scale.data(), dst.data(),      scratch.data(),      nullptr};
    (*code)->function()(&args, 0, codegen::count_tasks(conv, schedule));
    EXPECT_TRUE(matches_interpreter(conv, tensors, dst)) << codegen::print_schedule(schedule);
  }
}

TEST(PackedWeightsTest, NothingBeyondThemIsRead) {
  const auto session = JitSession::create();
  const codegen::Target target = codegen::host_target().value();
  int checked = 0, rotated = 0;
  for (uint64_t index = 0; index < 250; ++index) {
    const ir::Conv conv = ir::random_conv(test_seed() + 1, index);
    if (conv.dst_elements() == 0) continue;
    const Schedule selected = codegen::select_schedule(conv, target).schedule;
    for (const char* words : {"", "prefetch=2 tile=3x2", "direct lanes=4 tile=2x3 ic_unroll=3",
                              "order=oc_inner prefetch=1 tile=2x1", "rotated lanes=4 tile=2x3",
                              "rotated lanes=8 tile=3x1 unroll=taps order=oc_inner"}) {
      const Result<Schedule> schedule = codegen::parse_schedule(words, selected);
      ASSERT_TRUE(schedule.ok()) << schedule.status().message();
      if (!codegen::check_schedule(*schedule, conv, target).ok()) continue;
      ++checked;
      rotated += schedule->algorithm == codegen::Algorithm::kRotated ? 1 : 0;
      check(*session, target, conv, *schedule);
      ASSERT_FALSE(HasFatalFailure()) << ir::print_conv(conv);
    }
  }
  EXPECT_GE(checked, 700);
  EXPECT_GE(rotated, 10);
}

}  // namespace
}  // namespace convgen::testing
