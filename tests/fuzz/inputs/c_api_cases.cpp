// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/inputs/c_api_cases.h"

#include <algorithm>
#include <cmath>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "tests/fuzz/inputs/expect.h"
#include "tests/support/random.h"

namespace convgen::fuzz_inputs {
namespace {

using ir::PostOpKind;

// Integers, which every order of summation adds exactly.
std::vector<float> draw(int64_t count, testing::Random& random) {
  std::vector<float> values(static_cast<size_t>(count));
  std::ranges::generate(values, [&] { return random.nonzero_integer(4); });
  return values;
}

CApiCase make_case(const char* text) {
  CApiCase made;
  made.conv = ir::parse_conv(text).value();
  made.text = ir::print_conv(made.conv);
  testing::Random random(1), of_weights(static_cast<uint64_t>(made.conv.weights_elements()));
  made.src = draw(made.conv.src_elements(), random);
  // The same for filters of one shape, which may share packed weights.
  made.weights = draw(made.conv.weights_elements(), of_weights);
  if (made.conv.uses(PostOpKind::kBias)) made.bias = draw(made.conv.oc, random);
  if (made.conv.uses(PostOpKind::kAdd)) made.add = draw(made.conv.dst_elements(), random);
  if (made.conv.uses(PostOpKind::kScale)) made.scale = draw(made.conv.oc, random);
  return made;
}

const float* null_if_empty(const std::vector<float>& values) {
  return values.empty() ? nullptr : values.data();
}

}  // namespace

const std::vector<CApiCase>& c_api_cases() {
  static const std::vector<CApiCase> cases = [] {
    std::vector<CApiCase> made;
    for (const char* text :
         {"conv2d src=f32:nhwc:1x4x5x3 weights=f32:hwio:3x3x3x9 pads=1x1 post=bias,relu",
          "conv1d src=f32:ncw:2x4x9 weights=f32:oiw:4x2x3 strides=2 groups=2 post=scale",
          "conv2d src=f32:nhwc:1x6x7x4 weights=f32:hwio:3x3x1x4 groups=4 post=add,clamp:-9:9",
          "conv2d src=f32:nhwc:1x5x6x1 weights=f32:hwio:3x3x1x1 pads=1:0x1:0",
          "conv3d src=f32:ncdhw:1x2x3x3x4 weights=f32:oidhw:3x2x2x2x2 dst=f32:ndhwc",
          "conv2d src=f32:nhwc:0x4x5x3 weights=f32:hwio:3x3x3x9 post=bias"})
      made.push_back(make_case(text));
    return made;
  }();
  return cases;
}

const CApiCase& case_of(const char* text) {
  const auto found = std::ranges::find(c_api_cases(), text, &CApiCase::text);
  expect(found != c_api_cases().end(), "a handle is of a conv that was asked for", text);
  return *found;
}

convgen_run_args args_of(const CApiCase& now, std::vector<float>& dst) {
  dst.assign(static_cast<size_t>(now.conv.dst_elements()), std::nanf(""));
  convgen_run_args args = CONVGEN_RUN_ARGS_INIT;
  args.src = null_if_empty(now.src);
  args.weights = now.weights.data();
  args.bias = null_if_empty(now.bias);
  args.add = null_if_empty(now.add);
  args.scale = null_if_empty(now.scale);
  args.dst = dst.empty() ? nullptr : dst.data();
  return args;
}

void expect_answer(const CApiCase& now, const std::vector<float>& dst, int winograd_tile,
                   const std::string& schedule) {
  const ir::TensorInputs inputs{now.src.data(), now.weights.data(), now.bias.data(), now.add.data(),
                                now.scale.data()};
  const ir::Reference reference = ir::interpret(now.conv, inputs, {winograd_tile});
  for (size_t i = 0; i < dst.size(); ++i)
    expect(std::abs(dst[i] - reference.y[i]) <= reference.tolerance[i],
           "results keep the interpreter's bound", now.text + "\nschedule " + schedule);
}

}  // namespace convgen::fuzz_inputs
