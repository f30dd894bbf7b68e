// SPDX-License-Identifier: Apache-2.0
// Bundles: members that need nothing from outside, bytes that do not depend on threads, and an
// error for what cannot be.
#include "codegen/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/Object/Archive.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/Host.h>

#include <set>

#include "codegen/ahead_of_time.h"
#include "codegen/emit_cpu_check.h"
#include "codegen/emit_function.h"
#include "codegen/select_schedule.h"
#include "codegen/x86_features.h"
#include "tests/codegen/codegen_test_support.h"
#include "tests/support/filters.h"

namespace convgen::codegen {
namespace {

using testing::conv_of;
using ::testing::HasSubstr;
using testing::target_of;

constexpr const char* kTriple = "x86_64-linux-gnu";

std::vector<CFunction> functions() {
  std::vector<CFunction> result;
  for (const std::string text :
       {"conv2d src=f32:nhwc:1x14x14x16 weights=f32:hwio:3x3x16x24 pads=same post=bias,tanh name=a",
        "conv2d src=f32:nhwc:1x9x9x24 weights=f32:hwio:3x3x1x24 groups=24 pads=same name=b",
        "conv2d src=f32:nhwc:1x16x16x3 weights=f32:hwio:3x3x1x3 groups=3 pads=same name=c"})
    result.push_back({conv_of(text).name, conv_of(text), {}});
  result.back().constants = convgen::testing::edge_filter(result.back().conv);
  return result;
}

Bundle bundle_of(const BundleRequest& request) {
  auto bundle = make_bundle(request);
  if (!bundle.ok()) throw std::runtime_error(bundle.status().message());
  return *std::move(bundle);
}

// What the symbols and sections of objects say, all together.
struct Contents {
  std::set<std::string> visible, hidden, undefined, sections;
  std::vector<std::string> members;
};

void read_object(llvm::MemoryBufferRef bytes, Contents& contents) {
  auto file = llvm::object::ObjectFile::createObjectFile(bytes);
  if (!file) throw std::runtime_error(llvm::toString(file.takeError()));
  const auto& elf = llvm::cast<llvm::object::ELFObjectFileBase>(**file);
  for (const llvm::object::ELFSymbolRef symbol : elf.symbols()) {
    const std::string name = symbol.getName()->str();
    const uint32_t flags = *symbol.getFlags();
    if (flags & llvm::object::SymbolRef::SF_Undefined) {
      if (!name.empty()) contents.undefined.insert(name);
    } else if (flags & llvm::object::SymbolRef::SF_Global) {
      const bool hidden = (symbol.getOther() & 3) == llvm::ELF::STV_HIDDEN;
      (hidden ? contents.hidden : contents.visible).insert(name);
    }
  }
  for (const llvm::object::SectionRef& section : elf.sections())
    contents.sections.insert(section.getName()->str());
}

Contents read_archive(const std::string& bytes) {
  auto archive = llvm::object::Archive::create(llvm::MemoryBufferRef(bytes, "archive"));
  if (!archive) throw std::runtime_error(llvm::toString(archive.takeError()));
  Contents contents;
  llvm::Error error = llvm::Error::success();
  for (const llvm::object::Archive::Child& child : (*archive)->children(error)) {
    contents.members.push_back(child.getName()->str());
    read_object(llvm::cantFail(child.getMemoryBufferRef()), contents);
  }
  if (error) throw std::runtime_error(llvm::toString(std::move(error)));
  return contents;
}

TEST(BundleTest, NeedsNothingFromOutside) {
  for (const std::string triple : {kTriple, "aarch64-linux-gnu"}) {
    const Contents contents = read_archive(bundle_of({"net", functions(), triple, {}}).archive);
    for (const std::string& name : contents.undefined) {
      const bool inside = contents.hidden.contains(name) || contents.visible.contains(name);
      EXPECT_TRUE(inside || name == "memcpy" || name == "memset") << name;
    }
    EXPECT_TRUE(contents.sections.contains(".note.GNU-stack"));
    for (const std::string& section : contents.sections)
      EXPECT_EQ(section.find("eh_frame"), std::string::npos) << section;
  }
}

TEST(BundleTest, ShowsTheInterfaceAndHidesTheRest) {
  const Contents contents = read_archive(bundle_of({"net", functions(), kTriple, {}}).archive);
  std::set<std::string> expected = {"net_level", "net_bundle"};
  for (const std::string name : {"a", "b", "c"})
    for (const std::string suffix : {"", "_run_tasks", "_tasks", "_scratch_bytes"})
      expected.insert(name + suffix);
  for (const std::string name : {"a", "b"})  // c's weights are constant
    for (const std::string suffix : {"_pack_weights", "_packed_weights_bytes"})
      expected.insert(name + suffix);
  EXPECT_EQ(contents.visible, expected);
  EXPECT_TRUE(contents.hidden.contains("a__x86_64_v4"));
  EXPECT_TRUE(contents.hidden.contains("a__x86_64_v2_pack"));
  EXPECT_THAT(contents.members, ::testing::Contains("b.x86-64-v3.o"));
}

TEST(BundleTest, SingleObjectIsComplete) {
  const CFunction function = functions()[0];
  const Target target = target_of("x86-64-v3");
  const auto object = compile_c_functions(Stage::kObject, function,
                                          select_schedule(function.conv, target).schedule, target);
  ASSERT_TRUE(object.ok());
  Contents contents;
  read_object(llvm::MemoryBufferRef(*object, "object"), contents);
  EXPECT_EQ(contents.undefined, std::set<std::string>());
  EXPECT_EQ(contents.hidden, std::set<std::string>());
  EXPECT_EQ(contents.visible,
            (std::set<std::string>{"a", "a_run_tasks", "a_tasks", "a_scratch_bytes",
                                   "a_pack_weights", "a_packed_weights_bytes"}));
}

TEST(BundleTest, SameBytesOnAnyNumberOfThreads) {
  BundleRequest request{"net", functions(), kTriple, {}};
  const Bundle one = bundle_of(request);
  request.threads = 3;
  size_t last = 0;
  request.progress = [&](size_t done, size_t all) {
    EXPECT_EQ(done, last + 1);
    EXPECT_EQ(all, 9U);
    last = done;
  };
  const Bundle three = bundle_of(request);
  EXPECT_EQ(last, 9U);
  EXPECT_TRUE(one.archive == three.archive);
  EXPECT_EQ(one.header, three.header);
}

// However they are given: the order is by what they can do.
TEST(BundleTest, BetterLevelsComeFirst) {
  const auto bundle = [](const std::vector<std::string>& levels) {
    return bundle_of({"net", functions(), kTriple, levels});
  };
  EXPECT_TRUE(bundle({"x86-64-v2", "x86-64-v3"}).archive ==
              bundle({"x86-64-v3", "x86-64-v2"}).archive);
  EXPECT_THAT(bundle({"x86-64", "haswell"}).header, HasSubstr(": haswell, x86-64."));
}

TEST(BundleTest, RefusesWhatCannotBe) {
  const auto message = [](const BundleRequest& request) {
    return make_bundle(request).status().message();
  };
  EXPECT_THAT(message({"net", {}, kTriple, {}}), HasSubstr("no convolution"));
  EXPECT_THAT(message({"a-b", functions(), kTriple, {}}), HasSubstr("name=a-b"));
  EXPECT_THAT(message({"net", functions(), kTriple, {"haswell", "haswell"}}),
              HasSubstr("mcpu=haswell: given twice"));
  EXPECT_THAT(message({"net", functions(), kTriple, {"nonsense"}}), HasSubstr("mcpu=nonsense"));
  EXPECT_THAT(message({"net", functions(), "aarch64-linux-gnu", {"cortex-a53", "cortex-a76"}}),
              HasSubstr("only those of x86-64"));
  EXPECT_THAT(message({"net", functions(), "x86_64-apple-macosx", {}}), HasSubstr("elf"));
  EXPECT_THAT(message({"net", functions(), "riscv64-linux-gnu", {}}), HasSubstr("the V extension"));
}

// No emulator hides the registers of AVX alone. All bits of XCR0 are compared, where xgetbv may be
// executed: xmm and ymm for v3; masks and zmm too for v4; nothing for v2.
TEST(CpuCheckTest, AsksWhatTheSystemSaves) {
  const auto text_of = [](const std::vector<std::string>& levels) {
    llvm::LLVMContext context;
    std::vector<Target> targets;
    for (const std::string& level : levels) targets.push_back(target_of(level));
    auto module = make_module(context, target_of("x86-64"));
    emit_cpu_check(*module, target_of("x86-64"), "net", targets, levels);
    std::string text;
    llvm::raw_string_ostream stream(text);
    module->print(stream, nullptr);
    return text;
  };
  EXPECT_EQ(text_of({"x86-64-v2"}).find("xgetbv"), std::string::npos);
  const std::string both = text_of({"x86-64-v4", "x86-64-v3"});
  const size_t osxsave = both.find(", 134217728"), asked = both.find("xgetbv\"");
  EXPECT_LT(osxsave, asked) << both;
  EXPECT_NE(both.find("and i32 %", asked), std::string::npos);
  EXPECT_NE(both.find(", 230\n", asked), std::string::npos) << both;
  EXPECT_NE(both.find(", 6\n", asked), std::string::npos) << both;
}

// A feature without a row would go unchecked, and a kernel that uses it end in a signal.
TEST(X86FeaturesTest, KnowEveryFeatureThatTheHostIsAskedFor) {
  if (!llvm::Triple(llvm::sys::getProcessTriple()).isX86()) GTEST_SKIP() << "not an x86";
  std::set<std::string> known;
  for (const X86Feature& feature : x86_features()) known.insert(std::string(feature.name));
  for (const auto& feature : llvm::sys::getHostCPUFeatures())
    EXPECT_TRUE(known.contains(feature.first().str())) << feature.first().str();
}

}  // namespace
}  // namespace convgen::codegen
