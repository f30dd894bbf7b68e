// SPDX-License-Identifier: Apache-2.0
// Facts about emitted code. NAME.check: a header says what to compile, FileCheck's library checks
// the rest. NAME.ll: one module as a whole; CONVGEN_BLESS=1 rewrites it and prints the difference.
// A golden file that is missing fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <llvm/ADT/SmallString.h>
#include <llvm/FileCheck/FileCheck.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/SourceMgr.h>
#include <llvm/Support/raw_ostream.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "codegen/compile.h"
#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

const std::string kFolder = CONVGEN_GOLDEN_DIR;

// One golden file each; a file in the folder that is not named here fails too.
const std::vector<std::string> kFacts = {"direct_tile_avx512",
                                         "direct_tile_avx2",
                                         "direct_tile_sse",
                                         "direct_tile_aarch64",
                                         "direct_interior",
                                         "direct_tap_loops",
                                         "direct_lane_tail",
                                         "direct_lane_tail_avx2",
                                         "direct_taps_unrolled",
                                         "full_unroll",
                                         "depthwise_body",
                                         "grouped_body",
                                         "rotated_body",
                                         "winograd_body",
                                         "oc_inner",
                                         "padding_skipped",
                                         "pad_value",
                                         "ranged_edges",
                                         "shared_epilogue",
                                         "epilogue_loop",
                                         "strided_pixels",
                                         "filter_edge",
                                         "filter_zeros",
                                         "filter_streams",
                                         "streaming",
                                         "asm_avx512",
                                         "asm_avx2",
                                         "asm_sse",
                                         "empty"};
const std::vector<std::string> kTexts = {"conv1x1_avx2", "depthwise_sse"};

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// The header of a golden file, leading lines "; key: value": conv, mcpu, stage, schedule, and
// perhaps weights, all of them where they are constants, and never, strings that must not occur,
// separated by " | ".
struct Header {
  std::map<std::string, std::string> values;
  std::string text;  // the lines as they stand

  std::string at(const std::string& key) const {
    const auto found = values.find(key);
    if (found == values.end()) throw std::runtime_error("golden header lacks '" + key + "'");
    return found->second;
  }
  std::optional<ConstantWeights> weights() const {
    if (values.count("weights") == 0) return std::nullopt;
    std::istringstream words(at("weights"));
    ConstantWeights weights;
    for (float w; words >> w;) weights.values.push_back(w);
    return weights;
  }
  std::vector<std::string> never() const {
    std::vector<std::string> strings;
    if (values.count("never") == 0) return strings;
    std::string rest = at("never");
    for (size_t bar; (bar = rest.find(" | ")) != std::string::npos; rest.erase(0, bar + 3))
      strings.push_back(rest.substr(0, bar));
    strings.push_back(rest);
    return strings;
  }
};

Header read_header(const std::string& file) {
  Header header;
  std::istringstream lines(file);
  for (std::string line; std::getline(lines, line) && line.rfind("; ", 0) == 0;) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos || line.rfind("; CHECK", 0) == 0) break;
    header.values[line.substr(2, colon - 2)] = line.substr(colon + 2);
    header.text += line + "\n";
  }
  return header;
}

std::string compile_golden(const Header& header) {
  const std::map<std::string, Stage> stages = {{"llvm", Stage::kLlvm}, {"asm", Stage::kAssembly}};
  const ir::Conv conv = testing::conv_of(header.at("conv"));
  const Target target = testing::target_of(header.at("mcpu"));
  const Schedule schedule = testing::schedule_of(header.at("schedule"));
  const std::optional<ConstantWeights> weights = header.weights();
  Result<std::string> text = compile(stages.at(header.at("stage")), conv, schedule, target,
                                     {.constants = weights ? &*weights : nullptr});
  if (!text.ok()) throw std::runtime_error(text.status().message());
  return *text;
}

void collect(const llvm::SMDiagnostic& diagnostic, void* context) {
  llvm::raw_string_ostream stream(*static_cast<std::string*>(context));
  diagnostic.print("", stream, /*ShowColors=*/false);
}

// What FileCheck has to say against `input`; "" if all checks hold and nothing of `never` occurs.
std::string run_file_check(const std::string& checks, const std::string& input,
                           const std::vector<std::string>& never = {}) {
  llvm::FileCheckRequest request;
  request.ImplicitCheckNot.assign(never.begin(), never.end());
  request.CheckPrefixes = {"CHECK"};
  request.IsDefaultCheckPrefix = true;
  llvm::FileCheck file_check(request);
  if (!file_check.ValidateCheckPrefixes()) return "bad prefixes";

  std::string messages;
  llvm::SourceMgr sources;
  sources.setDiagHandler(collect, &messages);
  const auto add = [&](const std::string& text, const char* name,
                       llvm::SmallVectorImpl<char>& storage) {
    const auto raw = llvm::MemoryBuffer::getMemBuffer(text, name);
    const llvm::StringRef canonical = file_check.CanonicalizeFile(*raw, storage);
    sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBuffer(canonical, name), llvm::SMLoc());
    return canonical;
  };
  llvm::SmallString<4096> check_storage, input_storage;
  const llvm::StringRef check_text = add(checks, "checks", check_storage);
  if (file_check.readCheckFile(sources, check_text)) return "unreadable checks: " + messages;
  const llvm::StringRef input_text = add(input, "emitted", input_storage);
  if (file_check.checkInput(sources, input_text)) return "";
  return messages.empty() ? "failed without a message" : messages;
}

