// SPDX-License-Identifier: Apache-2.0
// JitSession: links what codegen emits, refuses everything else in words, gives memory back, and
// never has memory that can be written and run at once.
#include "runtime/jit_session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "codegen/compile.h"
#include "codegen/select_schedule.h"
#include "tests/support/kernels.h"
#include "tests/support/memory_maps.h"

namespace convgen {
namespace {

using codegen::kDefaultFunctionName;
using testing::count_mappings;
using testing::count_writable_code;

std::shared_ptr<JitSession> make_session() {
  auto session = JitSession::create();
  EXPECT_TRUE(session.ok()) << session.status().message();
  return *session;
}

// The least a kernel can do: one output of one term.
const char* const kConv = "conv1d src=f32:nwc:1x1x1 weights=f32:wio:1x1x1";

std::string compile_object(const std::string& text,
                           const std::string& name = kDefaultFunctionName) {
  const ir::Conv conv = testing::conv_of(text);
  const codegen::Target target = *codegen::host_target();
  const codegen::Schedule schedule = codegen::select_schedule(conv, target).schedule;
  auto object = codegen::compile(codegen::Stage::kObject, conv, schedule, target, name);
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
  const auto session = make_session();
  const auto code = session->link(compile_object(kConv), kDefaultFunctionName);
  ASSERT_TRUE(code.ok()) << code.status().message();
  EXPECT_EQ(run_product(**code, 3, 5), 15);
}

TEST(JitSessionTest, OneNameManyObjects) {
  const auto session = make_session();
  const std::string object = compile_object(kConv);
  std::vector<std::unique_ptr<LoadedCode>> codes;
  for (int i = 0; i < 10; ++i) codes.push_back(*session->link(object, kDefaultFunctionName));
  for (const auto& code : codes) EXPECT_EQ(run_product(*code, 2, 4), 8);
}

TEST(JitSessionTest, CodeOutlivesTheSessionsHandle) {
  auto session = make_session();
  const auto code = session->link(compile_object(kConv), kDefaultFunctionName);
  ASSERT_TRUE(code.ok());
  session.reset();
  EXPECT_EQ(run_product(**code, 6, 7), 42);
}

TEST(JitSessionTest, RefusesWhatIsNoObject) {
  const auto session = make_session();
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
  const auto session = make_session();
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
  const auto session = make_session();
  expect_refused(*session, object, "needs_nobody");
  expect_refused(*session, object, "needs_libc");
}

TEST(JitSessionTest, ManyFailuresLeakNoMappings) {
  const auto session = make_session();
  const std::string object = compile_object(kConv);
  for (int i = 0; i < 10; ++i) expect_refused(*session, object, "missing");
  const int before = count_mappings();
  for (int i = 0; i < 500; ++i) expect_refused(*session, object, "missing");
  EXPECT_LE(count_mappings(), before + 2);
}

TEST(JitSessionTest, FourThreadsLink) {
  const auto session = make_session();
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

TEST(CodeMemoryTest, GoesWithTheCode) {
  const auto session = make_session();
  const std::string object = compile_object(kConv);
  const auto link_and_drop = [&] {
    const auto code = session->link(object, kDefaultFunctionName);
    ASSERT_TRUE(code.ok());
    EXPECT_EQ(run_product(**code, 3, 5), 15);
  };
  for (int i = 0; i < 5; ++i) link_and_drop();
  const int code_before = count_mappings("r-xp");
  const int before = count_mappings();
  for (int i = 0; i < 300; ++i) link_and_drop();
  EXPECT_EQ(count_mappings("r-xp"), code_before);
  EXPECT_LE(count_mappings(), before + 2);
  // While code lives it has a mapping: else the counts above would prove nothing.
  const auto code = session->link(object, kDefaultFunctionName);
  EXPECT_GT(count_mappings("r-xp"), code_before);
}

TEST(CodeMemoryTest, GoesWithTheSession) {
  const std::string object = compile_object(kConv);
  const auto create_and_drop = [&] {
    const auto code = make_session()->link(object, kDefaultFunctionName);
    ASSERT_TRUE(code.ok());
  };
  for (int i = 0; i < 5; ++i) create_and_drop();
  const int code_before = count_mappings("r-xp");
  const int before = count_mappings();
  for (int i = 0; i < 300; ++i) create_and_drop();
  EXPECT_EQ(count_mappings("r-xp"), code_before);
  EXPECT_LE(count_mappings(), before + 2);
}

TEST(CodeMemoryTest, IsNeverWritable) {
  ASSERT_EQ(count_writable_code(), 0);
  void* both =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (both != MAP_FAILED) {
    EXPECT_EQ(count_writable_code(), 1) << "the count sees nothing";
    munmap(both, 4096);
  }
  const auto session = make_session();
  const std::string object = compile_object(kConv);
  std::atomic<bool> stop = false;
  std::atomic<int> seen = 0;
  std::thread watcher([&] {
    while (!stop) seen += count_writable_code();
  });
  for (int i = 0; i < 300; ++i) {
    const auto code = session->link(object, kDefaultFunctionName);
    ASSERT_TRUE(code.ok());
    if (i % 50 == 0) seen += count_writable_code();
  }
  stop = true;
  watcher.join();
  EXPECT_EQ(seen, 0);
}

using CodeMemoryDeathTest = ::testing::Test;

TEST(CodeMemoryDeathTest, WritingToCodeFaults) {
  const auto session = make_session();
  const auto code = session->link(compile_object(kConv), kDefaultFunctionName);
  ASSERT_TRUE(code.ok());
  EXPECT_DEATH(*reinterpret_cast<volatile char*>((*code)->function()) = 0, "");
}

}  // namespace
}  // namespace convgen
