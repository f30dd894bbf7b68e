// SPDX-License-Identifier: Apache-2.0
// Code generation: the same bytes for the same input, objects that need nothing from outside, and
// an error with a code for whatever cannot be.
#include "codegen/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <llvm/BinaryFormat/ELF.h>
#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Object/ELFObjectFile.h>

#include <thread>

#include "ir/random_conv.h"
#include "tests/codegen/codegen_test_support.h"
#include "tests/support/filters.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using ::testing::HasSubstr;
using testing::kAArch64;
using testing::schedule_of;
using ::testing::StartsWith;
using testing::target_of;

constexpr const char* k3x3 =
    "conv2d src=f32:nhwc:1x14x14x16 weights=f32:hwio:3x3x16x24 pads=1x1 post=bias,sigmoid";

Result<std::string> compile_selected(Stage stage, const std::string& conv_text,
                                     const std::string& target_name) {
  const ir::Conv conv = conv_of(conv_text);
  const Target target = target_of(target_name);
  return compile(stage, conv, select_schedule(conv, target).schedule, target);
}

// Reads an object and says what is wrong with it, one line each; "" if nothing.
std::string object_faults(const std::string& bytes, const std::string& function, uint16_t machine) {
  std::string faults;
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes, "object"));
  if (!file) return "no object: " + llvm::toString(file.takeError());
  const auto* elf = llvm::dyn_cast<llvm::object::ELFObjectFileBase>(file->get());
  if (elf == nullptr) return "no ELF file";
  if (elf->getEMachine() != machine) faults += "wrong machine\n";
  if (elf->getEType() != llvm::ELF::ET_REL) faults += "not relocatable\n";
  int exported = 0;
  for (const llvm::object::ELFSymbolRef symbol : elf->symbols()) {
    const std::string name = symbol.getName()->str();
    const uint32_t flags = *symbol.getFlags();
    if (flags & llvm::object::SymbolRef::SF_Undefined && !name.empty())
      faults += "undefined symbol " + name + "\n";
    if (!(flags & llvm::object::SymbolRef::SF_Global)) continue;
    ++exported;
    if (name != function) faults += "exports " + name + "\n";
  }
  if (exported != 1) faults += std::to_string(exported) + " exported symbols\n";
  for (const llvm::object::SectionRef& section : elf->sections()) {
    const std::string name = section.getName()->str();
    if (name.find("eh_frame") != std::string::npos) faults += "has " + name + "\n";
    const llvm::object::ELFSectionRef as_elf(section);
    if (as_elf.getFlags() & llvm::ELF::SHF_WRITE && section.getSize() > 0)
      faults += "writable section " + name + "\n";
    for (const llvm::object::RelocationRef& relocation : section.relocations()) {
      llvm::SmallString<32> type;
      relocation.getTypeName(type);
      // R_X86_64_64, _32, _32S; R_AARCH64_ABS64...: the address itself, not a distance. (The low
      // bits of a page, ..._ABS_LO12_NC, come with a distance between pages.)
      const llvm::StringRef t(type);
      if (t == "R_X86_64_64" || t == "R_X86_64_32" || t == "R_X86_64_32S" ||
          t.starts_with("R_AARCH64_ABS") || t.contains("GOT"))
        faults += "relocation " + t.str() + "\n";
    }
  }
  return faults;
}

uint16_t machine_of(const std::string& target_name) {
  return target_name == kAArch64 ? llvm::ELF::EM_AARCH64 : llvm::ELF::EM_X86_64;
}

class CompileFor : public ::testing::TestWithParam<std::string> {};

