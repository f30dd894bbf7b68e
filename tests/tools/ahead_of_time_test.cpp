// SPDX-License-Identifier: Apache-2.0
// What `emit --emit=obj,header` and `bundle` leave behind, as a C programmer meets it: files that
// compile, link against nothing, and compute the JIT's bits.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cinttypes>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "ir/text.h"
#include "runtime/engine.h"
#include "tests/support/bundle_tensors.h"
#include "tests/support/child_process.h"
#include "tests/support/environment.h"

namespace convgen::tool {
namespace {

namespace fs = std::filesystem;
using testing::checksum_of;
using testing::run_child;
using Words = std::vector<std::string>;

const std::string kConv =
    "conv2d src=f32:nhwc:1x20x20x32 weights=f32:hwio:3x3x32x40 pads=same post=bias,tanh";

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The numbers that the C programs here fill their tensors with.
class Filler {
 public:
  std::vector<float> operator()(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) {
      state_ = state_ * 1664525u + 1013904223u;
      value = static_cast<float>(state_ >> 8) * 0x1p-23f - 1.0f;
    }
    return values;
  }

 private:
  uint32_t state_ = 1;
};

Engine jit_engine(const std::string& mcpu) {
  auto engine = Engine::create({.mcpu = mcpu, .use_tuning = false, .cache_dir = ""});
  if (!engine.ok()) throw std::runtime_error(engine.status().message());
  return *std::move(engine);
}

std::vector<float> run_jit(const Engine& engine, const std::string& text,
                           const std::vector<float>& src, const std::vector<float>& weights,
                           const std::vector<float>& bias) {
  const auto kernel = engine.compile(text);
  if (!kernel.ok()) throw std::runtime_error(kernel.status().message());
  std::vector<float> dst(static_cast<size_t>(kernel->conv().dst_elements()));
  const Status status = kernel->run(
      {.src = src.data(), .weights = weights.data(), .bias = bias.data(), .dst = dst.data()});
  if (!status.ok()) throw std::runtime_error(status.message());
  return dst;
}

class AheadOfTimeTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (directory_.path() / name).string(); }
  void run_tool(Words words) {
    words.insert(words.begin(), CONVGEN_TOOL_PATH);
    const auto ran = run_child(words, {});
    ASSERT_EQ(ran.exit, 0) << ran.out;
    EXPECT_EQ(ran.out, "");
  }
  void compile(Words words) {
    const auto ran = run_child(words, {});
    ASSERT_EQ(ran.exit, 0) << ran.out;
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }

  testing::ScopedDirectory directory_;
};

// Links the object and libc.
constexpr const char* kProgram = R"(
#include "conv1.h"
#include <stdio.h>
static float src[CONV1_SRC_ELEMENTS], weights[CONV1_WEIGHTS_ELEMENTS], bias[40];
static float dst[CONV1_DST_ELEMENTS];
static _Alignas(CONVGEN_ALIGNMENT) unsigned char packed[CONV1_PACKED_WEIGHTS_BYTES];
static _Alignas(CONVGEN_ALIGNMENT) unsigned char scratch[CONV1_SCRATCH_BYTES + 1];
static uint32_t state = 1;
static void fill(float* values, int count) {
  for (int i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values[i] = (float)(state >> 8) * 0x1p-23f - 1.0f;
  }
}
int main(void) {
  fill(src, CONV1_SRC_ELEMENTS);
  fill(weights, CONV1_WEIGHTS_ELEMENTS);
  fill(bias, 40);
  if (conv1_packed_weights_bytes() != CONV1_PACKED_WEIGHTS_BYTES) return 2;
  if (conv1_scratch_bytes() != CONV1_SCRATCH_BYTES) return 3;
  if (conv1_pack_weights(weights, (float*)packed) != CONVGEN_DONE) return 4;
  if (conv1(src, (const float*)packed, bias, dst, scratch) != CONVGEN_DONE) return 5;
  fwrite(dst, sizeof dst, 1, stdout);
  return 0;
}
)";

TEST_F(AheadOfTimeTest, ObjectAndHeaderGiveTheBitsOfTheJit) {
  for (const std::string mcpu : {"x86-64-v2", "x86-64-v3"}) {
    const auto engine = Engine::create({.mcpu = mcpu, .use_tuning = false, .cache_dir = ""});
    if (!engine.ok()) GTEST_SKIP() << engine.status().message();
    run_tool({"emit", kConv, "--emit=obj,header", "--function=conv1", "--mcpu=" + mcpu, "-o",
              path("conv1")});
    write("main.c", kProgram);
    compile({CONVGEN_C_COMPILER, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I",
             directory_.path(), path("main.c"), path("conv1.o"), "-o", path("main")});
    const auto ran = run_child({path("main")}, {});
    ASSERT_EQ(ran.exit, 0) << mcpu;
    Filler fill;
    const auto src = fill(20 * 20 * 32), weights = fill(3 * 3 * 32 * 40), bias = fill(40);
    const auto expected = run_jit(*engine, kConv, src, weights, bias);
    EXPECT_EQ(ran.out, std::string(reinterpret_cast<const char*>(expected.data()),
                                   expected.size() * sizeof(float)))
        << mcpu;
  }
}

