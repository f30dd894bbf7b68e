// SPDX-License-Identifier: Apache-2.0
// The generic path against TensorFlow's answers and the interpreter, on every instruction set of
// the host, between guard pages; and the promises of runtime/generic.h one by one.
#include "runtime/generic.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "ir/interpreter.h"
#include "ir/random_conv.h"
#include "ir/text.h"
#include "runtime/guarded_buffer.h"
#include "tests/support/oracle_cases.h"

namespace convgen {
namespace {

using generic::Isa;
using generic::Plan;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr uint32_t kUnwritten = 0x7fc0dead;

ir::Conv conv_of(const std::string& text) {
  Result<ir::Conv> conv = ir::parse_conv(text);
  EXPECT_TRUE(conv.ok()) << text << ": " << conv.status().message();
  return *conv;
}

GuardedBuffer guarded(int64_t elements, Flush flush) {
  return GuardedBuffer::create(static_cast<size_t>(elements) * sizeof(float), flush).value();
}

GuardedBuffer guarded_copy(const float* from, int64_t elements, Flush flush) {
  GuardedBuffer buffer = guarded(elements, flush);
  std::copy_n(from, elements, buffer.floats());
  EXPECT_TRUE(buffer.make_read_only());
  return buffer;
}

// The inputs of a convolution; what its post-ops do not use stays empty.
struct Data {
  std::vector<float> src, weights, bias, add, scale;

  explicit Data(const ir::Conv& conv, uint32_t seed = 1) {
    std::mt19937 engine(seed);
    const auto draw = [&](int64_t elements) {
      std::vector<float> values(static_cast<size_t>(elements));
      for (float& value : values) value = static_cast<float>(engine()) * 0x1p-31f - 1;
      return values;
    };
    src = draw(conv.src_elements());
    weights = draw(conv.weights_elements());
    if (conv.uses(ir::PostOpKind::kBias)) bias = draw(conv.oc);
    if (conv.uses(ir::PostOpKind::kAdd)) add = draw(conv.dst_elements());
    if (conv.uses(ir::PostOpKind::kScale)) scale = draw(conv.oc);
  }

  ir::TensorInputs inputs() const {
    return {src.data(), weights.data(), bias.data(), add.data(), scale.data()};
  }
};

struct RunOptions {
  Flush flush = Flush::kEnd;
  int64_t tasks_per_call = std::numeric_limits<int64_t>::max();
  bool add_is_dst = false;
};

// Packs and runs a plan with every tensor between guard pages, and demands that all is written.
std::vector<float> run_plan(const Plan& plan, const ir::TensorInputs& inputs,
                            const RunOptions& options = {}) {
  const ir::Conv& conv = plan.conv();
  const Flush flush = options.flush;
  const GuardedBuffer src = guarded_copy(inputs.src, conv.src_elements(), flush);
  const GuardedBuffer weights = guarded_copy(inputs.weights, conv.weights_elements(), flush);
  const auto used = [&](ir::PostOpKind kind, int64_t size) { return conv.uses(kind) ? size : 0; };
  const GuardedBuffer bias = guarded_copy(inputs.bias, used(ir::PostOpKind::kBias, conv.oc), flush);
  const int64_t add_elements = used(ir::PostOpKind::kAdd, conv.dst_elements());
  const GuardedBuffer add = guarded_copy(inputs.add, add_elements, flush);
  const GuardedBuffer scale =
      guarded_copy(inputs.scale, used(ir::PostOpKind::kScale, conv.oc), flush);
  const GuardedBuffer packed = guarded(static_cast<int64_t>(plan.packed_elements()), flush);
  const GuardedBuffer scratch =
      GuardedBuffer::create((plan.scratch_bytes_per_thread() + 63) / 64 * 64, flush).value();
  const GuardedBuffer dst = guarded(conv.dst_elements(), flush);
  std::fill_n(dst.floats(), conv.dst_elements(), std::bit_cast<float>(kUnwritten));
  if (options.add_is_dst) std::copy_n(inputs.add, add_elements, dst.floats());

  plan.pack_weights(weights.floats(), packed.floats());
  const generic::Tensors tensors{src.floats(),   packed.floats(),
                                 bias.floats(),  options.add_is_dst ? dst.floats() : add.floats(),
                                 scale.floats(), dst.floats()};
  for (int64_t begin = 0; begin < plan.tasks();) {
    const int64_t count = std::min(options.tasks_per_call, plan.tasks() - begin);
    plan.run(tensors, scratch.data(), begin, begin + count);
    begin += count;
  }
  std::vector<float> values(dst.floats(), dst.floats() + conv.dst_elements());
  for (const float value : values) EXPECT_NE(std::bit_cast<uint32_t>(value), kUnwritten);
  return values;
}

// How many values miss the interpreter's bound, told once.
void expect_right(const ir::Conv& conv, const ir::TensorInputs& inputs,
                  const std::vector<float>& values) {
  const ir::Reference reference = ir::interpret(conv, inputs);
  int wrong = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const ir::ReferenceOutput expected{reference.y[i], reference.s[i], reference.tolerance[i], 0};
    if (ir::within_tolerance(values[i], expected)) continue;
    if (wrong++ == 0) {
      ADD_FAILURE() << ir::print_conv(conv) << "\n  element " << i << ": " << values[i]
                    << ", expected " << expected.y << " within " << expected.tolerance;
    }
  }
  EXPECT_EQ(wrong, 0);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
  });
}