TEST_P(CompileFor, ObjectsNeedNothingFromOutside) {
  const Target target = target_of(GetParam());
  for (uint64_t index = 0; index < 60; ++index) {
    const ir::Conv conv = ir::random_conv(8, index);
    const Schedule schedule = select_schedule(conv, target).schedule;
    const Result<std::string> object =
        compile(Stage::kObject, conv, schedule, target, {.function_name = "my_kernel"});
    ASSERT_TRUE(object.ok()) << ir::print_conv(conv) << ": " << object.status().message();
    EXPECT_EQ(object_faults(*object, "my_kernel", machine_of(GetParam())), "")
        << ir::print_conv(conv);
  }
}

// Chains with constants and exponentials, residuals, transposed stores: what may tempt LLVM to
// call memcpy or to make tables.
TEST_P(CompileFor, LongChainsNeedNothingFromOutside) {
  for (const char* text :
       {"conv2d src=f32:nhwc:1x14x14x16 weights=f32:hwio:3x3x16x40 pads=1x1 dst=f32:nchw "
        "post=bias,add,gelu,tanh,silu,elu:0.5,gelu_tanh,hard_swish,scale",
        "conv2d src=f32:nchw:2x16x14x14 weights=f32:oihw:32x4x5x5 groups=4 pad_value=3 pads=2x2",
        "conv3d src=f32:ndhwc:1x9x9x9x33 weights=f32:dhwio:3x3x3x1x33 groups=33 pads=1x1x1"}) {
    const Result<std::string> object = compile_selected(Stage::kObject, text, GetParam());
    ASSERT_TRUE(object.ok()) << text << ": " << object.status().message();
    EXPECT_EQ(object_faults(*object, kDefaultFunctionName, machine_of(GetParam())), "") << text;
  }
}

// Weights in the code, as constants of a filter and as data, need nothing from outside either.
TEST_P(CompileFor, ConstantWeightsNeedNothingFromOutside) {
  const Target target = target_of(GetParam());
  for (const char* text :
       {"conv2d src=f32:nhwc:1x14x50x3 weights=f32:hwio:3x3x3x3 pads=1x1 post=bias,add,gelu",
        "conv2d src=f32:nchw:1x2x14x50 weights=f32:oihw:4x1x3x3 groups=2 pads=1x1 pad_value=2",
        "conv2d src=f32:nhwc:1x14x50x1 weights=f32:hwio:5x5x1x1 pads=2x2",
        "conv2d src=f32:nhwc:1x9x9x20 weights=f32:hwio:3x3x20x40 pads=1x1 post=bias,relu",
        "conv2d src=f32:nhwc:1x14x14x40 weights=f32:hwio:3x3x1x40 groups=40 pads=1x1"}) {
    const ir::Conv conv = conv_of(text);
    for (const char* filter : {"gauss", "random", "reals"}) {
      const ConstantWeights weights = convgen::testing::filter_named(filter, conv);
      const Schedule schedule = select_schedule(conv, target, 1, &weights).schedule;
      const auto emit = [&](Stage stage) {
        Result<std::string> bytes = compile(stage, conv, schedule, target,
                                            {.function_name = "my_kernel", .constants = &weights});
        EXPECT_TRUE(bytes.ok()) << text << ": " << bytes.status().message();
        return bytes.ok() ? *bytes : "";
      };
      const std::string object = emit(Stage::kObject);
      EXPECT_EQ(object_faults(object, "my_kernel", machine_of(GetParam())), "")
          << text << " " << filter;
      EXPECT_TRUE(object == emit(Stage::kObject));
    }
  }
}

TEST_P(CompileFor, SameInputSameBytes) {
  for (Stage stage :
       {Stage::kLlvm, Stage::kLlvmOpt, Stage::kAssembly, Stage::kObject, Stage::kBitcode}) {
    const auto first = compile_selected(stage, k3x3, GetParam());
    const auto second = compile_selected(stage, k3x3, GetParam());
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_TRUE(*first == *second) << "stage " << static_cast<int>(stage);
    EXPECT_FALSE(first->empty());
  }
}

