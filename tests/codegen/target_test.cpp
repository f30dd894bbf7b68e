// SPDX-License-Identifier: Apache-2.0
// Targets by name and by host: features, what follows from them, and what is refused.
#include "codegen/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/codegen/codegen_test_support.h"

namespace convgen::codegen {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::kAArch64;
using ::testing::Not;
using testing::target_of;

bool has(const Target& target, const std::string& feature) {
  return std::find(target.features.begin(), target.features.end(), feature) !=
         target.features.end();
}

Status error_of(const std::string& triple, const std::string& cpu, const std::string& attrs) {
  return make_target(triple, cpu, attrs).status();
}

TEST(Target, IsaLevelsHaveTheFeaturesTheirNamesPromise) {
  const Target v2 = target_of("x86-64-v2");
  EXPECT_TRUE(has(v2, "+sse4.2"));
  EXPECT_FALSE(has(v2, "+avx"));
  const Target v3 = target_of("x86-64-v3");
  EXPECT_TRUE(has(v3, "+avx2") && has(v3, "+fma"));
  EXPECT_FALSE(has(v3, "+avx512f"));
  const Target v4 = target_of("x86-64-v4");
  EXPECT_TRUE(has(v4, "+avx512f") && has(v4, "+avx512vl"));
}

TEST(Target, VectorsFollowFromFeatures) {
  struct Case {
    const char* name;
    int lanes, registers;
    bool fma, masks;
  };
  for (const Case& c :
       {Case{"x86-64", 4, 16, false, false}, Case{"x86-64-v2", 4, 16, false, false},
        Case{"sandybridge", 8, 16, false, false}, Case{"haswell", 8, 16, true, false},
        Case{"x86-64-v3", 8, 16, true, false}, Case{"x86-64-v4", 16, 32, true, true},
        // AVX-512 without VL: no masks on narrower vectors, so AVX2 it is.
        Case{"knl", 8, 16, true, false}, Case{"znver5", 16, 32, true, true},
        Case{kAArch64, 4, 32, true, false}}) {
    SCOPED_TRACE(c.name);
    // LLVM 19 still knows knl.
    const Target target = target_of(c.name);
    EXPECT_EQ(target.max_lanes, c.lanes);
    EXPECT_EQ(target.vector_registers, c.registers);
    EXPECT_EQ(target.has_fma, c.fma);
    EXPECT_EQ(target.has_lane_masks, c.masks);
  }
}

TEST(Target, IsaLevelsAreListedFromNarrowToWide) {
  int lanes = 0;
  for (const std::string& name : isa_levels()) {
    EXPECT_GT(target_of(name).max_lanes, lanes) << name;
    lanes = target_of(name).max_lanes;
  }
  EXPECT_EQ(lanes, 16);
}

TEST(Target, FeaturesAreSortedAndUnique) {
  for (const std::string& name : testing::all_target_names()) {
    const Target target = target_of(name);
    EXPECT_TRUE(std::is_sorted(target.features.begin(), target.features.end())) << name;
    const std::set<std::string> unique(target.features.begin(), target.features.end());
    EXPECT_EQ(unique.size(), target.features.size()) << name;
    for (const std::string& feature : target.features)
      EXPECT_TRUE(feature.size() > 1 && (feature[0] == '+' || feature[0] == '-')) << feature;
  }
}

TEST(Target, CrossTripleIsNormalized) {
  const Target target = target_of(kAArch64);
  EXPECT_EQ(target.triple, "aarch64-unknown-linux-gnu");
  EXPECT_TRUE(has(target, "+neon"));
  const Target named = *make_target(kAArch64, "neoverse-n1", "");
  EXPECT_EQ(named.tune_cpu, "neoverse-n1");
  EXPECT_GT(named.features.size(), target.features.size());
}

TEST(Target, AttributesChangeFeaturesAndWhatFollows) {
  const Target no_fma = *make_target("x86_64-linux-gnu", "x86-64-v3", "-fma");
  EXPECT_FALSE(has(no_fma, "+fma"));
  EXPECT_FALSE(no_fma.has_fma);
  EXPECT_EQ(no_fma.max_lanes, 8);
  const Target wider = *make_target("x86_64-linux-gnu", "x86-64-v2", "+avx2,+fma");
  EXPECT_TRUE(wider.has_fma);
  EXPECT_EQ(wider.max_lanes, 8);
  const Target narrower = *make_target("x86_64-linux-gnu", "x86-64-v4", "-avx512vl");
  EXPECT_EQ(narrower.max_lanes, 8);
  EXPECT_FALSE(narrower.has_lane_masks);
}

TEST(Target, UnknownCpuListsTheKnown) {
  const Status status = error_of("x86_64-linux-gnu", "potato", "");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("mcpu=potato"), HasSubstr("haswell"),
                                      HasSubstr("x86-64-v3"), HasSubstr("znver4")));
  EXPECT_THAT(status.message(), Not(HasSubstr("did you mean")));
  EXPECT_THAT(error_of("x86_64-linux-gnu", "haswel", "").message(),
              HasSubstr("; did you mean 'haswell'?"));
  const Status foreign = error_of(kAArch64, "haswell", "");
  EXPECT_EQ(foreign.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(foreign.message(), AllOf(HasSubstr("mcpu=haswell"), HasSubstr("neoverse-n1")));
}

