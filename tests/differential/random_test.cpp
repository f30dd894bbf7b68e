// SPDX-License-Identifier: Apache-2.0
// 2,000 random convolutions against the interpreter, between guard pages: even ones on integers,
// odd ones on reals; some again on lower instruction sets, by odd schedules, and on several
// threads. CONVGEN_TEST_SEED draws others; a failure prints the command that shows it again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "ir/random_conv.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"
#include "runtime/verify.h"
#include "tests/support/kernels.h"
#include "tests/support/odd_schedules.h"

namespace convgen::testing {
namespace {

// Random convolutions are small: all of their outputs are checked, winograd's dearer ones too.
constexpr double kAllOutputs = 1e11;

constexpr int kShards = 8;
constexpr uint64_t kConvsPerShard = 250;
constexpr uint64_t kKernelsKept = 50;
constexpr int kOddSchedules = 3;

// Whether the op keeps integers, so that bit equality can be demanded.
bool keeps_integers(const ir::PostOp& op) {
  using Kind = ir::PostOpKind;
  constexpr Kind kKinds[] = {Kind::kBias,  Kind::kAdd, Kind::kScale, Kind::kRelu,
                             Kind::kClamp, Kind::kMin, Kind::kMax,   Kind::kAbs};
  return std::find(std::begin(kKinds), std::end(kKinds), op.kind) != std::end(kKinds);
}

// Convolution number `index` of the test. Every fourth loses the post-ops that round: most chains
// hold one, and few would be left to compare bit by bit.
ir::Conv draw_conv(uint64_t index) {
  ir::Conv conv = ir::random_conv(test_seed(), index);
  if (index % 4 == 0) std::erase_if(conv.post, [](const auto& op) { return !keeps_integers(op); });
  return conv;
}

// Everything one shard does, and what it counted.
class Shard {
 public:
  explicit Shard(uint64_t first) : first_(first), engines_(make_engines()) {}

  void run() {
    for (uint64_t i = first_; i < first_ + kConvsPerShard; ++i) {
      const ir::Conv conv = draw_conv(i);
      const VerifyOptions options{.seed = mix(test_seed(), i),
                                  .data = i % 2 == 0 ? VerifyData::kIntegers : VerifyData::kReals,
                                  .max_multiply_adds = kAllOutputs};
      check(0, conv, options);
      if (i % 10 == 0) check_variants(conv, options);
      if (i % 5 == 1) check_staged(conv, options);
      if (i % 25 == 3) check_winograd(options);
      if (i % 20 == 5) check_threads(conv, options, 2 + static_cast<int>(i / 20 % 2));
      if (i % kKernelsKept == 0)
        for (auto& entry : engines_) entry.second.clear_cache();
    }
  }

  int64_t verified = 0;
  int64_t bit_exact = 0;
  int64_t odd_tried = 0;
  int64_t odd_accepted = 0;
  int64_t tasks_of_threaded = 0;
  int64_t rotated = 0;
  int64_t oc_inner = 0;
  int64_t winograd = 0;

 private:
  Reproducer reproducer(size_t engine, const VerifyOptions& options) const {
    const bool integers = options.data == VerifyData::kIntegers;
    return {.mcpu = engines_[engine].first,
            .seed = options.seed,
            .data = integers ? "integers" : "reals"};
  }

  void verify(const Kernel& kernel, const VerifyOptions& options, const Reproducer& again) {
    EXPECT_EQ(kernel.engine_name(), "jit");
    announce_in_case_of_fault(again.text(kernel.conv()));
    const Result<VerifyReport> report = verify_kernel(kernel, options);
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_TRUE(report->pass) << report->failure << "\n  again: " << again.text(kernel.conv());
    EXPECT_EQ(report->checked_outputs, kernel.conv().dst_elements());
    ++verified;
    bit_exact += report->bit_exact ? 1 : 0;
    rotated += kernel.schedule().rfind("rotated ", 0) == 0 ? 1 : 0;
    winograd += kernel.summation().winograd_tile != 0 ? 1 : 0;
    oc_inner += kernel.schedule().find(" order=oc_inner ") != std::string::npos ? 1 : 0;
  }

  void check(size_t engine, const ir::Conv& conv, const VerifyOptions& options) {
    const Reproducer again = reproducer(engine, options);
    const Result<Kernel> kernel = engines_[engine].second.compile(conv);
    ASSERT_TRUE(kernel.ok()) << kernel.status().message() << "\n  again: " << again.text(conv);
    verify(*kernel, options, again);
  }

  // The selected schedule on lower levels, and odd schedules on all of them.
  void check_variants(const ir::Conv& conv, const VerifyOptions& options) {
    Random random(options.seed);
    for (size_t engine = 0; engine < engines_.size(); ++engine) {
      if (engine > 0) check(engine, conv, options);
      const int schedules = engine == 0 ? kOddSchedules : 1;
      for (int i = 0; i < schedules; ++i)
        check_schedule(engine, conv, options, draw_schedule(random));
    }
  }

