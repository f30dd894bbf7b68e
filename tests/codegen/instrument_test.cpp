// SPDX-License-Identifier: Apache-2.0
// Instrumented code: every access is checked, nothing runs before the kernel does, and who does not
// ask for it gets the bytes of before.
#include "codegen/instrument.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <llvm/Object/ELFObjectFile.h>

#include <set>
#include <string>

#include "codegen/compile.h"
#include "tests/codegen/codegen_test_support.h"
#include "tests/support/filters.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::target_of;

constexpr const char* kConv =
    "conv2d src=f32:nhwc:1x9x9x5 weights=f32:hwio:3x3x5x19 pads=1x1 post=bias,sigmoid";

std::string compile_text(Stage stage, Instrument instrument,
                         const ConstantWeights* constants = nullptr) {
  const ir::Conv conv = conv_of(kConv);
  const Target target = target_of("x86-64-v3");
  const Schedule schedule = select_schedule(conv, target, 1, constants).schedule;
  const Result<std::string> code =
      compile(stage, conv, schedule, target, {.constants = constants, .instrument = instrument});
  EXPECT_TRUE(code.ok()) << code.status().message();
  return code.ok() ? *code : "";
}

std::set<std::string> undefined_symbols(const std::string& object) {
  std::set<std::string> names;
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "object"));
  EXPECT_TRUE(static_cast<bool>(file));
  for (const llvm::object::SymbolRef& symbol : (*file)->symbols())
    if (*symbol.getFlags() & llvm::object::SymbolRef::SF_Undefined)
      names.insert(symbol.getName()->str());
  names.erase("");
  return names;
}

TEST(Instrument, LoadsAndStoresAreChecked) {
  const std::string text = compile_text(Stage::kLlvmOpt, Instrument::kAddresses);
  EXPECT_THAT(text, HasSubstr("call void @__asan_load4("));
  EXPECT_THAT(text, HasSubstr("call void @__asan_loadN("));
  EXPECT_THAT(text, HasSubstr("call void @__asan_storeN("));
}

TEST(Instrument, NothingRunsBeforeTheKernel) {
  ConstantWeights weights = convgen::testing::filter_named("reals", conv_of(kConv));
  for (const ConstantWeights* constants :
       {(const ConstantWeights*)nullptr, (const ConstantWeights*)&weights}) {
    const std::string text = compile_text(Stage::kLlvmOpt, Instrument::kAddresses, constants);
    EXPECT_THAT(text, Not(HasSubstr("_ctor")));
    EXPECT_THAT(text, Not(HasSubstr("__asan_init")));
    EXPECT_THAT(text, Not(HasSubstr("__asan_global")));
  }
}

TEST(Instrument, ObjectsNeedTheSanitizerAlone) {
  const std::set<std::string> names =
      undefined_symbols(compile_text(Stage::kObject, Instrument::kAddresses));
  EXPECT_FALSE(names.empty());
  for (const std::string& name : names) EXPECT_EQ(name.rfind("__asan_", 0), 0u) << name;
}

TEST(Instrument, EmittedTextIsTheSame) {
  EXPECT_EQ(compile_text(Stage::kLlvm, Instrument::kAddresses),
            compile_text(Stage::kLlvm, Instrument::kNothing));
  EXPECT_NE(compile_text(Stage::kAssembly, Instrument::kAddresses),
            compile_text(Stage::kAssembly, Instrument::kNothing));
}

TEST(Instrument, NobodyGetsItUnasked) {
  EXPECT_TRUE(undefined_symbols(compile_text(Stage::kObject, Instrument::kNothing)).empty());
  EXPECT_THAT(compile_text(Stage::kLlvmOpt, Instrument::kNothing), Not(HasSubstr("asan")));
}

}  // namespace
}  // namespace convgen::codegen