TEST(Target, MessagesShowNoControlCharacters) {
  const std::string bad = "a\x1b[31m";
  for (const auto& [cpu, attrs] : {std::pair(bad, std::string()), {"haswell", bad}}) {
    const Status status = error_of("x86_64-linux-gnu", cpu, attrs);
    EXPECT_THAT(status.message(), HasSubstr("=a\\x1b[31m: "));
  }
  EXPECT_THAT(error_of(bad, "", "").message(), HasSubstr("mtriple=a\\x1b[31m: "));
}

TEST(Target, BadAttributesAreNamed) {
  for (const auto& [attrs, word] :
       std::vector<std::pair<std::string, std::string>>{{"+nosuch", "+nosuch"},
                                                        {"avx2", "avx2"},
                                                        {"+", "+"},
                                                        {"-", "-"},
                                                        {"*avx2", "*avx2"},
                                                        {"+avx2,,+fma", ""},
                                                        {"+avx2,+AVX", "+AVX"},
                                                        {"+avx2, +fma", " +fma"}}) {
    const Status status = error_of("x86_64-linux-gnu", "x86-64-v3", attrs);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << attrs;
    EXPECT_THAT(status.message(), AllOf(HasSubstr("mattr=" + attrs), HasSubstr("'" + word + "'")));
  }
}

TEST(Target, BadAttributesHaveANeighbour) {
  for (const auto& [attrs, near] : std::vector<std::pair<std::string, std::string>>{
           {"avx2", "+avx2"}, {"+AVX2", "+avx2"}, {"-fam", "-fma"}})
    EXPECT_THAT(error_of("x86_64-linux-gnu", "x86-64-v3", attrs).message(),
                HasSubstr("; did you mean '" + near + "'?"));
}

TEST(Target, ListsTheCpusOfThisMachinesTriple) {
  const std::vector<std::string> cpus = known_cpus();
  ASSERT_FALSE(cpus.empty());
  for (const std::string& cpu : cpus) EXPECT_TRUE(make_target("", cpu, "").ok()) << cpu;
}

TEST(Target, UnknownTripleIsNamed) {
  for (const char* arch : {"nonsense", "pdp11", "x86_65"}) {
    const Status status = error_of(std::string(arch) + "-linux-gnu", "", "");
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << arch;
    EXPECT_THAT(status.message(), HasSubstr(std::string("mtriple=") + arch));
  }
}

TEST(Target, KeyTellsTargetsApart) {
  std::set<std::string> keys;
  for (const char* name : {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "haswell", kAArch64})
    keys.insert(target_of(name).key());
  keys.insert(make_target("x86_64-linux-gnu", "x86-64-v3", "-fma")->key());
  EXPECT_EQ(keys.size(), 7u);
  EXPECT_EQ(target_of("x86-64-v3").key(), target_of("x86-64-v3").key());
}

