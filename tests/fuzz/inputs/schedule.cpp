// SPDX-License-Identifier: Apache-2.0
// The text of a schedule, behind a line with the conv it is for. What is read prints and reads back
// as the same; whether it is legal does not depend on how it is spelled; what is selected is legal.
#include "codegen/schedule.h"

#include <algorithm>
#include <string>
#include <vector>

#include "codegen/candidate_schedules.h"
#include "codegen/select_schedule.h"
#include "codegen/target.h"
#include "ir/text.h"
#include "tests/fuzz/inputs/expect.h"

namespace convgen::fuzz_inputs {
namespace {

using codegen::Schedule;
using codegen::Target;

// The same on every machine.
const std::vector<Target>& targets() {
  static const std::vector<Target> all = [] {
    std::vector<Target> made;
    for (const char* cpu : {"x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
      auto target = codegen::make_target("x86_64-pc-linux-gnu", cpu, "");
      expect(target.ok(), "the target of a known CPU is made", target.status().message());
      made.push_back(*std::move(target));
    }
    return made;
  }();
  return all;
}

ir::Conv conv_of(std::string_view text) {
  auto conv = ir::parse_conv(text);
  if (!conv.ok())
    conv = ir::parse_conv("conv2d src=f32:nhwc:1x14x14x32 weights=f32:hwio:3x3x32x48");
  return *std::move(conv);
}

void expect_round_trip(const Schedule& schedule) {
  const std::string text = codegen::print_schedule(schedule);
  for (const Schedule& base : {Schedule(), schedule}) {
    const auto again = codegen::parse_schedule(text, base);
    expect(again.ok() && *again == schedule, "a printed schedule reads back as the same", text);
  }
}

void expect_verdict(const Schedule& schedule, const ir::Conv& conv, const Target& target) {
  const Status status = codegen::check_schedule(schedule, conv, target);
  if (!status.ok()) expect_field_named(status);
}

// Tensors that no machine holds: there every schedule may be refused.
bool is_beyond_memory(const ir::Conv& conv) {
  constexpr int64_t kFloats = int64_t{1} << 40;
  return std::max({conv.src_elements(), conv.weights_elements(), conv.dst_elements()}) > kFloats;
}

// The selected one, and some of what a tuner would try.
void expect_selected_is_legal(const ir::Conv& conv, const Target& target) {
  if (is_beyond_memory(conv)) return;
  std::vector<Schedule> schedules = {codegen::select_schedule(conv, target).schedule};
  if (conv.multiply_adds() < 1e7)
    for (const Schedule& schedule : codegen::candidate_schedules(conv, target, 1, {2, 2, 1}))
      schedules.push_back(schedule);
  for (const Schedule& schedule : schedules) {
    const Status status = codegen::check_schedule(schedule, conv, target);
    expect(status.ok(), "what is selected is legal",
           codegen::print_schedule(schedule) + " for " + ir::print_conv(conv) + ": " +
               status.message());
    expect_round_trip(schedule);
  }
}

}  // namespace
}  // namespace convgen::fuzz_inputs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace convgen;               // NOLINT: it is all about them
  using namespace convgen::fuzz_inputs;  // NOLINT
  std::string_view words = text_of(data, size);
  const ir::Conv conv = conv_of(take_until(words, '\n'));
  const Target& target = targets()[size % targets().size()];
  const auto schedule = codegen::parse_schedule(words, {});
  if (!schedule.ok()) {
    expect_field_named(schedule.status());
    return 0;
  }
  expect_round_trip(*schedule);
  expect_verdict(*schedule, conv, target);
  expect_selected_is_legal(conv, target);
  return 0;
}