// One convolution per path: strided tiles, packed tiles, and depthwise in both layouts.
const char* const kPathConvs[] = {
    "conv2d src=f32:nhwc:2x13x11x19 weights=f32:hwio:3x3x19x70 pads=1x2 post=bias,relu",
    "conv2d src=f32:nchw:2x19x13x11 weights=f32:oihw:70x19x3x3 pads=1x2 post=bias,relu",
    "conv2d src=f32:nhwc:2x13x11x37 weights=f32:hwio:3x3x1x74 pads=1x2 groups=37 post=bias,relu",
    "conv2d src=f32:nchw:2x37x13x11 weights=f32:oihw:74x1x3x3 pads=1x2 groups=37 post=bias,relu",
};

class GenericIsaTest : public ::testing::TestWithParam<Isa> {};

TEST_P(GenericIsaTest, AgreesWithTensorFlow) {
  for (const std::string& name : testing::oracle_case_names()) {
    SCOPED_TRACE(name);
    const testing::OracleCase oracle = testing::load_oracle_case(name);
    const Plan plan(oracle.conv, GetParam());
    expect_right(oracle.conv, oracle.inputs(), run_plan(plan, oracle.inputs()));
  }
}

TEST_P(GenericIsaTest, AgreesWithTheInterpreterOnRandomConvolutions) {
  constexpr uint64_t kSeed = 20;
  for (uint64_t index = 0; index < 500; ++index) {
    const ir::Conv conv = ir::random_conv(kSeed, index, {.max_multiply_adds = 2e5});
    const Data data(conv, static_cast<uint32_t>(index));
    const Flush flush = index % 2 == 0 ? Flush::kEnd : Flush::kBegin;
    const Plan plan(conv, GetParam());
    expect_right(conv, data.inputs(), run_plan(plan, data.inputs(), {.flush = flush}));
  }
}

TEST_P(GenericIsaTest, SplittingTasksKeepsTheBits) {
  for (const char* text : kPathConvs) {
    SCOPED_TRACE(text);
    const ir::Conv conv = conv_of(text);
    const Data data(conv);
    const Plan plan(conv, GetParam());
    ASSERT_GT(plan.tasks(), 1);
    const std::vector<float> whole = run_plan(plan, data.inputs());
    EXPECT_TRUE(same_bits(whole, run_plan(plan, data.inputs(), {.tasks_per_call = 1})));
    EXPECT_TRUE(same_bits(whole, run_plan(plan, data.inputs(), {.tasks_per_call = 3})));
  }
}

TEST_P(GenericIsaTest, StrictKeepsTheBitsOfAnImageInAnyBatch) {
  const char* const shape =
      "conv2d src=f32:nhwc:{}x9x10x20 weights=f32:hwio:3x3x20x40 pads=same accuracy=strict";
  const ir::Conv batch = conv_of(fmt::format(fmt::runtime(shape), 5));
  const ir::Conv single = conv_of(fmt::format(fmt::runtime(shape), 1));
  const Data data(batch);
  const std::vector<float> all = run_plan(Plan(batch, GetParam()), data.inputs());
  ir::TensorInputs last = data.inputs();
  last.src += 4 * single.src_elements();
  const std::vector<float> one = run_plan(Plan(single, GetParam()), last);
  EXPECT_TRUE(same_bits(one, {all.end() - single.dst_elements(), all.end()}));
}

TEST_P(GenericIsaTest, PaddingIsSkippedUnderInfiniteWeights) {
  for (const char* text : kPathConvs) {
    SCOPED_TRACE(text);
    const ir::Conv conv = conv_of(text);
    Data data(conv);
    for (float& x : data.src) x = std::abs(x) + 0.5f;  // Inf * 0 only from the padding
    for (size_t i = 0; i < data.weights.size(); i += 5) data.weights[i] = kInfinity;
    const std::vector<float> values = run_plan(Plan(conv, GetParam()), data.inputs());
    expect_right(conv, data.inputs(), values);
    EXPECT_TRUE(std::none_of(values.begin(), values.end(), [](float x) { return std::isnan(x); }));
  }
}