TEST(Target, KeyHoldsEveryFeature) {
  const Target target = target_of("x86-64-v3");
  for (const std::string& feature : target.features) EXPECT_THAT(target.key(), HasSubstr(feature));
  EXPECT_THAT(target.key(), HasSubstr(target.triple));
}

TEST(HostTarget, TellsWhatIsOnAndWhatIsOff) {
  const Result<Target> host = host_target();
  ASSERT_TRUE(host.ok()) << host.status().message();
  EXPECT_TRUE(std::is_sorted(host->features.begin(), host->features.end()));
  const auto starts_with = [](char sign) {
    return [sign](const std::string& feature) { return feature[0] == sign; };
  };
  EXPECT_TRUE(std::any_of(host->features.begin(), host->features.end(), starts_with('+')));
  EXPECT_TRUE(std::any_of(host->features.begin(), host->features.end(), starts_with('-')));
  EXPECT_GE(host->l1d_bytes, 8 << 10);
  EXPECT_GE(host->l2_bytes, host->l1d_bytes);
}

TEST(HostTarget, IsWhatNoNameMeans) {
  EXPECT_EQ(make_target("", "", "")->key(), host_target()->key());
}

TEST(HostTarget, TakesAttributes) {
  const Target host = *host_target();
  if (!host.has_fma || host.max_lanes < 8) GTEST_SKIP() << "the host has no AVX2 to take away";
  const Target narrow = *make_target("", "", "-avx");
  EXPECT_EQ(narrow.max_lanes, 4);
  EXPECT_TRUE(check_runs_on(narrow, host).ok());
}

TEST(CheckRunsOn, HostRunsItself) {
  const Target host = *host_target();
  const Status status = check_runs_on(host, host);
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(CheckRunsOn, MissingFeatureIsNamed) {
  Target host = target_of("x86-64-v2");
  host.features.push_back("-avx2");
  std::sort(host.features.begin(), host.features.end());
  EXPECT_TRUE(check_runs_on(target_of("x86-64-v2"), host).ok());
  const Status status = check_runs_on(target_of("x86-64-v3"), host);
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("x86-64-v3"), HasSubstr("lacks avx2")));
}

TEST(CheckRunsOn, ForeignArchitectureIsNamed) {
  const Status status = check_runs_on(target_of(kAArch64), target_of("x86-64-v4"));
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("aarch64"), HasSubstr("x86_64")));
}

// Host detection and derived numbers must agree, else tests would run on fewer levels than it has.
TEST(CheckRunsOn, LevelsOfTheHostFollowItsLanes) {
  const Target host = *host_target();
  if (host.triple.find("x86_64") != 0) GTEST_SKIP() << "levels are x86-64's";
  EXPECT_EQ(check_runs_on(target_of("x86-64-v4"), host).ok(), host.max_lanes == 16);
  if (host.max_lanes > 4) return;
  EXPECT_FALSE(check_runs_on(target_of("x86-64-v3"), host).ok());
}

// Vectors of unknown length are none of ours, whatever the CPU has.
TEST(Target, LeavesScalableVectorsOfAArch64Off) {
  const auto target = make_target("aarch64-linux-gnu", "neoverse-v1", "+sme");
  ASSERT_TRUE(target.ok()) << target.status().message();
  EXPECT_NE(target->feature_string().find("+neon"), std::string::npos);
  for (const std::string& feature : target->features) {
    EXPECT_FALSE(feature.starts_with("+sve")) << feature;
    EXPECT_FALSE(feature.starts_with("+sme")) << feature;
  }
}

TEST(Target, RiscvNeedsVectorsAndMultiplications) {
  const auto target = make_target("riscv64-linux-gnu", "", "+m,+v");
  ASSERT_TRUE(target.ok()) << target.status().message();
  EXPECT_EQ(target->max_lanes, 4);
  EXPECT_EQ(target->vector_registers, 32);
  EXPECT_TRUE(target->has_fma);
  for (const char* attrs : {"", "+m", "+v"})
    EXPECT_EQ(make_target("riscv64-linux-gnu", "", attrs).status().code(), StatusCode::kUnsupported)
        << attrs;
}

}  // namespace
}  // namespace convgen::codegen
