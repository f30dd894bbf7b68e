// SPDX-License-Identifier: Apache-2.0
// TensorFlow's answers against every engine: the interpreter, the generic path, and the JIT at
// every instruction set the host can run. Each answer is held against the file's dst and bound,
// and against the interpreter's tolerance.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ir/text.h"
#include "tests/support/isa_levels.h"
#include "tests/support/kernels.h"
#include "tests/support/oracle_cases.h"

namespace convgen::testing {
namespace {

constexpr double kU = 0x1p-24;
constexpr size_t kCases = 102;

// How a post-op passes an error on, and what it adds: slope * error + roundings * u * magnitude.
struct PostOpError {
  double slope = 1;
  double roundings = 0;
};

// Of the ops the oracle uses; said here once more, independent of ir/post_op_reference.h.
PostOpError post_op_error(ir::PostOpKind kind) {
  switch (kind) {
    case ir::PostOpKind::kRelu:
    case ir::PostOpKind::kMin:
    case ir::PostOpKind::kClamp:
      return {1, 0};
    case ir::PostOpKind::kBias:
    case ir::PostOpKind::kAdd:
    case ir::PostOpKind::kLeakyRelu:
      return {1, 1};
    case ir::PostOpKind::kElu:
    case ir::PostOpKind::kTanh:
      return {1, 4};
    case ir::PostOpKind::kSigmoid:
      return {0.25, 4};
    case ir::PostOpKind::kSilu:
      return {1.1, 6};
    case ir::PostOpKind::kGelu:
      return {1.13, 6};
    case ir::PostOpKind::kHardSwish:
      return {1.5, 6};
    default:
      ADD_FAILURE() << "a post-op the oracle did not use: say its error here";
      return {};
  }
}

// gamma(terms + 2) * bound carried through the chain. No intermediate of these chains is larger
// than S. TensorFlow's own answers are good to 5e-9.
double allowed_error(const OracleCase& oracle, size_t element) {
  const double bound = oracle.bound[element];
  const double roundings = static_cast<double>(oracle.terms + 2);
  double error = roundings * kU / (1 - roundings * kU) * bound;
  for (size_t i = 0; i < oracle.conv.post.size(); ++i) {
    const ir::PostOpKind kind = oracle.conv.post[i].kind;
    const bool leads = kind == ir::PostOpKind::kBias || kind == ir::PostOpKind::kAdd;
    if (leads && i < 2 && oracle.conv.post[0].kind != ir::PostOpKind::kRelu) continue;  // the + 2
    const PostOpError op = post_op_error(kind);
    error = op.slope * error + op.roundings * kU * std::max(bound, std::abs(oracle.dst[element]));
  }
  return error + 5e-9 * std::max(1.0, bound);
}

void expect_answer(const OracleCase& oracle, const std::vector<float>& dst,
                   const std::string& how) {
  ASSERT_EQ(dst.size(), oracle.dst.size());
  for (size_t i = 0; i < dst.size(); ++i) {
    ASSERT_LE(std::abs(dst[i] - oracle.dst[i]), allowed_error(oracle, i))
        << how << ", case " << oracle.name << ", element " << i << ": " << dst[i] << ", expected "
        << oracle.dst[i] << ": " << ir::print_conv(oracle.conv);
  }
}

HostTensors tensors_of(const OracleCase& oracle) {
  return {oracle.src, oracle.weights, oracle.bias, oracle.add, {}};
}

std::vector<OracleCase> all_cases() {
  std::vector<OracleCase> cases;
  for (const std::string& name : oracle_case_names()) cases.push_back(load_oracle_case(name));
  EXPECT_EQ(cases.size(), kCases);
  return cases;
}

void check_engine(const Engine& engine, const CompileOptions& options, const std::string& how) {
  const std::string expected = options.engine == EngineKind::kJit ? "jit" : "generic";
  for (const OracleCase& oracle : all_cases()) {
    const Kernel kernel = compile_kernel(engine, oracle.conv, options);
    ASSERT_EQ(kernel.engine_name(), expected);
    const HostTensors tensors = tensors_of(oracle);
    for (const Flush flush : {Flush::kEnd, Flush::kBegin}) {
      const std::vector<float> dst = run_kernel(kernel, tensors, {.flush = flush});
      expect_answer(oracle, dst, how);
      EXPECT_TRUE(matches_interpreter(oracle.conv, tensors, dst)) << how << ", " << oracle.name;
    }
  }
}

TEST(OracleTest, Interpreter) {
  for (const OracleCase& oracle : all_cases()) {
    const ir::Reference reference = ir::interpret(oracle.conv, oracle.inputs());
    std::vector<float> rounded(reference.y.begin(), reference.y.end());
    expect_answer(oracle, rounded, "interpreter");
    EXPECT_EQ(oracle.conv.terms(), oracle.terms) << oracle.name;
  }
}

TEST(OracleTest, Generic) { check_engine(make_engine(), generic_engine(), "generic"); }

// A wrong answer must not pass: the bound is no wider than a 5,000th of S.
TEST(OracleTest, BoundIsNarrow) {
  for (const OracleCase& oracle : all_cases()) {
    for (size_t i = 0; i < oracle.dst.size(); ++i)
      ASSERT_LE(allowed_error(oracle, i), 2e-4 * std::max(1.0, oracle.bound[i])) << oracle.name;
  }
}

class OracleJitTest : public ::testing::TestWithParam<IsaLevel> {};

TEST_P(OracleJitTest, AllCases) {
  const IsaLevel& level = GetParam();
  const Result<Engine> engine = Engine::create({.mcpu = level.mcpu});
  if (!engine.ok() && engine.status().code() == StatusCode::kUnsupported)
    GTEST_SKIP() << engine.status().message();
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  check_engine(*engine, {}, fmt::format("jit at {}", level.name));
}

INSTANTIATE_TEST_SUITE_P(Levels, OracleJitTest, ::testing::ValuesIn(kIsaLevels),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace convgen::testing