TEST_P(CompileFor, SameBytesFromEightThreads) {
  const Result<std::string> alone = compile_selected(Stage::kObject, k3x3, GetParam());
  ASSERT_TRUE(alone.ok());
  std::vector<std::string> objects(8);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      // Others meanwhile, so that any shared state would show.
      (void)compile_selected(Stage::kObject,
                             i % 2
                                 ? "conv1d src=f32:nwc:1x9x4 weights=f32:wio:3x4x8"
                                 : "conv2d src=f32:nhwc:1x9x9x8 weights=f32:hwio:3x3x1x8 groups=8",
                             GetParam());
      const auto object = compile_selected(Stage::kObject, k3x3, GetParam());
      if (object.ok()) objects[i] = *object;
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& object : objects) EXPECT_TRUE(object == *alone);
}

// Every kernel, of one block as well, begins by linking its frame to the caller's, and says nothing
// else of how to unwind it.
TEST_P(CompileFor, FramePointersAreKeptAndNoTablesWritten) {
  const char* const prologue =
      GetParam() == kAArch64 ? "\tx29, sp" : "\tpushq\t%rbp\n\tmovq\t%rsp, %rbp\n";
  for (uint64_t index = 0; index < 30; ++index) {
    const std::string text = ir::print_conv(ir::random_conv(9, index));
    const Result<std::string> assembly = compile_selected(Stage::kAssembly, text, GetParam());
    ASSERT_TRUE(assembly.ok()) << text << ": " << assembly.status().message();
    EXPECT_THAT(*assembly, HasSubstr(prologue)) << text;
    EXPECT_THAT(*assembly, ::testing::Not(HasSubstr(".cfi_"))) << text;
  }
}

TEST_P(CompileFor, PeakLoopIsAnObjectToo) {
  int64_t flops = 0;
  const Target target = target_of(GetParam());
  const Result<std::string> object = compile_peak_loop(target, &flops);
  ASSERT_TRUE(object.ok()) << object.status().message();
  EXPECT_EQ(object_faults(*object, kDefaultFunctionName, machine_of(GetParam())), "");
  EXPECT_GE(flops, 2 * 4 * target.max_lanes);
  EXPECT_EQ(flops % (2 * target.max_lanes), 0);
}

INSTANTIATE_TEST_SUITE_P(Targets, CompileFor, ::testing::ValuesIn(testing::all_target_names()),
                         [](const auto& instance) {
                           return testing::test_name_of(instance.param);
                         });

TEST(Compile, StagesAreWhatTheyAreCalled) {
  const std::string llvm = *compile_selected(Stage::kLlvm, k3x3, "x86-64-v3");
  EXPECT_THAT(llvm, HasSubstr("define void @convgen_kernel(ptr"));
  EXPECT_THAT(llvm, HasSubstr("<8 x float>"));
  EXPECT_THAT(llvm, HasSubstr("target triple = \"x86_64-unknown-linux-gnu\""));
  const std::string assembly = *compile_selected(Stage::kAssembly, k3x3, "x86-64-v3");
  EXPECT_THAT(assembly, HasSubstr("\nconvgen_kernel:"));
  EXPECT_THAT(*compile_selected(Stage::kObject, k3x3, "x86-64-v3"), StartsWith("\177ELF"));
  EXPECT_THAT(*compile_selected(Stage::kAssembly, k3x3, kAArch64), HasSubstr("fmla"));
}

TEST(Compile, BitcodeIsTheModule) {
  const std::string bytes = *compile_selected(Stage::kBitcode, k3x3, "x86-64-v4");
  llvm::LLVMContext context;
  auto module = llvm::parseBitcodeFile(llvm::MemoryBufferRef(bytes, "bitcode"), context);
  ASSERT_TRUE(static_cast<bool>(module)) << llvm::toString(module.takeError());
  EXPECT_FALSE(llvm::verifyModule(**module));
  const llvm::Function* function = (*module)->getFunction(kDefaultFunctionName);
  ASSERT_NE(function, nullptr);
  EXPECT_EQ(function->arg_size(), 3u);
  EXPECT_TRUE(function->getReturnType()->isVoidTy());
}

