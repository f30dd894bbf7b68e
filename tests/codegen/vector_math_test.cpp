// SPDX-License-Identifier: Apache-2.0
// The functions of post-ops as machine code, on every ISA level the host has, against f64: the
// errors that codegen/vector_math.h and docs/numerics.md promise. A depthwise 1x1 convolution with
// weights of one hands its source to the post-op unchanged.
#include "codegen/vector_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>

#include "runtime/engine.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

constexpr double u = 0x1p-24;
constexpr double kTiny = 0x1p-125;
constexpr int64_t kChannels = 16;  // fills the widest vector
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// What a function promises at x, where its exact value is y: |y' - y| <= bound(x, y).
struct Function {
  const char* post;
  double (*exact)(double x);
  double (*bound)(double x, double y);
  double (*unit)(double x, double y);  // errors are printed in multiples of this
};

double relative(double, double y) { return u * std::abs(y); }
double absolute(double x, double) { return u * std::abs(x); }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double elu(double x, double a) { return x < 0 ? a * std::expm1(x) : x; }
// 1 + erf z = erfc(-z), 1 + tanh z = 2 sigmoid(2z): no cancellation for negative x.
double gelu(double x) { return x * (std::erfc(-x / std::sqrt(2.0)) / 2); }
double gelu_tanh(double x) {
  return x * sigmoid(2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x));
}
double hard_sigmoid(double x) { return std::min(std::max(x + 3, 0.0), 6.0) / 6; }

// The bounds of vector_math.h, with what docs/numerics.md grants to products and to tails.
const Function kFunctions[] = {
    {"elu:1", [](double x) { return elu(x, 1); },
     [](double, double y) { return 4 * u * std::abs(y) + 2 * kTiny; }, relative},
    {"elu:0.25", [](double x) { return elu(x, 0.25); },
     [](double, double y) { return 4 * u * std::abs(y) + 1.25 * kTiny; }, relative},
    {"elu:-3", [](double x) { return elu(x, -3); },
     [](double, double y) { return 4 * u * std::abs(y) + 4 * kTiny; }, relative},
    {"sigmoid", sigmoid, [](double, double y) { return 4 * u * std::abs(y) + kTiny; }, relative},
    {"tanh", [](double x) { return std::tanh(x); },
     [](double, double y) { return 4 * u * std::abs(y) + kTiny; }, relative},
    {"silu", [](double x) { return x * sigmoid(x); },
     [](double x, double y) { return 6 * u * std::abs(y) + (1 + std::abs(x)) * kTiny; }, relative},
    {"gelu", gelu, [](double x, double) { return 4 * u * std::abs(x) + kTiny; }, absolute},
    {"gelu_tanh", gelu_tanh, [](double x, double) { return 6 * u * std::abs(x) + kTiny; },
     absolute},
    {"hard_sigmoid", hard_sigmoid,
     [](double x, double y) { return 4 * u * std::abs(y) + (std::abs(x) < 4 ? u : 0); }, relative},
    {"hard_swish", [](double x) { return x * hard_sigmoid(x); },
     [](double x, double y) {
       return 5 * u * std::abs(y) + (std::abs(x) < 4 ? u * std::abs(x) : 0) + 0x1p-150;
     },
     absolute},
};

// Every sign and exponent with random mantissas, denormals among them, and the range where the
// functions bend once more.
std::vector<float> make_inputs() {
  std::mt19937_64 random(20);
  std::vector<float> inputs;
  constexpr int kMantissas = 2048;
  for (uint32_t high = 0; high < 512; ++high) {
    if ((high & 255) == 255) continue;  // Inf and NaN have a test of their own
    for (int i = 0; i < kMantissas; ++i) {
      // The ends of each binade, then anything.
      const uint32_t mantissa = i == 0 ? 0 : i == 1 ? 0x7fffff : random() & 0x7fffff;
      inputs.push_back(std::bit_cast<float>(high << 23 | mantissa));
    }
  }
  std::uniform_real_distribution<float> bend(-12, 12), tail(-110, 110);
  for (int i = 0; i < 600000; ++i) inputs.push_back(bend(random));
  for (int i = 0; i < 200000; ++i) inputs.push_back(tail(random));
  while (inputs.size() % kChannels != 0) inputs.push_back(0);
  return inputs;
}

const std::vector<float>& inputs() {
  static const auto* all = new std::vector<float>(make_inputs());
  return *all;
}

class VectorMathOn : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const Status status = check_runs_on(testing::target_of(GetParam()), *host_target());
    if (!status.ok()) GTEST_SKIP() << status.message();
  }

  // post applied to each of `in`, a multiple of kChannels.
  std::vector<float> apply(const std::string& post, const std::vector<float>& in) {
    Result<Engine> engine = Engine::create({.mcpu = GetParam()});
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    const std::string c = std::to_string(kChannels);
    const ir::Conv conv =
        testing::conv_of("conv1d src=f32:nwc:1x" + std::to_string(in.size() / kChannels) + "x" + c +
                         " weights=f32:wio:1x1x" + c + " groups=" + c + " post=" + post);
    const Result<Kernel> kernel = engine->compile(conv);
    EXPECT_TRUE(kernel.ok()) << kernel.status().message();
    EXPECT_EQ(kernel->engine_name(), "jit");
    const std::vector<float> ones(kChannels, 1.0f);
    std::vector<float> out(in.size(), kNan);
    const Status ran = kernel->run({.src = in.data(), .weights = ones.data(), .dst = out.data()});
    EXPECT_TRUE(ran.ok()) << ran.message();
    return out;
  }

  std::vector<float> apply_few(const std::string& post, std::vector<float> in) {
    const size_t count = in.size();
    while (in.size() % kChannels != 0) in.push_back(1);
    std::vector<float> out = apply(post, in);
    out.resize(count);
    return out;
  }
};

