// SPDX-License-Identifier: Apache-2.0
// Code for machines that this one is not: it keeps the interpreter's bound there too, and a bundle
// picks the level that the CPU has, or says that there is none.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "codegen/ahead_of_time.h"
#include "codegen/bundle.h"
#include "codegen/select_schedule.h"
#include "tests/cross/foreign_program.h"
#include "tests/support/filters.h"

namespace convgen {
namespace {

using codegen::Algorithm;
using testing::Data;
using testing::ForeignRun;
using testing::HostTensors;
using testing::Machine;

struct Case {
  const char* name;
  const char* conv;
  const char* schedule;  // words over the selected one
  const char* filter;    // constant weights; "" none
};

const Case kCases[] = {
    {"direct", "conv2d src=f32:nhwc:1x9x11x5 weights=f32:hwio:3x3x5x21 pads=same post=bias,relu",
     "direct", ""},
    {"pointwise", "conv2d src=f32:nhwc:2x7x7x16 weights=f32:hwio:1x1x16x24 post=bias,add,relu", "",
     ""},
    {"depthwise",
     "conv2d src=f32:nhwc:1x12x12x22 weights=f32:hwio:3x3x1x22 groups=22 strides=2x2 pads=same "
     "post=scale,bias,hard_swish",
     "", ""},
    {"grouped", "conv2d src=f32:nhwc:1x8x8x10 weights=f32:hwio:3x3x2x20 groups=5 pads=1x1", "", ""},
    {"rotated", "conv2d src=f32:nhwc:1x9x9x24 weights=f32:hwio:3x3x4x24 groups=6 pads=1x1", "", ""},
    {"winograd2",
     "conv2d src=f32:nhwc:1x13x13x16 weights=f32:hwio:3x3x16x20 pads=same post=bias,sigmoid",
     "winograd output_tile=2", ""},
    {"winograd4",
     "conv2d src=f32:nhwc:1x13x14x16 weights=f32:hwio:3x3x16x20 pads=same post=bias,tanh",
     "winograd output_tile=4", ""},
    {"winograd_nested",
     "conv2d src=f32:nhwc:1x13x14x16 weights=f32:hwio:3x3x16x20 pads=same post=bias,relu",
     "winograd output_tile=4 edges=nested", ""},
    {"planar", "conv2d src=f32:nchw:1x3x17x19 weights=f32:oihw:8x3x3x3 pads=same post=silu", "",
     ""},
    {"gelu", "conv2d src=f32:nhwc:1x6x6x8 weights=f32:hwio:2x2x8x9 post=bias,gelu,elu:0.5", "", ""},
    {"dilated", "conv2d src=f32:nhwc:1x15x15x6 weights=f32:hwio:3x3x6x7 dilations=2x2 pads=2x2", "",
     ""},
    {"conv1d", "conv1d src=f32:nwc:2x33x7 weights=f32:wio:5x7x11 pads=same post=leaky_relu:0.1", "",
     ""},
    {"conv3d",
     "conv3d src=f32:ncdhw:1x3x5x6x7 weights=f32:oidhw:6x3x2x3x3 pads=same post=gelu_tanh", "", ""},
    {"filter", "conv2d src=f32:nhwc:1x16x21x3 weights=f32:hwio:3x3x1x3 groups=3 pads=same", "",
     "edge"},
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.conv; }

std::vector<Machine> machines() {
  return {{"aarch64", "aarch64-linux-gnu", "", "", {CONVGEN_TEST_QEMU_AARCH64}},
          // SVE is the CPU's, but never the code's: the emulated one has none.
          {"neoverse_v1",
           "aarch64-linux-gnu",
           "neoverse-v1",
           "",
           {CONVGEN_TEST_QEMU_AARCH64, "-cpu", "max,sve=off"}},
          {"riscv64",
           "riscv64-linux-gnu",
           "",
           "+m,+v",
           {CONVGEN_TEST_QEMU_RISCV64, "-cpu", "rv64,v=true,vext_spec=v1.0,vlen=128"}},
          {"riscv64_vlen256",
           "riscv64-linux-gnu",
           "",
           "+m,+v",
           {CONVGEN_TEST_QEMU_RISCV64, "-cpu", "rv64,v=true,vext_spec=v1.0,vlen=256"}}};
}

codegen::CFunction function_of(const Case& c) {
  codegen::CFunction function{"conv", testing::conv_of(c.conv), {}};
  if (*c.filter != '\0') function.constants = testing::filter_named(c.filter, function.conv);
  return function;
}

HostTensors tensors_of(const codegen::CFunction& function) {
  HostTensors tensors = testing::random_tensors(function.conv, 1, Data::kReals);
  if (function.constants) tensors.weights = function.constants->values;
  return tensors;
}

class CrossTest : public ::testing::TestWithParam<std::tuple<Machine, Case>> {};

TEST_P(CrossTest, KeepsTheBound) {
  const auto& [machine, c] = GetParam();
  if (const auto missing = testing::what_is_missing(machine); !missing.empty())
    GTEST_SKIP() << missing;
  const codegen::CFunction function = function_of(c);
  const auto target = codegen::make_target(machine.triple, machine.mcpu, machine.mattr);
  ASSERT_TRUE(target.ok()) << target.status().message();
  const auto schedule = codegen::parse_schedule(
      c.schedule,
      codegen::select_schedule(function.conv, *target, 1, function.constant_weights()).schedule);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  const auto object =
      codegen::compile_c_functions(codegen::Stage::kObject, function, *schedule, *target);
  ASSERT_TRUE(object.ok()) << object.status().message();
  const HostTensors tensors = tensors_of(function);
  const ForeignRun ran = testing::run_foreign(
      machine, function, codegen::kernel_sizes(function, *schedule), *object, tensors);
  ASSERT_EQ(ran.exit, 0) << "signal " << ran.signal << ", " << ran.messages;
  ir::Summation summation;
  if (schedule->algorithm == Algorithm::kWinograd) summation.winograd_tile = schedule->output_tile;
  EXPECT_TRUE(
      testing::matches_interpreter(function.conv, tensors, ran.dst, /*exact=*/false, summation))
      << codegen::print_schedule(*schedule);
}

INSTANTIATE_TEST_SUITE_P(All, CrossTest,
                         ::testing::Combine(::testing::ValuesIn(machines()),
                                            ::testing::ValuesIn(kCases)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" + std::get<1>(test.param).name;
                         });

// The one level of a bundle is not asked for.
TEST(CrossBundleTest, RunsOnAArch64) {
  const Machine machine = machines()[0];
  if (const auto missing = testing::what_is_missing(machine); !missing.empty())
    GTEST_SKIP() << missing;
  const codegen::CFunction function = function_of(kCases[2]);
  const auto bundle = codegen::make_bundle({"test", {function}, machine.triple, {"cortex-a72"}});
  ASSERT_TRUE(bundle.ok()) << bundle.status().message();
  const HostTensors tensors = tensors_of(function);
  const ForeignRun ran =
      testing::run_foreign(machine, function, {0, 1 << 16, 1 << 16}, bundle->archive, tensors);
  ASSERT_EQ(ran.exit, 0) << "signal " << ran.signal << ", " << ran.messages;
  EXPECT_TRUE(testing::matches_interpreter(function.conv, tensors, ran.dst));
}

// --- Levels of x86-64, on CPUs that QEMU limits ---

struct Cpu {
  const char* name;
  const char* model;
  const char* level;  // of the bundle, that it runs; "" none
};

void PrintTo(const Cpu& cpu, std::ostream* out) { *out << cpu.model; }

class LevelTest : public ::testing::TestWithParam<Cpu> {};

// Which level ran is seen from the bits: x86-64-v2 has no fused multiply-add. A CPU without any of
// the levels gets an answer, not a signal.
TEST_P(LevelTest, BundleRunsWhatTheCpuHas) {
  const Cpu& cpu = GetParam();
  const Machine machine{
      "x86_64", "x86_64-linux-gnu", "x86-64", "", {CONVGEN_TEST_QEMU_X86_64, "-cpu", cpu.model}};
  if (const auto missing = testing::what_is_missing(machine); !missing.empty())
    GTEST_SKIP() << missing;
  const codegen::CFunction function = function_of(kCases[0]);
  const HostTensors tensors = tensors_of(function);
  const auto run = [&](const std::vector<std::string>& levels, const Machine& on) {
    const auto bundle = codegen::make_bundle({"test", {function}, machine.triple, levels});
    EXPECT_TRUE(bundle.ok());
    const codegen::KernelSizes enough{0, 1 << 16, 1 << 16};
    return testing::run_foreign(on, function, enough, bundle->archive, tensors);
  };
  const ForeignRun ran = run({"x86-64-v2", "x86-64-v3", "x86-64-v4"}, machine);
  ASSERT_EQ(ran.signal, 0);
  if (*cpu.level == '\0') {
    EXPECT_EQ(ran.exit, codegen::kCNoLevel);
    return;
  }
  ASSERT_EQ(ran.exit, codegen::kCDone) << ran.messages;
  const ForeignRun alone = run({cpu.level}, machine);
  EXPECT_TRUE(testing::same_bits(alone.dst, ran.dst));
  EXPECT_TRUE(testing::matches_interpreter(function.conv, tensors, ran.dst));
  const std::string other = cpu.level == std::string("x86-64-v2") ? "x86-64-v3" : "x86-64-v2";
  Machine best = machine;
  best.emulator.back() = "max";
  EXPECT_FALSE(testing::same_bits(run({other}, best).dst, ran.dst)) << "the levels give equal bits";
}

// TCG has no AVX-512: v4 is never taken. avx off hides what the registers of AVX are needed for,
// and xsave off XCR0 itself, whatever the bits of AVX2 and FMA say.
INSTANTIATE_TEST_SUITE_P(All, LevelTest,
                         ::testing::Values(Cpu{"max", "max", "x86-64-v3"},
                                           Cpu{"nehalem", "Nehalem", "x86-64-v2"},
                                           Cpu{"no_fma", "max,fma=off", "x86-64-v2"},
                                           Cpu{"no_avx", "max,avx=off", "x86-64-v2"},
                                           Cpu{"no_avx2", "max,avx2=off", "x86-64-v2"},
                                           Cpu{"no_bmi2", "max,bmi2=off", "x86-64-v2"},
                                           Cpu{"no_lzcnt", "max,abm=off", "x86-64-v2"},
                                           Cpu{"no_xsave", "max,xsave=off", "x86-64-v2"},
                                           Cpu{"no_sse42", "max,sse4.2=off", ""},
                                           Cpu{"core2", "core2duo", ""}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace convgen