TEST_F(AheadOfTimeTest, HeadersAreCAndCplusplus) {
  write("net.conv", kConv + " name=conv1\n" +
                        "conv1d src=f32:nwc:2x9x4 weights=f32:wio:3x2x6 groups=2 post=add,scale\n");
  run_tool({"bundle", "@" + path("net.conv"), "-o", path("libnet.a"), "--mcpu=x86-64-v3"});
  write("a.c", "#include \"net.h\"\n#include \"net.h\"\n");
  write("a.cpp", "#include \"net.h\"\n#include \"net.h\"\n");
  for (const Words& words : {Words{CONVGEN_C_COMPILER, "-std=c11", path("a.c")},
                             Words{CONVGEN_CXX_COMPILER, "-std=c++11", path("a.cpp")}}) {
    Words all = words;
    for (const char* flag : {"-fsyntax-only", "-pedantic", "-Wall", "-Wextra", "-Werror"})
      all.emplace_back(flag);
    compile(all);
  }
}

// Both files or none, and names that a C programmer can use.
TEST_F(AheadOfTimeTest, BundleRefusesBadRequests) {
  write("twice.conv", kConv + "\n" + kConv + "\n");
  write("keyword.conv", "# first\n" + kConv + " name=double\n");
  write("broken.conv", kConv + "\nconv2d src=f32\n");
  fs::create_directory(path("net.h"));
  const auto refused = [&](Words words, const std::string& message) {
    words.insert(words.begin(), {CONVGEN_TOOL_PATH, "bundle"});
    const auto ran = run_child(words, {});
    EXPECT_EQ(ran.exit, 2);
    EXPECT_TRUE(ran.out.starts_with("convgen: error: ")) << ran.out;
    EXPECT_NE(ran.out.find(message), std::string::npos) << ran.out;
  };
  refused({kConv, "-o", path("net.a")}, "expected libNAME.a");
  refused({kConv, "-o", path("lib1st.a")}, "expected a c identifier");
  refused({"@" + path("twice.conv"), "-o", path("libtwo.a")}, "as conv2d_src_f32");
  refused({"@" + path("keyword.conv"), "-o", path("libtwo.a")}, "keyword.conv:2: name=double");
  refused({"@" + path("broken.conv"), "-o", path("libtwo.a")}, "broken.conv:2: ");
  refused({kConv, "-o", path("libtwo.a"), "--mcpu=nonsense"}, "mcpu=nonsense");
  refused({kConv, "-o", path("libtwo.a"), "--mtriple=riscv64-linux-gnu"}, "the V extension");
  refused({kConv, "-o", path("no/such/libtwo.a")}, "No such file");
  refused({kConv, "-o", path("libnet.a")}, "net.h");  // a directory: the library must not appear
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(directory_.path()))
    files.push_back(entry.path().filename());
  std::ranges::sort(files);
  EXPECT_EQ(files, (Words{"broken.conv", "keyword.conv", "net.h", "twice.conv"}));
}

TEST_F(AheadOfTimeTest, BundlesAreTheSameOnAnyNumberOfThreads) {
  for (const std::string threads : {"1", "2"}) {
    fs::create_directory(path(threads));
    run_tool({"bundle", kConv + " name=conv1", "-o", path(threads + "/libnet.a"), "--header",
              path(threads + ".h"), "--threads", threads});
  }
  EXPECT_TRUE(read_file(path("1/libnet.a")).starts_with("!<arch>\n"));
  EXPECT_TRUE(read_file(path("1/libnet.a")) == read_file(path("2/libnet.a")));
  EXPECT_NE(read_file(path("1.h")).find("int conv1("), std::string::npos);
  EXPECT_EQ(read_file(path("1.h")), read_file(path("2.h")));
}

// --- examples/08_ahead_of_time ---

#ifdef CONVGEN_EXAMPLE_AHEAD_OF_TIME

TEST(AheadOfTimeExample, IsSmallAndLinksLibcAlone) {
  EXPECT_LT(fs::file_size(CONVGEN_EXAMPLE_AHEAD_OF_TIME), 200u << 10);
  const auto ran = run_child({"/usr/bin/env", "ldd", CONVGEN_EXAMPLE_AHEAD_OF_TIME}, {});
  std::istringstream lines(ran.out);
  for (std::string line; std::getline(lines, line);) {
    const bool known = line.find("libc.so") != line.npos || line.find("ld-linux") != line.npos ||
                       line.find("linux-vdso") != line.npos;
    EXPECT_TRUE(known) << line;
  }
}

TEST(AheadOfTimeExample, GivesTheBitsOfTheJit) {
  const auto ran = run_child({CONVGEN_EXAMPLE_AHEAD_OF_TIME}, {});
  if (ran.exit == 1) GTEST_SKIP() << ran.out;
  char level[32] = "";
  uint64_t checksum = 0;
  ASSERT_EQ(std::sscanf(ran.out.c_str(), "level %31s checksum %" SCNx64, level, &checksum), 2);
  std::ifstream file(CONVGEN_EXAMPLE_NET);
  const std::vector<std::string> texts = testing::bundle_texts(file);
  ASSERT_EQ(texts.size(), 2u);
  const auto conv1 = ir::parse_conv(texts[0]), conv2 = ir::parse_conv(texts[1]);
  Filler fill;
  const auto src = fill(conv1->src_elements()), weights1 = fill(conv1->weights_elements());
  const auto bias1 = fill(conv1->oc), weights2 = fill(conv2->weights_elements());
  const auto bias2 = fill(conv2->oc);
  const Engine engine = jit_engine(level);
  const auto middle = run_jit(engine, texts[0], src, weights1, bias1);
  const auto dst = run_jit(engine, texts[1], middle, weights2, bias2);
  EXPECT_EQ(checksum_of(dst), checksum) << ran.out;
}

#endif

}  // namespace
}  // namespace convgen::tool