struct Worst {
  double ratio = 0;  // error relative to its bound
  double units = 0;  // error in units, tails below 2^-120 apart
  float at = 0, units_at = 0, found = 0;
  double expected = 0;

  void see(const Function& f, float x, float result) {
    const double y = f.exact(x);
    const double error = std::abs(result - y);
    const double limit = f.bound(x, y);
    // Written so that a NaN is the worst.
    const double here = error == 0 ? 0 : error <= limit || error > limit ? error / limit : HUGE_VAL;
    if (here > ratio) ratio = here, at = x, found = result, expected = y;
    const double unit = f.unit(x, y);
    if (unit > u * 0x1p-100 && std::isfinite(error) && error / unit > units)
      units = error / unit, units_at = x;
  }
};

TEST_P(VectorMathOn, ErrorsStayWithinThePromise) {
  for (const Function& f : kFunctions) {
    const std::vector<float> out = apply(f.post, inputs());
    Worst worst;
    for (size_t i = 0; i < out.size(); ++i) {
      // gelu_tanh cubes its argument and hard_swish squares: what overflows f32 has no bound.
      if (std::abs(f.exact(inputs()[i])) > std::numeric_limits<float>::max()) continue;
      worst.see(f, inputs()[i], out[i]);
    }
    const std::string text = std::to_string(worst.units) + "u" + (f.unit == absolute ? "|x|" : "") +
                             " at " + ir::print_float(worst.units_at);
    std::printf("[ measured ] %-9s %-12s max error %s; %.2f of the bound\n", GetParam().c_str(),
                f.post, text.c_str(), worst.ratio);
    RecordProperty(testing::test_name_of(f.post), text);
    EXPECT_LE(worst.ratio, 1) << f.post << ": x = " << std::hexfloat << worst.at << " ("
                              << ir::print_float(worst.at) << ") gives " << worst.found
                              << ", exactly " << worst.expected;
    EXPECT_GT(worst.ratio, 0.01) << f.post << ": no rounding seen, so nothing was measured";
  }
}

TEST_P(VectorMathOn, NanGoesThrough) {
  for (const char* post :
       {"elu:1", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh", "hard_sigmoid", "hard_swish",
        "relu", "leaky_relu:0.1", "clamp:-1:1", "min:0", "max:0", "abs", "square"}) {
    // Quiet, negative and signalling; and none of them reaches its neighbours.
    const std::vector<float> y =
        apply_few(post, {kNan, 1, -kNan, 1, std::bit_cast<float>(0x7f800001u), 1});
    for (size_t i = 0; i < y.size(); ++i)
      EXPECT_EQ(std::isnan(y[i]), i % 2 == 0) << post << " gives " << y[i] << " in lane " << i;
  }
}

struct Limit {
  const char* post;
  float at_minus_inf, at_plus_inf;
};

// The expressions of ir/conv.h: -inf * 0 is NaN, e^-inf is 0.
TEST_P(VectorMathOn, InfinitiesFollowTheExpressions) {
  for (const Limit& limit :
       {Limit{"elu:1", -1, kInf}, Limit{"elu:0.25", -0.25f, kInf}, Limit{"sigmoid", 0, 1},
        Limit{"tanh", -1, 1}, Limit{"silu", kNan, kInf}, Limit{"gelu", kNan, kInf},
        Limit{"gelu_tanh", kNan, kInf}, Limit{"hard_sigmoid", 0, 1},
        Limit{"hard_swish", kNan, kInf}, Limit{"relu", 0, kInf},
        Limit{"leaky_relu:0.5", -kInf, kInf}, Limit{"clamp:-2:3", -2, 3}, Limit{"min:5", -kInf, 5},
        Limit{"max:5", 5, kInf}, Limit{"abs", kInf, kInf}, Limit{"square", kInf, kInf}}) {
    const std::vector<float> y = apply_few(limit.post, {-kInf, kInf});
    if (std::isnan(limit.at_minus_inf))
      EXPECT_TRUE(std::isnan(y[0])) << limit.post << " of -inf is " << y[0];
    else
      EXPECT_EQ(y[0], limit.at_minus_inf) << limit.post;
    EXPECT_EQ(y[1], limit.at_plus_inf) << limit.post;
  }
}

struct Selecting {
  const char* post;
  float (*exact)(float x);
};

// Ops of one rounding or none have no freedom at all.
TEST_P(VectorMathOn, SelectingOpsAreExact) {
  for (const Selecting& op :
       {Selecting{"relu", [](float x) { return x < 0 ? 0 : x; }},
        Selecting{"leaky_relu:0.1", [](float x) { return x < 0 ? 0.1f * x : x; }},
        Selecting{"clamp:-0.5:6", [](float x) { return std::min(std::max(x, -0.5f), 6.0f); }},
        Selecting{"min:0.75", [](float x) { return x > 0.75f ? 0.75f : x; }},
        Selecting{"max:-3", [](float x) { return x < -3 ? -3 : x; }},
        Selecting{"abs", [](float x) { return std::abs(x); }},
        Selecting{"square", [](float x) { return x * x; }}}) {
    const std::vector<float> out = apply(op.post, inputs());
    int64_t wrong = 0;
    for (size_t i = 0; i < out.size(); ++i) wrong += !(out[i] == op.exact(inputs()[i]));
    EXPECT_EQ(wrong, 0) << op.post;
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, VectorMathOn, ::testing::ValuesIn(isa_levels()),
                         [](const auto& instance) {
                           return testing::test_name_of(instance.param);
                         });

}  // namespace
}  // namespace convgen::codegen