class Facts : public ::testing::TestWithParam<std::string> {};

TEST_P(Facts, Hold) {
  const std::string path = kFolder + "/" + GetParam() + ".check";
  const std::optional<std::string> file = read_file(path);
  ASSERT_TRUE(file.has_value()) << path << " is missing";
  const Header header = read_header(*file);
  ASSERT_EQ(file->rfind("; conv: ", 0), 0u) << path << " must begin with the conv text";
  const std::string emitted = compile_golden(header);
  EXPECT_EQ(run_file_check(*file, emitted, header.never()), "")
      << path << "\nconvgen emit '" << header.at("conv") << "' --emit=" << header.at("stage")
      << " --mcpu=" << header.at("mcpu") << " --schedule='" << header.at("schedule") << "'";
}

INSTANTIATE_TEST_SUITE_P(Golden, Facts, ::testing::ValuesIn(kFacts),
                         [](const auto& instance) { return instance.param; });

// Lines that differ, common head and tail left out: enough for files of some dozen lines.
std::string difference(const std::string& before, const std::string& after) {
  const auto split = [](const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
  };
  const auto a = split(before), b = split(after);
  size_t head = 0, tail = 0;
  const size_t shorter = std::min(a.size(), b.size());
  while (head < shorter && a[head] == b[head]) ++head;
  while (tail < shorter - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  std::string text;
  for (size_t i = head; i + tail < a.size(); ++i) text += "-" + a[i] + "\n";
  for (size_t i = head; i + tail < b.size(); ++i) text += "+" + b[i] + "\n";
  return text;
}

class Texts : public ::testing::TestWithParam<std::string> {};

TEST_P(Texts, AreUnchanged) {
  const std::string path = kFolder + "/" + GetParam() + ".ll";
  const std::optional<std::string> file = read_file(path);
  ASSERT_TRUE(file.has_value()) << path << " is missing (write its header, then CONVGEN_BLESS=1)";
  const Header header = read_header(*file);
  const std::string expected = header.text + compile_golden(header);
  const std::string diff = difference(*file, expected);
  if (const char* bless = std::getenv("CONVGEN_BLESS"); bless != nullptr && bless[0] == '1') {
    std::printf("%s%s", diff.empty() ? "" : ("blessed " + path + "\n").c_str(), diff.c_str());
    std::ofstream(path, std::ios::binary) << expected;
    return;
  }
  EXPECT_TRUE(*file == expected) << path << " differs; CONVGEN_BLESS=1 rewrites it\n" << diff;
}

INSTANTIATE_TEST_SUITE_P(Golden, Texts, ::testing::ValuesIn(kTexts),
                         [](const auto& instance) { return instance.param; });

TEST(GoldenFolder, HoldsWhatTheTestsName) {
  std::vector<std::string> named = {"golden_test.cpp"}, found;
  for (const std::string& name : kFacts) named.push_back(name + ".check");
  for (const std::string& name : kTexts) named.push_back(name + ".ll");
  for (const auto& entry : std::filesystem::directory_iterator(kFolder))
    found.push_back(entry.path().filename().string());
  EXPECT_THAT(found, ::testing::UnorderedElementsAreArray(named));
}

// The harness itself must be able to say no.
TEST(GoldenHarness, FailsWhereAFactDoesNotHold) {
  EXPECT_EQ(run_file_check("; CHECK: one\n; CHECK-NEXT: two\n", "one\ntwo\n"), "");
  EXPECT_NE(run_file_check("; CHECK: three\n", "one\ntwo\n"), "");
  EXPECT_NE(run_file_check("; CHECK-NOT: two\n", "one\ntwo\n"), "");
  EXPECT_NE(run_file_check("; CHECK-COUNT-2: one\n", "one\n"), "");
  EXPECT_NE(run_file_check("no check at all\n", "one\n"), "");
  EXPECT_NE(run_file_check("; CHECK: one\n", "one\ntwo\n", {"zero", "two"}), "");
  EXPECT_EQ(difference("a\nb\nc\n", "a\nd\nc\n"), "-b\n+d\n");
}

}  // namespace
}  // namespace convgen::codegen
