// SPDX-License-Identifier: Apache-2.0
// CONVGEN_DUMP_DIR: one set of files per kernel, for people to read; never a reason to fail.
#include "runtime/dump.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "ir/text.h"
#include "tests/support/environment.h"
#include "tests/support/kernels.h"

namespace convgen {
namespace {

namespace fs = std::filesystem;
using testing::compile_kernel;
using testing::conv_of;
using testing::make_engine;
using testing::ScopedDirectory;
using testing::ScopedVariable;

const char* const kConv = "conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4 post=relu";

// Content of the directory's files by suffix.
std::multimap<std::string, std::string> read_files(const fs::path& directory) {
  std::multimap<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    files.emplace(entry.path().extension(), std::string{std::istreambuf_iterator<char>(file),
                                                        std::istreambuf_iterator<char>()});
  }
  return files;
}

std::string only(const std::multimap<std::string, std::string>& files, const char* suffix) {
  EXPECT_EQ(files.count(suffix), 1u) << suffix;
  const auto found = files.find(suffix);
  return found == files.end() ? "" : found->second;
}

TEST(DumpTest, WritesEveryStage) {
  const ScopedDirectory directory;
  const ScopedVariable variable("CONVGEN_DUMP_DIR", directory.path());
  const Kernel kernel = compile_kernel(make_engine(), conv_of(kConv));
  const auto files = read_files(directory.path());
  EXPECT_EQ(files.size(), 5u);
  EXPECT_EQ(only(files, ".conv"), ir::print_conv(conv_of(kConv)) + "\n");
  EXPECT_EQ(only(files, ".schedule"), kernel.schedule() + "\n");
  EXPECT_NE(only(files, ".ll").find("define void @convgen_kernel("), std::string::npos);
  EXPECT_NE(only(files, ".s").find("convgen_kernel:"), std::string::npos);
  const std::string object = only(files, ".o");
  EXPECT_EQ(object.size(), kernel.compile_stats().code_bytes);
  EXPECT_EQ(object.substr(1, 3), "ELF");
}

TEST(DumpTest, KernelsHaveFilesOfTheirOwn) {
  const ScopedDirectory directory;
  const ScopedVariable variable("CONVGEN_DUMP_DIR", directory.path());
  const Engine engine = make_engine();
  compile_kernel(engine, conv_of(kConv));
  compile_kernel(engine, conv_of(kConv));  // a hit: nothing new
  EXPECT_EQ(read_files(directory.path()).size(), 5u);
  compile_kernel(engine, conv_of(kConv), testing::with_schedule("tile=1x1 unroll=tile"));
  compile_kernel(engine, conv_of("conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4"));
  EXPECT_EQ(read_files(directory.path()).size(), 15u);
}

TEST(DumpTest, AMissingDirectoryFailsNothing) {
  const ScopedDirectory directory;
  const fs::path missing = directory.path() / "missing";
  const ScopedVariable variable("CONVGEN_DUMP_DIR", missing);
  EXPECT_TRUE(make_engine().compile(conv_of(kConv)).ok());
  EXPECT_FALSE(fs::exists(missing));
}

TEST(DumpTest, NothingWithoutTheVariable) {
  const ScopedDirectory directory;
  const ScopedVariable variable("CONVGEN_DUMP_DIR", "");
  compile_kernel(make_engine(), conv_of(kConv));
  EXPECT_TRUE(read_files(directory.path()).empty());
}

}  // namespace
}  // namespace convgen
