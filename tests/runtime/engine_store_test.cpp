// SPDX-License-Identifier: Apache-2.0
// Engines that share a directory: the second compiles nothing and computes the same bits, whatever
// has become of the directory.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/engine.h"
#include "runtime/jit_kernel_maker.h"
#include "tests/support/environment.h"
#include "tests/support/filters.h"
#include "tests/support/kernels.h"
#include "tests/support/soak.h"

namespace convgen {
namespace {

namespace fs = std::filesystem;
using testing::conv_of;
using testing::ScopedDirectory;
using testing::ScopedVariable;

constexpr uid_t kNobody = 65534;
const char* const kConv =
    "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=bias,relu";
const std::vector<std::string> kConvs = {
    kConv,
    "conv2d src=f32:nchw:2x3x9x9 weights=f32:oihw:7x3x3x3 strides=2x2 pads=same",
    "conv2d src=f32:nhwc:1x8x8x16 weights=f32:hwio:3x3x1x16 groups=16 pads=1x1",
    "conv2d src=f32:nhwc:1x12x12x16 weights=f32:hwio:3x3x16x16 pads=1x1",
    "conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4 accuracy=strict",
    "conv3d src=f32:ndhwc:1x3x4x5x2 weights=f32:dhwio:2x2x2x2x3"};

Engine engine_in(const fs::path& directory) {
  auto engine = Engine::create({.cache_dir = directory.string()});
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return *std::move(engine);
}

std::vector<float> result_of(const Engine& engine, const std::string& text,
                             const CompileOptions& options = {}) {
  const Kernel kernel = testing::compile_kernel(engine, conv_of(text), options);
  const auto tensors = testing::random_tensors(kernel.conv(), 1, testing::Data::kReals);
  std::vector<float> dst = testing::run_kernel(kernel, tensors);
  EXPECT_TRUE(testing::matches_interpreter(kernel.conv(), tensors, dst, false, kernel.summation()));
  return dst;
}

std::vector<fs::path> entries_in(const fs::path& directory) {
  std::vector<fs::path> entries;
  for (const auto& file : fs::directory_iterator(directory))
    if (file.path().extension() == ".cgo") entries.push_back(file.path());
  return entries;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// --- Hits ---

TEST(EngineStoreTest, SecondEngineCompilesNothing) {
  const ScopedDirectory directory;
  const Engine first = engine_in(directory.path()), second = engine_in(directory.path());
  for (const std::string& text : kConvs) {
    const std::vector<float> compiled = result_of(first, text);
    EXPECT_TRUE(testing::same_bits(compiled, result_of(second, text))) << text;
  }
  const auto count = static_cast<int64_t>(kConvs.size());
  EXPECT_EQ(first.stats().compiles, count);
  EXPECT_EQ(first.stats().store_hits, 0);
  EXPECT_EQ(second.stats().compiles, 0);
  EXPECT_EQ(second.stats().store_hits, count);
  EXPECT_EQ(second.stats().misses, count) << "of the cache in memory";
  EXPECT_EQ(second.stats().compile_seconds, 0);
  EXPECT_TRUE(second.store_status().ok()) << second.store_status().message();
  second.clear_cache();
  result_of(second, kConv);
  EXPECT_EQ(second.stats().store_hits, count + 1);
  const CompileStats stats = testing::compile_kernel(second, conv_of(kConv)).compile_stats();
  EXPECT_TRUE(stats.from_store);
  EXPECT_EQ(stats.codegen_ms, 0);
  EXPECT_GT(stats.code_bytes, 0u);
}

TEST(EngineStoreTest, KeysHoldWhatDecidesTheCode) {
  const ScopedDirectory directory;
  const Engine first = engine_in(directory.path()), second = engine_in(directory.path());
  const ir::Conv filter = conv_of("conv2d src=f32:nhwc:1x9x9x1 weights=f32:hwio:3x3x1x1");
  const ConstantWeights sharpen = testing::sharpen_filter(filter);
  ConstantWeights other = sharpen, finite = sharpen;
  other.values[0] = -2;
  finite.assume_finite = true;
  testing::compile_kernel(first, conv_of(kConv));
  ASSERT_TRUE(first.compile(filter, sharpen).ok());
  auto expect_compiled = [&, compiles = int64_t{0}](const Result<Kernel>& kernel) mutable {
    ASSERT_TRUE(kernel.ok()) << kernel.status().message();
    EXPECT_EQ(second.stats().compiles, ++compiles) << kernel->signature();
  };
  expect_compiled(second.compile(conv_of(kConv), testing::with_schedule("tile=1x1")));
  expect_compiled(second.compile(conv_of(std::string(kConv) + ",abs")));
  expect_compiled(second.compile(filter));
  expect_compiled(second.compile(filter, other));
  expect_compiled(second.compile(filter, finite));
  const auto lower = Engine::create({.mcpu = "x86-64-v2", .cache_dir = directory.path().string()});
  ASSERT_TRUE(lower.ok());
  result_of(*lower, kConv);
  EXPECT_EQ(lower->stats().compiles, 1);
  EXPECT_EQ(second.stats().store_hits, 0);
  ASSERT_TRUE(second.compile(filter, sharpen).ok());
  EXPECT_EQ(second.stats().store_hits, 1);
}

TEST(EngineStoreTest, BackgroundCompilesFindThemToo) {
  const ScopedDirectory directory;
  result_of(engine_in(directory.path()), kConv);
  const Engine engine = engine_in(directory.path());
  auto kernel = engine.compile(
      conv_of(kConv), {.mode = CompileMode::kGenericFirst, .deadline = std::chrono::hours(1)});
  ASSERT_TRUE(kernel.ok());
  EXPECT_EQ(kernel->engine_name(), "jit");
  EXPECT_EQ(engine.stats().store_hits, 1);
  EXPECT_EQ(engine.stats().compiles, 0);
}

TEST(EngineStoreTest, VerboseTellsLoadsFromCompiles) {
  const ScopedDirectory directory;
  const ScopedVariable variable("CONVGEN_VERBOSE", "1");
  for (const char* word : {"convgen,compile,jit,", "convgen,load,jit,"}) {
    ::testing::internal::CaptureStderr();
    testing::compile_kernel(engine_in(directory.path()), conv_of(kConv));
    const std::string log = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(log.rfind(word, 0), 0u) << log;
    EXPECT_NE(log.find("," + ir::print_conv(conv_of(kConv)) + "\n"), std::string::npos) << log;
  }
}

// --- Settings ---

TEST(EngineStoreTest, CodeOutranksTheEnvironment) {
  const ScopedDirectory by_variable, by_code;
  const ScopedVariable variable("CONVGEN_CACHE_DIR", by_variable.path().string());
  result_of(engine_in(by_code.path()), kConv);
  EXPECT_EQ(entries_in(by_code.path()).size(), 1u);
  result_of(engine_in(""), kConv);
  EXPECT_EQ(entries_in(by_variable.path()).size(), 0u);
  result_of(*Engine::create(), kConv);
  EXPECT_EQ(entries_in(by_variable.path()).size(), 1u);

  const ScopedVariable bound("CONVGEN_CACHE_MAX_BYTES", "many");
  EXPECT_EQ(Engine::create().status().code(), StatusCode::kInvalidArgument);
  const ScopedDirectory empty;
  const auto none =
      Engine::create({.cache_dir = empty.path().string(), .cache_max_bytes = uint64_t{10}});
  ASSERT_TRUE(none.ok());
  result_of(*none, kConv);
  EXPECT_EQ(entries_in(empty.path()).size(), 0u);
}

TEST(EngineStoreTest, NoHomeIsNoTrouble) {
  const ScopedVariable off("CONVGEN_CACHE_DIR", ""), home("HOME", "x"), xdg("XDG_CACHE_HOME", "y");
  unsetenv("CONVGEN_CACHE_DIR");
  unsetenv("HOME");  // and the other one is relative
  const auto engine = Engine::create();
  ASSERT_TRUE(engine.ok());
  result_of(*engine, kConv);
  EXPECT_TRUE(engine->store_status().ok());
  EXPECT_FALSE(fs::exists("y"));
}

TEST(EngineStoreTest, DumpsNeedCompilations) {
  const ScopedDirectory directory, dump;
  result_of(engine_in(directory.path()), kConv);
  const ScopedVariable variable("CONVGEN_DUMP_DIR", dump.path().string());
  const Engine engine = engine_in(directory.path());
  result_of(engine, kConv);
  EXPECT_EQ(engine.stats().compiles, 1);
  EXPECT_FALSE(fs::is_empty(dump.path()));
}

// --- Trouble ---

// What may become of a directory between two engines: whether the second one finds the kernel, and
// may say that something is wrong.
struct Trouble {
  const char* name;
  std::function<void(const fs::path& directory)> make;
  bool noted = false;
};

const Trouble kTroubles[] = {
    {"removed", [](const fs::path& directory) { fs::remove_all(directory); }},
    {"a file",
     [](const fs::path& directory) {
       fs::remove_all(directory);
       std::ofstream(directory) << "x";
     },
     true},
    {"a symbolic link",
     [](const fs::path& directory) {
       fs::rename(directory, directory.string() + ".real");
       fs::create_directory_symlink(directory.string() + ".real", directory);
     },
     true},
    {"a link to nothing",
     [](const fs::path& directory) {
       fs::remove_all(directory);
       fs::create_directory_symlink(directory.string() + ".nothing", directory);
     },
     true},
    {"group-writable",
     [](const fs::path& directory) { fs::permissions(directory, fs::perms(0770)); }, true},
    {"world-writable",
     [](const fs::path& directory) { fs::permissions(directory, fs::perms(0707)); }, true},
};

TEST(EngineStoreTest, TroubleCostsACompilation) {
  for (const Trouble& trouble : kTroubles) {
    SCOPED_TRACE(trouble.name);
    const ScopedDirectory root;
    const fs::path directory = root.path() / "cache";
    const auto expected = result_of(engine_in(directory), kConv);
    trouble.make(directory);
    const Engine engine = engine_in(directory);
    EXPECT_TRUE(testing::same_bits(expected, result_of(engine, kConv)));
    EXPECT_EQ(engine.stats().compiles, 1);
    EXPECT_EQ(engine.stats().store_hits, 0);
    EXPECT_EQ(engine.store_status().ok(), !trouble.noted) << engine.store_status().message();
  }
}

// In a child that is nobody: 0, or what went wrong.
int compile_as_nobody(const fs::path& directory, int64_t store_hits, bool noted) {
  if (::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0)
    return 1;
  const auto engine = Engine::create({.cache_dir = directory.string()});
  if (!engine.ok()) return 2;
  for (const std::string& text : kConvs)
    if (result_of(*engine, text).empty()) return 3;
  if (engine->stats().store_hits != store_hits) return 4;
  return engine->store_status().ok() == noted ? 5 : 0;
}

int run_as_nobody(const fs::path& directory, int64_t store_hits, bool noted) {
  const pid_t child = fork();
  if (child == 0) {
    const int wrong = compile_as_nobody(directory, store_hits, noted);
    _exit(::testing::Test::HasFailure() ? 6 : wrong);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// By a user who may not, since root may do anything.
TEST(EngineStoreTest, ReadOnlyDirectoriesServeWhatTheyHave) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const ScopedDirectory root;
  const fs::path directory = root.path() / "cache";
  result_of(engine_in(directory), kConv);
  fs::permissions(root.path(), fs::perms(0755));
  EXPECT_EQ(run_as_nobody(directory, 0, true), 0) << "root's directory";
  for (const fs::path& path : {entries_in(directory).front(), directory})
    ASSERT_EQ(::chown(path.c_str(), kNobody, kNobody), 0);
  fs::permissions(directory, fs::perms(0500));
  EXPECT_EQ(run_as_nobody(directory, 1, true), 0) << "read-only";
  fs::permissions(directory, fs::perms(0000));
  EXPECT_EQ(run_as_nobody(directory, 0, true), 0) << "unreadable";
  EXPECT_EQ(run_as_nobody(root.path() / "other", 0, true), 0) << "where nothing can be made";
  fs::permissions(directory, fs::perms(0700));
  EXPECT_EQ(run_as_nobody(directory, 1, false), 0);
  EXPECT_EQ(entries_in(directory).size(), kConvs.size());
}

// Whole in script/soak, else some.
TEST(EngineStoreTest, DamageCostsACompilationThenIsMended) {
  const char* const text = "conv1d src=f32:nwc:1x9x3 weights=f32:wio:2x3x4";
  const ScopedDirectory directory;
  const auto expected = result_of(engine_in(directory.path()), text);
  ASSERT_EQ(entries_in(directory.path()).size(), 1u);
  const fs::path entry = entries_in(directory.path()).front();
  const std::string sound = text_of(entry);
  const auto expect_mended = [&](const std::string& bytes) {
    std::ofstream(entry, std::ios::binary) << bytes;
    for (const int64_t hits : {0, 1}) {
      const Engine engine = engine_in(directory.path());
      ASSERT_TRUE(testing::same_bits(expected, result_of(engine, text)));
      ASSERT_EQ(engine.stats().store_hits, hits);
      ASSERT_EQ(engine.stats().compiles, 1 - hits);
      ASSERT_TRUE(engine.store_status().ok());
    }
  };
  const size_t step = testing::soak_minutes() > 0 ? 1 : 199;
  for (size_t at = 0; at < sound.size() && !HasFatalFailure(); at += step) {
    SCOPED_TRACE(at);
    expect_mended(sound.substr(0, at));
    std::string flipped = sound;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
    expect_mended(flipped);
  }
}

// A file whose checksum is right and whose object is none: somebody wrote it on purpose, or the
// disk is an artist. The linker refuses it.
TEST(EngineStoreTest, ObjectsThatDoNotLinkAreMended) {
  const ScopedDirectory directory;
  const Engine first = engine_in(directory.path());
  const Kernel kernel = testing::compile_kernel(first, conv_of(kConv));
  const StoreKey key{ir::print_conv(conv_of(kConv)), std::string(kernel.schedule()),
                     first.target_description()};
  ASSERT_TRUE(JitKernelMaker::of(first)->store->find(key).has_value());
  JitKernelMaker::of(first)->store->put(key, "no object");
  const Engine second = engine_in(directory.path());
  result_of(second, kConv);
  EXPECT_EQ(second.stats().compiles, 1);
  EXPECT_NE(JitKernelMaker::of(first)->store->find(key), "no object");
}

// An object of another convolution, under this one's key and a right checksum: verification on
// first use finds it, and the kernel is compiled.
TEST(EngineStoreTest, WrongObjectsDoNotPassVerification) {
  const ScopedDirectory directory;
  const Engine first = engine_in(directory.path());
  const auto key_of = [&](const std::string& text) {
    const Kernel kernel = testing::compile_kernel(first, conv_of(text));
    return StoreKey{ir::print_conv(conv_of(text)), std::string(kernel.schedule()),
                    first.target_description()};
  };
  const std::string without_relu =
      "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=bias";
  ObjectStore& store = *JitKernelMaker::of(first)->store;
  const auto wrong = store.find(key_of(without_relu));
  ASSERT_TRUE(wrong.has_value());
  store.put(key_of(kConv), *wrong);
  const auto careful =
      Engine::create({.verify = VerifyMode::kFirstUse, .cache_dir = directory.path().string()});
  ASSERT_TRUE(careful.ok());
  result_of(*careful, kConv);
  EXPECT_EQ(careful->stats().compiles, 1);
  EXPECT_NE(store.find(key_of(kConv)), *wrong) << "it was not written anew";
  result_of(*careful, without_relu);
  EXPECT_EQ(careful->stats().store_hits, 1);
}

// Code that runs is a copy: what becomes of the file does not matter.
TEST(EngineStoreTest, FilesMayChangeUnderRunningCode) {
  const ScopedDirectory directory;
  const auto expected = result_of(engine_in(directory.path()), kConv);
  const Engine engine = engine_in(directory.path());
  const Kernel kernel = testing::compile_kernel(engine, conv_of(kConv));
  ASSERT_TRUE(kernel.compile_stats().from_store);
  fs::resize_file(entries_in(directory.path()).front(), 0);
  EXPECT_TRUE(testing::same_bits(expected, result_of(engine, kConv)));
}

}  // namespace
}  // namespace convgen