  void check_staged(const ir::Conv& conv, const VerifyOptions& options) {
    Random random(mix(options.seed, 1));
    for (size_t engine = 0; engine < engines_.size(); ++engine)
      check_schedule(engine, conv, options, draw_staged_schedule(random));
  }

  void check_winograd(const VerifyOptions& options) {
    Random random(mix(options.seed, 2));
    const ir::Conv conv = draw_winograd_conv(random);
    for (size_t engine = 0; engine < engines_.size(); ++engine)
      check_schedule(engine, conv, options, draw_winograd_schedule(random));
  }

  void check_schedule(size_t engine, const ir::Conv& conv, const VerifyOptions& options,
                      const std::string& schedule) {
    Reproducer again = reproducer(engine, options);
    again.schedule = schedule;
    const Result<Kernel> kernel = engines_[engine].second.compile(conv, with_schedule(schedule));
    ++odd_tried;
    if (kernel.ok()) {
      ++odd_accepted;
      return verify(*kernel, options, again);
    }
    // Refused before emission, in words; anything else is a failure.
    EXPECT_EQ(kernel.status().message().rfind("schedule ", 0), 0u)
        << kernel.status().message() << "\n  again: " << again.text(conv);
  }

  void check_threads(const ir::Conv& conv, const VerifyOptions& one_thread, int threads) {
    Reproducer again = reproducer(0, one_thread);
    again.threads = threads;
    const Kernel kernel = compile_kernel(engines_[0].second, conv, for_threads(threads));
    ThreadPool pool(threads);
    const ParallelFor parallel_for = pool.parallel_for();
    VerifyOptions options = one_thread;
    options.parallel_for = &parallel_for;
    verify(kernel, options, again);
    tasks_of_threaded += kernel.tasks();

    const HostTensors tensors = random_tensors(conv, options.seed, Data::kReals);
    const std::vector<float> alone = run_kernel(kernel, tensors);
    EXPECT_TRUE(same_bits(alone, run_kernel(kernel, tensors, {.parallel_for = &parallel_for})))
        << threads << " threads: " << ir::print_conv(conv);
    const Kernel for_one = compile_kernel(engines_[0].second, conv);
    EXPECT_TRUE(same_bits(alone, run_kernel(for_one, tensors)))
        << "compiled for " << threads << " threads and for 1: " << ir::print_conv(conv);
  }

  const uint64_t first_;
  const std::vector<std::pair<std::string, Engine>> engines_;
};

class RandomTest : public ::testing::TestWithParam<int> {};

TEST_P(RandomTest, AgreesWithInterpreter) {
  fmt::print("CONVGEN_TEST_SEED={}\n", test_seed());
  Shard shard(static_cast<uint64_t>(GetParam()) * kConvsPerShard);
  shard.run();
  fmt::print(
      "verified {} kernels, {} bit exact, {} rotated, {} oc_inner, {} winograd; {} of {} odd "
      "schedules accepted\n",
      shard.verified, shard.bit_exact, shard.rotated, shard.oc_inner, shard.winograd,
      shard.odd_accepted, shard.odd_tried);
  // What the test promises to have looked at.
  EXPECT_GE(shard.verified, static_cast<int64_t>(kConvsPerShard));
  EXPECT_GE(shard.bit_exact * 4, shard.verified - shard.winograd) << "too few on exact integers";
  EXPECT_GE(shard.odd_accepted * 2, shard.odd_tried) << "too many schedules refused";
  EXPECT_GE(shard.rotated, 2);
  EXPECT_GE(shard.winograd, 15);
  EXPECT_GE(shard.oc_inner, 2);
  EXPECT_GT(shard.tasks_of_threaded, static_cast<int64_t>(kConvsPerShard) / 20);
}

INSTANTIATE_TEST_SUITE_P(Shards, RandomTest, ::testing::Range(0, kShards));

// The generic path on a part of the same convolutions.
TEST(RandomGenericTest, AgreesWithInterpreter) {
  const Engine engine = make_engine();
  for (uint64_t i = 0; i < kShards * kConvsPerShard; i += 8) {
    for (const uint64_t index : {i, i + 1}) {
      const ir::Conv conv = draw_conv(index);
      const Kernel kernel = compile_kernel(engine, conv, generic_engine());
      const bool integers = index % 2 == 0;
      const VerifyOptions options{.seed = mix(test_seed(), index),
                                  .data = integers ? VerifyData::kIntegers : VerifyData::kReals,
                                  .max_multiply_adds = kAllOutputs};
      const Result<VerifyReport> report = verify_kernel(kernel, options);
      ASSERT_TRUE(report.ok()) << report.status().message();
      const Reproducer again{
          .seed = options.seed, .data = integers ? "integers" : "reals", .engine = "generic"};
      EXPECT_TRUE(report->pass) << report->failure << "\n  again: " << again.text(conv);
    }
  }
}

}  // namespace
}  // namespace convgen::testing