TEST(Compile, DifferentInputsDiffer) {
  const std::string base = *compile_selected(Stage::kObject, k3x3, "x86-64-v3");
  EXPECT_NE(base, *compile_selected(Stage::kObject, std::string(k3x3) + ",relu", "x86-64-v3"));
  EXPECT_NE(base, *compile_selected(Stage::kObject, k3x3, "x86-64-v4"));
}

TEST(Compile, EmptyConvolutionsAreAFunctionThatReturns) {
  for (const char* text : {"conv2d src=f32:nhwc:0x8x8x3 weights=f32:hwio:3x3x3x4",
                           "conv2d src=f32:nhwc:1x4x4x3 weights=f32:hwio:3x3x3x0"}) {
    const std::string llvm = *compile_selected(Stage::kLlvm, text, "x86-64-v3");
    EXPECT_THAT(llvm, HasSubstr("entry:\n  ret void\n}"));
  }
}

TEST(Compile, TimesAreMeasured) {
  const ir::Conv conv = conv_of(k3x3);
  const Target target = target_of("x86-64-v3");
  CompileTimes times{-1, -1, -1};
  ASSERT_TRUE(
      compile(Stage::kObject, conv, select_schedule(conv, target).schedule, target, {}, &times)
          .ok());
  EXPECT_GE(times.emit_ms, 0);
  EXPECT_GT(times.passes_ms, 0);
  EXPECT_GT(times.codegen_ms, 0);
}

TEST(Compile, TasksOfAFullyUnrolledKernelAreOne) {
  const ir::Conv conv = conv_of("conv2d src=f32:nhwc:2x3x3x2 weights=f32:hwio:2x2x2x4");
  EXPECT_EQ(count_tasks(conv, schedule_of("lanes=4")), 4);  // images x rows
  EXPECT_EQ(count_tasks(conv, schedule_of("lanes=4 unroll=full")), 1);
  const ir::Conv empty = conv_of("conv2d src=f32:nhwc:0x3x3x2 weights=f32:hwio:2x2x2x4");
  EXPECT_EQ(count_tasks(empty, schedule_of("lanes=4 unroll=full")), 0);
}

struct Refused {
  const char* schedule;
  StatusCode code;
};

TEST(Compile, WhatTheScheduleBreaksIsRefused) {
  const ir::Conv conv = conv_of(k3x3);
  const Target target = target_of("x86-64-v3");
  for (const Refused& refused : {Refused{"lanes=16", StatusCode::kInvalidArgument},
                                 Refused{"lanes=8 depthwise", StatusCode::kInvalidArgument},
                                 Refused{"lanes=8 merge_rows=1", StatusCode::kInvalidArgument},
                                 Refused{"lanes=8 unroll=full", StatusCode::kResourceExhausted}})
    for (Stage stage : {Stage::kLlvm, Stage::kObject})
      EXPECT_EQ(compile(stage, conv, schedule_of(refused.schedule), target).status().code(),
                refused.code)
          << refused.schedule;
}

TEST(Compile, ATargetWithoutACodeGeneratorIsRefused) {
  Target target = target_of("x86-64-v3");
  target.triple = "pdp11-unknown-none";
  const Status status =
      compile(Stage::kObject, conv_of(k3x3), schedule_of("lanes=8"), target).status();
  EXPECT_EQ(status.code(), StatusCode::kCompileFailed);
  EXPECT_THAT(status.message(), StartsWith("target: "));
  int64_t flops = 0;
  EXPECT_EQ(compile_peak_loop(target, &flops).status().code(), StatusCode::kCompileFailed);
}

TEST(Compile, VersionIsLlvm19) { EXPECT_THAT(llvm_version(), StartsWith("19.")); }

}  // namespace
}  // namespace convgen::codegen
