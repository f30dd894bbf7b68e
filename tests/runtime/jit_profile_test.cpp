// SPDX-License-Identifier: Apache-2.0
// What perf and gdb are told, byte by byte; and that nothing is opened unasked.
#include "runtime/jit_profile.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <llvm/Object/ELFObjectFile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "runtime/engine_state.h"
#include "tests/support/child.h"
#include "tests/support/environment.h"
#include "tests/support/kernels.h"

// GDB's, as in its manual.
struct jit_code_entry {
  jit_code_entry *next_entry, *prev_entry;
  const char* symfile_addr;
  uint64_t symfile_size;
};
struct jit_descriptor {
  uint32_t version, action_flag;
  jit_code_entry *relevant_entry, *first_entry;
};
extern "C" jit_descriptor __jit_debug_descriptor;

namespace convgen {
namespace {

using testing::compile_kernel;
using testing::conv_of;
using testing::ScopedDirectory;
using testing::ScopedVariable;

const char* const kConv = "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=relu";
const char* const kSymbol = "conv2d_nhwc_1x6x7x5_hwio_3x3x5x9_p1x1_relu";

Engine engine_with(const std::string& profile) {
  Result<Engine> engine = Engine::create({.jit_profile = profile});
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return *std::move(engine);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string perf_map_path() { return "/tmp/perf-" + std::to_string(getpid()) + ".map"; }
std::string jitdump_name() { return "jit-" + std::to_string(getpid()) + ".dump"; }

uintptr_t address_of(const Kernel& kernel) {
  return reinterpret_cast<uintptr_t>(kernel.state()->function);
}

template <typename T>
T read_at(const std::string& bytes, size_t offset) {
  T value{};
  EXPECT_LE(offset + sizeof value, bytes.size());
  if (offset + sizeof value <= bytes.size())
    std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// --- The setting ---

TEST(JitProfileTest, ReadsTheKinds) {
  const auto kinds = [](const char* words) { return *parse_profile_kinds(words, "x"); };
  EXPECT_EQ(kinds(""), ProfileKinds());
  EXPECT_EQ(kinds("none"), ProfileKinds());
  EXPECT_EQ(kinds("perf-map"), (ProfileKinds{.perf_map = true}));
  EXPECT_EQ(kinds("gdb,jitdump"), (ProfileKinds{.jitdump = true, .gdb = true}));
  EXPECT_EQ(kinds("all"), (ProfileKinds{true, true, true}));
  EXPECT_EQ(kinds("1"), (ProfileKinds{true, true, true}));
}

TEST(JitProfileTest, AnUnknownWordIsAnErrorThatListsTheKnown) {
  for (const char* words : {"perf", "gdb,", ",gdb", "gdb, jitdump", "none,gdb", "0"}) {
    const Status status = parse_profile_kinds(words, "CONVGEN_JIT_PROFILE").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << words;
    EXPECT_EQ(status.message().rfind(std::string("CONVGEN_JIT_PROFILE=") + words + ": \"", 0), 0u);
    for (const char* known : {"perf-map", "jitdump", "gdb", "all", "none"})
      EXPECT_NE(status.message().find(known), std::string::npos) << status.message();
  }
}

TEST(JitProfileTest, SuggestsTheNearestWord) {
  const auto ends_with = [](const char* words, const std::string& end) {
    return parse_profile_kinds(words, "p").status().message().ends_with(end);
  };
  EXPECT_TRUE(ends_with("perfmap", "; did you mean 'perf-map'?"));
  EXPECT_TRUE(ends_with("gdb,jitdumb", "; did you mean 'jitdump'?"));
  EXPECT_TRUE(ends_with("gprof", "all or none"));
}

TEST(JitProfileTest, TheOptionOutranksTheVariable) {
  const ScopedVariable variable("CONVGEN_JIT_PROFILE", "nonsense");
  EXPECT_EQ(Engine::create().status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(Engine::create({.jit_profile = "none"}).ok());
  EXPECT_EQ(Engine::create({.jit_profile = "rubbish"}).status().message().rfind("jit_profile=", 0),
            0u);
}

// --- perf's map ---

TEST(JitProfileTest, PerfMapNamesEachKernel) {
  std::filesystem::remove(perf_map_path());
  {
    const Engine engine = engine_with("perf-map"), other = engine_with("perf-map");
    const Kernel kernel = compile_kernel(engine, conv_of(kConv));
    const Kernel again = compile_kernel(other, conv_of(kConv));
    unsigned long start = 0, size = 0;
    char symbol[200] = "";
    const std::string map = read_file(perf_map_path());
    ASSERT_EQ(sscanf(map.c_str(), "%lx %lx %199s", &start, &size, symbol), 3) << map;
    EXPECT_EQ(start, address_of(kernel));
    EXPECT_GT(size, 50u);
    EXPECT_LT(size, kernel.compile_stats().code_bytes);
    EXPECT_STREQ(symbol, kSymbol);
    // Engines of a process share the file.
    const std::string second = map.substr(map.find('\n') + 1);
    ASSERT_EQ(sscanf(second.c_str(), "%lx", &start), 1) << map;
    EXPECT_EQ(start, address_of(again));
    struct stat info {};
    ASSERT_EQ(stat(perf_map_path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
  }
  std::filesystem::remove(perf_map_path());
}

TEST(JitProfileTest, WhatAnEarlierProcessLeftIsEmptied) {
  std::ofstream(perf_map_path()) << "1 2 stale\n";
  const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, perf_map_path().c_str(), long_ago, 0), 0);
  engine_with("perf-map");
  EXPECT_EQ(read_file(perf_map_path()), "");
  std::filesystem::remove(perf_map_path());
}

TEST(JitProfileTest, LinksInTmpAreNotFollowed) {
  const ScopedDirectory directory;
  const std::string victim = (directory.path() / "victim").string();
  std::ofstream(victim) << "precious";
  std::filesystem::remove(perf_map_path());
  std::filesystem::create_symlink(victim, perf_map_path());
  EXPECT_EQ(Engine::create({.jit_profile = "perf-map"}).status().code(), StatusCode::kIoError);
  std::filesystem::remove(perf_map_path());
  std::filesystem::create_hard_link(victim, perf_map_path());
  EXPECT_EQ(Engine::create({.jit_profile = "perf-map"}).status().code(), StatusCode::kIoError);
  std::filesystem::remove(perf_map_path());
  EXPECT_EQ(read_file(victim), "precious");
}

// --- jitdump ---

TEST(JitProfileTest, JitdumpHoldsTheCode) {
  const ScopedDirectory directory;
  const ScopedVariable variable("JITDUMPDIR", directory.path().string());
  const std::string path = (directory.path() / jitdump_name()).string();
  const Engine engine = engine_with("jitdump"), other = engine_with("jitdump");
  const Kernel kernel = compile_kernel(engine, conv_of(kConv));
  compile_kernel(other, conv_of(kConv));
  const std::string dump = read_file(path);
  EXPECT_EQ(read_at<uint32_t>(dump, 0), 0x4A695444u);
  EXPECT_EQ(read_at<uint32_t>(dump, 4), 1u);
  const size_t header = read_at<uint32_t>(dump, 8);
  EXPECT_EQ(header, 40u);
  EXPECT_EQ(read_at<uint32_t>(dump, 20), static_cast<uint32_t>(getpid()));
  // The first record: id, size, time, pid, thread, address twice, size, index, name, code.
  EXPECT_EQ(read_at<uint32_t>(dump, header), 0u);
  const size_t size = read_at<uint32_t>(dump, header + 4);
  EXPECT_EQ(read_at<uint64_t>(dump, header + 24), address_of(kernel));
  EXPECT_EQ(read_at<uint64_t>(dump, header + 32), address_of(kernel));
  const size_t code = read_at<uint64_t>(dump, header + 40);
  EXPECT_STREQ(dump.c_str() + header + 56, kSymbol);
  ASSERT_EQ(size, 56 + strlen(kSymbol) + 1 + code);
  EXPECT_EQ(std::memcmp(dump.data() + header + size - code,
                        reinterpret_cast<const char*>(address_of(kernel)), code),
            0);
  // The other engine's stands behind it, under another index, and ends the file.
  const size_t next = header + size;
  EXPECT_EQ(next + read_at<uint32_t>(dump, next + 4), dump.size());
  EXPECT_NE(read_at<uint64_t>(dump, header + 48), read_at<uint64_t>(dump, next + 48));
}

TEST(JitProfileTest, JitdumpIsMappedForPerfToSee) {
  const ScopedDirectory directory;
  const ScopedVariable variable("JITDUMPDIR", directory.path().string());
  const auto marker = [] {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
      if (line.find(jitdump_name()) != std::string::npos) return line.substr(line.find(' ') + 1, 4);
    return std::string("none");
  };
  {
    const Engine engine = engine_with("jitdump");
    EXPECT_EQ(marker(), "r-xp");
  }
  EXPECT_EQ(marker(), "none");
}

TEST(JitProfileTest, ADirectoryThatIsNotThereIsAnError) {
  const ScopedVariable variable("JITDUMPDIR", "/nonexistent");
  const Status status = Engine::create({.jit_profile = "jitdump"}).status();
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_NE(status.message().find("/nonexistent"), std::string::npos) << status.message();
}

TEST(JitProfileTest, ChildrenLeaveTheFilesAlone) {
  const ScopedDirectory directory;
  const ScopedVariable variable("JITDUMPDIR", directory.path().string());
  const std::string path = (directory.path() / jitdump_name()).string();
  const Engine engine = engine_with("jitdump");
  const std::string before = read_file(path);
  ASSERT_EQ(testing::run_in_child([&] { return engine.compile(conv_of(kConv)).ok() ? 0 : 1; }), 0);
  EXPECT_EQ(read_file(path), before);
}

// --- GDB ---

int count_debug_objects() {
  int count = 0;
  for (const jit_code_entry* at = __jit_debug_descriptor.first_entry; at; at = at->next_entry)
    ++count;
  return count;
}

TEST(JitProfileTest, GdbListsWhatLives) {
  const Engine engine = engine_with("gdb"), other = engine_with("gdb");
  EXPECT_EQ(count_debug_objects(), 0);
  std::optional<Kernel> first = compile_kernel(engine, conv_of(kConv));
  std::optional<Kernel> second = compile_kernel(other, conv_of(kConv));
  std::optional<Kernel> third = compile_kernel(engine, conv_of(std::string(kConv) + ",abs"));
  EXPECT_EQ(count_debug_objects(), 3);
  other.clear_cache();
  second.reset();  // from the middle
  EXPECT_EQ(count_debug_objects(), 2);
  EXPECT_EQ(__jit_debug_descriptor.action_flag, 2u);
  engine.clear_cache();
  third.reset();
  first.reset();
  EXPECT_EQ(count_debug_objects(), 0);
}

TEST(JitProfileTest, GdbFindsTheFunctionInItsObject) {
  const Engine engine = engine_with("gdb");
  const Kernel kernel = compile_kernel(engine, conv_of(kConv));
  const jit_code_entry* entry = __jit_debug_descriptor.first_entry;
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(__jit_debug_descriptor.action_flag, 1u);
  const llvm::StringRef bytes(entry->symfile_addr, entry->symfile_size);
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes, "debug"));
  ASSERT_TRUE(static_cast<bool>(file)) << llvm::toString(file.takeError());
  int symbols = 0;
  for (const llvm::object::SymbolRef& symbol : (*file)->symbols()) {
    ++symbols;
    EXPECT_EQ(*symbol.getName(), kSymbol);
    const llvm::object::section_iterator section = *symbol.getSection();
    ASSERT_NE(section, (*file)->section_end());
    EXPECT_TRUE(section->isText());
    EXPECT_EQ(section->getAddress(), address_of(kernel));
    EXPECT_GT(section->getSize(), 50u);
    EXPECT_EQ(llvm::object::ELFSymbolRef(symbol).getSize(), section->getSize());
  }
  EXPECT_EQ(symbols, 1);
}

// --- None ---

TEST(JitProfileTest, NothingIsOpenedUnasked) {
  const ScopedDirectory directory;
  const ScopedVariable dump("JITDUMPDIR", directory.path().string());
  const ScopedVariable profile("CONVGEN_JIT_PROFILE", "");
  std::filesystem::remove(perf_map_path());
  const auto count_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = count_files();
  const Engine engine = testing::make_engine();
  const Kernel kernel = compile_kernel(engine, conv_of(kConv));
  EXPECT_EQ(count_files(), before);
  EXPECT_FALSE(std::filesystem::exists(perf_map_path()));
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  EXPECT_EQ(count_debug_objects(), 0);
}

}  // namespace
}  // namespace convgen
