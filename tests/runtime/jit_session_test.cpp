// SPDX-License-Identifier: Apache-2.0
// JitSession: links what codegen emits, refuses everything else in words, and gives memory back,
// however many kernels live. What memory that is: code_memory_test.cpp.
#include "runtime/jit_session.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "codegen/compile.h"
#include "codegen/select_schedule.h"
#include "runtime/sanitizer.h"
#include "tests/support/kernels.h"
#include "tests/support/memory_maps.h"
#include "tests/support/random.h"
#include "tests/support/soak.h"

namespace convgen {
namespace {

using codegen::kDefaultFunctionName;
using testing::count_code_mappings;
using testing::count_mappings;
using testing::soak_or;

// The least a kernel can do: one output of one term.
const char* const kConv = "conv1d src=f32:nwc:1x1x1 weights=f32:wio:1x1x1";

std::string compile_object(const std::string& text, const std::string& name = kDefaultFunctionName,
                           codegen::Instrument instrument = codegen::Instrument::kNothing) {
  const ir::Conv conv = testing::conv_of(text);
  const codegen::Target target = *codegen::host_target();
  const codegen::Schedule schedule = codegen::select_schedule(conv, target).schedule;
  auto object = codegen::compile(codegen::Stage::kObject, conv, schedule, target,
                                 {.function_name = name, .instrument = instrument});
  EXPECT_TRUE(object.ok()) << object.status().message();
  return *object;
}

// Runs the code of kConv: x * w.
float run_product(const LoadedCode& code, float x, float w) {
  alignas(64) float weights[64] = {w};  // packed, padded to a vector
  float dst = -1;
  const codegen::KernelArgs args{&x, weights, nullptr, nullptr, nullptr, &dst, nullptr, nullptr};
  code.function()(&args, 0, 1);
  return dst;
}

void expect_refused(JitSession& session, const std::string& object, const std::string& name) {
  const auto code = session.link(object, name);
  ASSERT_FALSE(code.ok()) << name;
  EXPECT_EQ(code.status().code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(code.status().message().empty());
}

TEST(JitSessionTest, LinksAndRuns) {
  const auto session = JitSession::create();
  const auto code = session->link(compile_object(kConv), kDefaultFunctionName);
  ASSERT_TRUE(code.ok()) << code.status().message();
  EXPECT_EQ(run_product(**code, 3, 5), 15);
}

TEST(JitSessionTest, OneNameManyObjects) {
  const auto session = JitSession::create();
  const std::string object = compile_object(kConv);
  std::vector<std::unique_ptr<LoadedCode>> codes;
  for (int i = 0; i < 10; ++i) codes.push_back(*session->link(object, kDefaultFunctionName));
  for (const auto& code : codes) EXPECT_EQ(run_product(*code, 2, 4), 8);
}

TEST(JitSessionTest, CodeOutlivesTheSessionsHandle) {
  auto session = JitSession::create();
  const auto code = session->link(compile_object(kConv), kDefaultFunctionName);
  ASSERT_TRUE(code.ok());
  session.reset();
  EXPECT_EQ(run_product(**code, 6, 7), 42);
}

TEST(JitSessionTest, RefusesWhatIsNoObject) {
  const auto session = JitSession::create();
  const std::string object = compile_object(kConv);
  expect_refused(*session, "", kDefaultFunctionName);
  expect_refused(*session, "garbage", kDefaultFunctionName);
  expect_refused(*session, std::string(4096, '\0'), kDefaultFunctionName);
  expect_refused(*session,
                 "\x7f"
                 "ELF" +
                     std::string(300, '\x5a'),
                 kDefaultFunctionName);
  for (const size_t length : {size_t{4}, size_t{63}, size_t{64}, object.size() / 2})
    expect_refused(*session, object.substr(0, length), kDefaultFunctionName);
  // What failed left nothing behind that could stand in the way.
  const auto code = session->link(object, kDefaultFunctionName);
  ASSERT_TRUE(code.ok()) << code.status().message();
  EXPECT_EQ(run_product(**code, 3, 5), 15);
}

TEST(JitSessionTest, RefusesAMissingFunction) {
  const auto session = JitSession::create();
  expect_refused(*session, compile_object(kConv, "another_name"), kDefaultFunctionName);
  EXPECT_TRUE(session->link(compile_object(kConv, "another_name"), "another_name").ok());
}

// Kernels need nothing from outside, so nothing is offered to them: not even libc.
TEST(JitSessionTest, RefusesUndefinedSymbols) {
  std::ifstream file(CONVGEN_TEST_UNDEFINED_SYMBOLS, std::ios::binary);
  const std::string object{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  ASSERT_EQ(object.substr(0, 4),
            "\x7f"
            "ELF");
  const auto session = JitSession::create();
  expect_refused(*session, object, "needs_nobody");
  expect_refused(*session, object, "needs_libc");
}

// But for what a build under AddressSanitizer has its kernels call.
TEST(JitSessionTest, OffersTheSanitizerToItsBuildAlone) {
  const std::string object =
      compile_object(kConv, kDefaultFunctionName, codegen::Instrument::kAddresses);
  const auto session = JitSession::create();
  if (kKernelInstrument == codegen::Instrument::kNothing)
    return expect_refused(*session, object, kDefaultFunctionName);
  const auto code = session->link(object, kDefaultFunctionName);
  ASSERT_TRUE(code.ok()) << code.status().message();
  EXPECT_EQ(run_product(**code, 3, 5), 15);
}

TEST(JitSessionTest, ManyFailuresLeakNoMappings) {
  const auto session = JitSession::create();
  const std::string object = compile_object(kConv);
  for (int i = 0; i < 10; ++i) expect_refused(*session, object, "missing");
  const int before = count_mappings();
  for (int i = 0; i < 500; ++i) expect_refused(*session, object, "missing");
  EXPECT_LE(count_mappings(), before + 2);
}

TEST(JitSessionTest, FourThreadsLink) {
  const auto session = JitSession::create();
  const std::string object = compile_object(kConv);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const auto code = session->link(object, kDefaultFunctionName);
        const auto x = static_cast<float>(t + 1);
        if (!code.ok() ||
            run_product(**code, x, static_cast<float>(i)) != x * static_cast<float>(i))
          ++wrong;
        if (session->link(object, "missing").ok()) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// --- Memory ---

// Resident memory of this process, in bytes.
int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(CodeOfSessionsTest, GoesWithTheCode) {
  const auto session = JitSession::create();
  const std::string object = compile_object(kConv);
  const int code_before = count_code_mappings();
  for (int i = 0; i < 300; ++i) {
    const auto code = session->link(object, kDefaultFunctionName);
    ASSERT_TRUE(code.ok());
    EXPECT_EQ(run_product(**code, 3, 5), 15);
  }
  EXPECT_EQ(count_code_mappings(), code_before);
  // While code lives it has a mapping: else the counts above would prove nothing.
  const auto code = session->link(object, kDefaultFunctionName);
  EXPECT_GT(count_code_mappings(), code_before);
}

TEST(CodeOfSessionsTest, GoesWithTheSession) {
  const std::string object = compile_object(kConv);
  const int code_before = count_code_mappings();
  for (int i = 0; i < 300; ++i)
    ASSERT_TRUE(JitSession::create()->link(object, kDefaultFunctionName).ok());
  EXPECT_EQ(count_code_mappings(), code_before);
}

// Constants make a second section, which shares the pages of the code.
const char* const kWithConstants =
    "conv2d src=f32:nhwc:1x5x5x3 weights=f32:hwio:3x3x3x8 post=bias,sigmoid";

TEST(CodeOfSessionsTest, ManyLiveKernelsAreFewMappings) {
  const int kernels = soak_or(100'000, 3'000);
  const auto session = JitSession::create();
  const std::string object = compile_object(kWithConstants), product = compile_object(kConv);
  const int before = count_mappings();
  std::vector<std::unique_ptr<LoadedCode>> codes;
  for (int i = 0; i < kernels; ++i) {
    auto code = session->link(i % 2 == 0 ? object : product, kDefaultFunctionName);
    ASSERT_TRUE(code.ok()) << "kernel " << i << ": " << code.status().message();
    codes.push_back(*std::move(code));
  }
  EXPECT_LE(count_mappings(), before + 100);
  for (size_t i = 1; i < codes.size(); i += 2) ASSERT_EQ(run_product(*codes[i], 2, 4), 8);
}

TEST(CodeOfSessionsTest, KernelsMadeAndDroppedLeaveNothing) {
  const int kernels = soak_or(100'000, 5'000);
  const auto session = JitSession::create();
  const std::string object = compile_object(kWithConstants);
  const auto make_and_drop = [&](int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(session->link(object, kDefaultFunctionName).ok());
  };
  make_and_drop(1'000);
  const int mappings = count_mappings();
  const int64_t resident = resident_bytes();
  make_and_drop(kernels);
  EXPECT_LE(count_mappings(), mappings + 2);
  if (!testing::kSanitizerMaps) {
    EXPECT_LE(resident_bytes(), resident + (int64_t{4} << 20));
  }
}

TEST(CodeOfSessionsTest, ReplacedInAnyOrderItLeavesNoHoles) {
  const auto session = JitSession::create();
  const std::string objects[] = {compile_object(kWithConstants), compile_object(kConv)};
  std::vector<std::unique_ptr<LoadedCode>> kept(500);
  testing::Random random(1);
  const auto replace = [&](int count) {
    for (int i = 0; i < count; ++i)
      kept[static_cast<size_t>(random.below(500))] =
          *session->link(objects[random.below(2)], kDefaultFunctionName);
  };
  replace(2'000);
  const int mappings = count_mappings();
  replace(soak_or(100'000, 5'000));
  EXPECT_LE(count_mappings(), mappings + 2);
}

}  // namespace
}  // namespace convgen