TEST_P(GenericIsaTest, NanAndInfinityReachTheOutputsThatUseThem) {
  for (const char* text : kPathConvs) {
    SCOPED_TRACE(text);
    const ir::Conv conv = conv_of(text);
    Data data(conv);
    data.src[data.src.size() / 3] = std::numeric_limits<float>::quiet_NaN();
    data.src[data.src.size() / 2] = kInfinity;
    expect_right(conv, data.inputs(), run_plan(Plan(conv, GetParam()), data.inputs()));
  }
}

TEST_P(GenericIsaTest, PadValueTakesPartInTheSums) {
  for (const std::string text : kPathConvs) {
    for (const char* pad_value : {"1.5", "-2"}) {
      const ir::Conv conv = conv_of(text + " pad_value=" + pad_value);
      const Data data(conv);
      expect_right(conv, data.inputs(), run_plan(Plan(conv, GetParam()), data.inputs()));
    }
  }
}

TEST_P(GenericIsaTest, AddMayBeDst) {
  for (const std::string text : kPathConvs) {
    SCOPED_TRACE(text);
    const ir::Conv conv = conv_of(text + ",add,relu,add");
    const Data data(conv);
    const Plan plan(conv, GetParam());
    const std::vector<float> apart = run_plan(plan, data.inputs());
    EXPECT_TRUE(same_bits(apart, run_plan(plan, data.inputs(), {.add_is_dst = true})));
  }
}

TEST_P(GenericIsaTest, DstMayHaveAnotherLayout) {
  for (const std::string text : kPathConvs) {
    const bool last = text.find("nhwc") != std::string::npos;
    const ir::Conv conv = conv_of(text + ",add" + (last ? " dst=f32:nchw" : " dst=f32:nhwc"));
    const Data data(conv);
    expect_right(conv, data.inputs(), run_plan(Plan(conv, GetParam()), data.inputs()));
  }
}

TEST_P(GenericIsaTest, LargeLayersAreRight) {
  for (const char* text :
       {"conv2d src=f32:nhwc:1x20x31x64 weights=f32:hwio:3x3x64x200 pads=same post=add",
        "conv2d src=f32:nchw:1x64x20x31 weights=f32:oihw:200x64x3x3 pads=same post=add",
        "conv2d src=f32:nhwc:1x7x9x1024 weights=f32:hwio:1x1x1024x96",
        "conv2d src=f32:nhwc:2x14x14x96 weights=f32:hwio:1x1x48x128 groups=2 post=bias,relu"}) {
    const ir::Conv conv = conv_of(text);
    const Data data(conv);
    expect_right(conv, data.inputs(), run_plan(Plan(conv, GetParam()), data.inputs()));
  }
}

TEST_P(GenericIsaTest, EmptyConvolutionsHaveNoTasks) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:0x8x8x4 weights=f32:hwio:3x3x4x8");
  EXPECT_EQ(Plan(conv, GetParam()).tasks(), 0);
}

INSTANTIATE_TEST_SUITE_P(AllIsas, GenericIsaTest, ::testing::ValuesIn(generic::host_isas()),
                         [](const auto& isa_info) {
                           switch (isa_info.param) {
                             case Isa::kAvx2:
                               return "avx2";
                             case Isa::kAvx512:
                               return "avx512";
                             default:
                               return "baseline";
                           }
                         });

TEST(GenericTest, PackedTagsTellPackedOrdersApart) {
  const auto tag = [](const char* text) { return Plan(conv_of(text)).packed_tag(); };
  const std::string small = tag("conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x8x16");
  EXPECT_EQ(small, tag("conv2d src=f32:nhwc:4x30x20x8 weights=f32:hwio:3x3x8x16 post=relu"));
  EXPECT_NE(small, tag("conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:1x9x8x16"));
  EXPECT_NE(small, tag("conv2d src=f32:nhwc:1x9x9x16 weights=f32:hwio:3x3x8x16 groups=2"));
  EXPECT_NE(small, tag("conv2d src=f32:nchw:1x8x9x9 weights=f32:hwio:3x3x8x16"));
}

TEST(GenericTest, UsesTheBestInstructionSetOfTheHost) {
  EXPECT_EQ(generic::isa_name(), generic::isa_name(generic::host_isas().back()));
  EXPECT_EQ(generic::host_isas().front(), Isa::kBaseline);
}

}  // namespace
}  // namespace convgen
