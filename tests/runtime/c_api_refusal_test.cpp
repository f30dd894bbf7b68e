// SPDX-License-Identifier: Apache-2.0
// What the C interface refuses, with the words it has for it: null for every pointer of every
// function, sizes of other versions, numbers that are no choice, wrong texts and foreign weights.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "ir/text.h"
#include "runtime/c_api_support.h"
#include "tests/support/c_api.h"

namespace convgen {
namespace {

using namespace convgen::testing;  // NOLINT: every helper of the file

const char* const kConv =
    "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=bias,add,scale";

template <typename T>
T* garbage() {
  return reinterpret_cast<T*>(uintptr_t{0x5a5a5a5a});
}

// A handle of each kind.
class CApiRefusalTest : public ::testing::Test {
 protected:
  void expect(convgen_status wanted, convgen_status found, const std::string& message) {
    EXPECT_EQ(found, wanted) << convgen_status_name(found) << ", " << message;
    EXPECT_EQ(convgen_last_error(), message);
  }
  void expect_null(const std::string& name, convgen_status found) {
    expect(CONVGEN_INVALID_ARGUMENT, found, name + ": null");
  }
  // call(out) fails by `name` being null, and takes back what out held.
  template <typename Handle>
  void expect_null(const std::string& name, const std::function<convgen_status(Handle**)>& call) {
    Handle* out = garbage<Handle>();
    expect_null(name, call(&out));
    EXPECT_EQ(out, nullptr) << name;
  }

  const CEngine engine_ = c_engine();
  const CConv conv_ = c_conv(kConv);
  const CKernel kernel_ = c_kernel(engine_, kConv);
  const HostTensors tensors_ = random_tensors(conv_of(kConv), 1, Data::kReals);
  std::vector<float> dst_ = std::vector<float>(6 * 7 * 9, 77.0f);
};

TEST_F(CApiRefusalTest, NullInConvs) {
  convgen_conv_info info = CONVGEN_CONV_INFO_INIT;
  const convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
  expect_null<convgen_conv>("text", [&](auto out) { return convgen_conv_parse(nullptr, out); });
  expect_null("conv", convgen_conv_parse(kConv, nullptr));
  expect_null<convgen_conv>("spec", [&](auto out) { return convgen_conv_create(nullptr, out); });
  expect_null("conv", convgen_conv_create(&spec, nullptr));
  expect_null("conv", convgen_conv_get_info(nullptr, &info));
  expect_null("info", convgen_conv_get_info(conv_.get(), nullptr));
}

TEST_F(CApiRefusalTest, NullInThreadPools) {
  int32_t threads = 0;
  const CPool pool = c_pool(1);
  expect_null("pool", convgen_thread_pool_create(1, nullptr));
  expect_null("pool", convgen_thread_pool_threads(nullptr, &threads));
  expect_null("threads", convgen_thread_pool_threads(pool.get(), nullptr));
}

TEST_F(CApiRefusalTest, NullInEngines) {
  convgen_engine_stats stats = CONVGEN_ENGINE_STATS_INIT;
  expect_null("engine", convgen_engine_create(CONVGEN_ABI_VERSION, nullptr, nullptr));
  expect_null<convgen_engine>("engine",
                              [&](auto out) { return convgen_engine_copy(nullptr, out); });
  expect_null("copy", convgen_engine_copy(engine_.get(), nullptr));
  expect_null("engine", convgen_engine_clear_cache(nullptr));
  expect_null("engine", convgen_engine_get_stats(nullptr, &stats));
  expect_null("stats", convgen_engine_get_stats(engine_.get(), nullptr));
  expect_null("engine", convgen_engine_store_status(nullptr));
  expect_null<const char>("engine", [&](auto out) { return convgen_engine_target(nullptr, out); });
  expect_null("target", convgen_engine_target(engine_.get(), nullptr));
}

TEST_F(CApiRefusalTest, NullInCompiling) {
  const convgen_engine* engine = engine_.get();
  const float* weights = tensors_.weights.data();
  const size_t count = tensors_.weights.size();
  expect_null<convgen_kernel>("engine", [&](auto out) {
    return convgen_engine_compile(nullptr, conv_.get(), nullptr, out);
  });
  expect_null<convgen_kernel>(
      "conv", [&](auto out) { return convgen_engine_compile(engine, nullptr, nullptr, out); });
  expect_null("kernel", convgen_engine_compile(engine, conv_.get(), nullptr, nullptr));
  expect_null<convgen_kernel>("engine", [&](auto out) {
    return convgen_engine_compile_text(nullptr, kConv, nullptr, out);
  });
  expect_null<convgen_kernel>(
      "text", [&](auto out) { return convgen_engine_compile_text(engine, nullptr, nullptr, out); });
  expect_null("kernel", convgen_engine_compile_text(engine, kConv, nullptr, nullptr));
  expect_null<convgen_kernel>("engine", [&](auto out) {
    return convgen_engine_compile_constant(nullptr, conv_.get(), weights, count, 0, nullptr, out);
  });
  expect_null<convgen_kernel>("conv", [&](auto out) {
    return convgen_engine_compile_constant(engine, nullptr, weights, count, 0, nullptr, out);
  });
  expect_null<convgen_kernel>("weights", [&](auto out) {
    return convgen_engine_compile_constant(engine, conv_.get(), nullptr, count, 0, nullptr, out);
  });
  expect_null("kernel", convgen_engine_compile_constant(engine, conv_.get(), weights, count, 0,
                                                        nullptr, nullptr));
}

TEST_F(CApiRefusalTest, NullInPreparing) {
  const convgen_conv* convs[] = {conv_.get(), nullptr};
  convgen_kernel* kernels[2] = {garbage<convgen_kernel>(), garbage<convgen_kernel>()};
  convgen_status statuses[2] = {99, 99};
  expect_null("engine", convgen_engine_prepare(nullptr, convs, 2, nullptr, kernels, statuses));
  EXPECT_EQ(kernels[0], nullptr);
  EXPECT_EQ(kernels[1], nullptr);
  EXPECT_EQ(statuses[0], CONVGEN_INVALID_ARGUMENT);
  EXPECT_EQ(statuses[1], CONVGEN_INVALID_ARGUMENT);
  expect_null("convs",
              convgen_engine_prepare(engine_.get(), nullptr, 2, nullptr, kernels, statuses));
  expect_null("kernels",
              convgen_engine_prepare(engine_.get(), convs, 2, nullptr, nullptr, statuses));
  expect_null("convs[1]",
              convgen_engine_prepare(engine_.get(), convs, 2, nullptr, kernels, nullptr));
  EXPECT_EQ(kernels[0], nullptr);
}

TEST_F(CApiRefusalTest, NullInKernels) {
  convgen_kernel_info info = CONVGEN_KERNEL_INFO_INIT;
  convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
  int32_t decided = 0;
  expect_null<convgen_kernel>("kernel",
                              [&](auto out) { return convgen_kernel_copy(nullptr, out); });
  expect_null("copy", convgen_kernel_copy(kernel_.get(), nullptr));
  expect_null<convgen_conv>("kernel", [&](auto out) { return convgen_kernel_conv(nullptr, out); });
  expect_null("conv", convgen_kernel_conv(kernel_.get(), nullptr));
  expect_null("kernel", convgen_kernel_get_info(nullptr, &info));
  expect_null("info", convgen_kernel_get_info(kernel_.get(), nullptr));
  expect_null("kernel", convgen_kernel_wait(nullptr, 0, &decided));
  expect_null("decided", convgen_kernel_wait(kernel_.get(), 0, nullptr));
  expect_null("kernel", convgen_kernel_compile_status(nullptr));
  expect_null("kernel", convgen_kernel_verify(nullptr, nullptr, &report));
  expect_null("report", convgen_kernel_verify(kernel_.get(), nullptr, nullptr));
}

TEST_F(CApiRefusalTest, NullInPacking) {
  convgen_packed_weights_info info = CONVGEN_PACKED_WEIGHTS_INFO_INIT;
  const float* weights = tensors_.weights.data();
  const CPacked packed = c_pack(kernel_, tensors_.weights);
  expect_null<convgen_packed_weights>(
      "kernel", [&](auto out) { return convgen_kernel_pack(nullptr, weights, out); });
  expect_null<convgen_packed_weights>(
      "weights", [&](auto out) { return convgen_kernel_pack(kernel_.get(), nullptr, out); });
  expect_null("packed", convgen_kernel_pack(kernel_.get(), weights, nullptr));
  expect_null("packed", convgen_packed_weights_get_info(nullptr, &info));
  expect_null("info", convgen_packed_weights_get_info(packed.get(), nullptr));
}

TEST_F(CApiRefusalTest, NullInTuning) {
  convgen_tune_info info = CONVGEN_TUNE_INFO_INIT;
  expect_null<convgen_tune_result>(
      "engine", [&](auto out) { return convgen_engine_tune(nullptr, conv_.get(), nullptr, out); });
  expect_null<convgen_tune_result>(
      "conv", [&](auto out) { return convgen_engine_tune(engine_.get(), nullptr, nullptr, out); });
  expect_null("result", convgen_engine_tune(engine_.get(), conv_.get(), nullptr, nullptr));
  expect_null("result", convgen_tune_result_get_info(nullptr, &info));
  const CTuneResult result(new convgen_tune_result{});
  expect_null("info", convgen_tune_result_get_info(result.get(), nullptr));
}

TEST_F(CApiRefusalTest, NullToFreeIsFine) {
  convgen_conv_free(nullptr);
  convgen_engine_free(nullptr);
  convgen_kernel_free(nullptr);
  convgen_packed_weights_free(nullptr);
  convgen_thread_pool_free(nullptr);
  convgen_tune_result_free(nullptr);
}

// --- Running ---

TEST_F(CApiRefusalTest, RunNamesWhatIsMissing) {
  const convgen_run_args good = c_args(tensors_, dst_);
  expect_null("kernel", convgen_kernel_run(nullptr, &good));
  expect_null("args", convgen_kernel_run(kernel_.get(), nullptr));
  const auto refused = [&](const std::string& message, auto spoil) {
    convgen_run_args args = good;
    spoil(args);
    expect(CONVGEN_INVALID_ARGUMENT, convgen_kernel_run(kernel_.get(), &args), message);
  };
  const CPacked packed = c_pack(kernel_, tensors_.weights);
  const CPool pool = c_pool(1);
  const convgen_parallel_for nothing{nullptr, nullptr};
  refused("src: null", [](auto& args) { args.src = nullptr; });
  refused("dst: null", [](auto& args) { args.dst = nullptr; });
  refused("weights: give either weights or packed weights",
          [](auto& args) { args.weights = nullptr; });
  refused("weights: give either weights or packed weights",
          [&](auto& args) { args.packed = packed.get(); });
  refused("bias: null, but the post-op chain uses it", [](auto& args) { args.bias = nullptr; });
  refused("add: null, but the post-op chain uses it", [](auto& args) { args.add = nullptr; });
  refused("scale: null, but the post-op chain uses it", [](auto& args) { args.scale = nullptr; });
  refused("parallel_for.run: null", [&](auto& args) { args.parallel_for = &nothing; });
  refused("pool: give either parallel_for or pool",
          [&](auto& args) { args.parallel_for = &nothing, args.pool = pool.get(); });
  refused("scratch: 0x40000004 found, must be aligned to 64 bytes",
          [&](auto& args) { args.scratch = reinterpret_cast<void*>(0x40000004); });
  EXPECT_EQ(dst_, std::vector<float>(dst_.size(), 77.0f));
}

TEST_F(CApiRefusalTest, ForeignPackedWeights) {
  const CKernel other = c_kernel(engine_, "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:1x1x5x9");
  const CPacked foreign = c_pack(other, tensors_.weights);
  convgen_run_args args = c_args(tensors_, dst_);
  args.weights = nullptr;
  args.packed = foreign.get();
  expect(CONVGEN_INVALID_ARGUMENT, convgen_kernel_run(kernel_.get(), &args),
         std::string("packed: order ") + c_info(other.get()).packed_tag +
             " found, the kernel reads " + c_info(kernel_.get()).packed_tag);
  EXPECT_EQ(dst_, std::vector<float>(dst_.size(), 77.0f));
}

// --- Versions ---

TEST_F(CApiRefusalTest, AnotherAbiVersion) {
  convgen_engine* engine = garbage<convgen_engine>();
  expect(CONVGEN_UNSUPPORTED, convgen_engine_create(CONVGEN_ABI_VERSION + 1, nullptr, &engine),
         "abi_version: 2 found, the library has 1; the program was compiled with another "
         "convgen.h");
  EXPECT_EQ(engine, nullptr);
}

// call(&value) is refused for each size but value's own, before anything else of it is looked at.
template <typename T, typename Call>
void expect_sizes_checked(const std::string& name, T value, Call call) {
  const auto prefix = [&](size_t size) { return name + ".size: " + std::to_string(size); };
  for (const size_t size : {size_t{0}, size_t{1}, sizeof(T) - 8, sizeof(T) - 1}) {
    value.size = size;
    EXPECT_EQ(call(&value), CONVGEN_INVALID_ARGUMENT) << name << " " << size;
    EXPECT_EQ(std::string(convgen_last_error()).rfind(prefix(size) + " found, at least ", 0), 0u)
        << convgen_last_error();
  }
  for (const size_t size : {sizeof(T) + 1, sizeof(T) + 8, std::numeric_limits<size_t>::max()}) {
    value.size = size;
    EXPECT_EQ(call(&value), CONVGEN_UNSUPPORTED) << name << " " << size;
    EXPECT_EQ(std::string(convgen_last_error()).rfind(prefix(size) + " found, this library ", 0),
              0u)
        << convgen_last_error();
  }
}

TEST_F(CApiRefusalTest, StructsOfOtherSizes) {
  convgen_conv* conv = nullptr;
  convgen_engine* engine = nullptr;
  convgen_kernel* kernel = nullptr;
  convgen_tune_result* tuned = nullptr;
  const convgen_engine* e = engine_.get();
  const convgen_kernel* k = kernel_.get();
  const CPacked packed = c_pack(kernel_, tensors_.weights);
  const CTuneResult result(new convgen_tune_result{});
  expect_sizes_checked("spec", convgen_conv_spec CONVGEN_CONV_SPEC_INIT,
                       [&](auto* p) { return convgen_conv_create(p, &conv); });
  expect_sizes_checked("info", convgen_conv_info CONVGEN_CONV_INFO_INIT,
                       [&](auto* p) { return convgen_conv_get_info(conv_.get(), p); });
  expect_sizes_checked("options", convgen_engine_options CONVGEN_ENGINE_OPTIONS_INIT, [&](auto* p) {
    return convgen_engine_create(CONVGEN_ABI_VERSION, p, &engine);
  });
  expect_sizes_checked("options", convgen_compile_options CONVGEN_COMPILE_OPTIONS_INIT,
                       [&](auto* p) { return convgen_engine_compile(e, conv_.get(), p, &kernel); });
  expect_sizes_checked("options", convgen_compile_options CONVGEN_COMPILE_OPTIONS_INIT,
                       [&](auto* p) { return convgen_engine_compile_text(e, kConv, p, &kernel); });
  expect_sizes_checked(
      "options", convgen_compile_options CONVGEN_COMPILE_OPTIONS_INIT, [&](auto* p) {
        return convgen_engine_compile_constant(e, conv_.get(), tensors_.weights.data(),
                                               tensors_.weights.size(), 0, p, &kernel);
      });
  expect_sizes_checked(
      "options", convgen_prepare_options CONVGEN_PREPARE_OPTIONS_INIT,
      [&](auto* p) { return convgen_engine_prepare(e, nullptr, 0, p, nullptr, nullptr); });
  expect_sizes_checked("options.compile", convgen_compile_options CONVGEN_COMPILE_OPTIONS_INIT,
                       [&](auto* p) {
                         convgen_prepare_options options = CONVGEN_PREPARE_OPTIONS_INIT;
                         options.compile = p;
                         return convgen_engine_prepare(e, nullptr, 0, &options, nullptr, nullptr);
                       });
  expect_sizes_checked("stats", convgen_engine_stats CONVGEN_ENGINE_STATS_INIT,
                       [&](auto* p) { return convgen_engine_get_stats(e, p); });
  expect_sizes_checked("info", convgen_packed_weights_info CONVGEN_PACKED_WEIGHTS_INFO_INIT,
                       [&](auto* p) { return convgen_packed_weights_get_info(packed.get(), p); });
  expect_sizes_checked("info", convgen_kernel_info CONVGEN_KERNEL_INFO_INIT,
                       [&](auto* p) { return convgen_kernel_get_info(k, p); });
  expect_sizes_checked("args", c_args(tensors_, dst_),
                       [&](auto* p) { return convgen_kernel_run(k, p); });
  convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
  expect_sizes_checked("options", convgen_verify_options CONVGEN_VERIFY_OPTIONS_INIT,
                       [&](auto* p) { return convgen_kernel_verify(k, p, &report); });
  expect_sizes_checked("report", report,
                       [&](auto* p) { return convgen_kernel_verify(k, nullptr, p); });
  expect_sizes_checked("options", convgen_tune_options CONVGEN_TUNE_OPTIONS_INIT,
                       [&](auto* p) { return convgen_engine_tune(e, conv_.get(), p, &tuned); });
  expect_sizes_checked("info", convgen_tune_info CONVGEN_TUNE_INFO_INIT,
                       [&](auto* p) { return convgen_tune_result_get_info(result.get(), p); });
}

// --- Values ---

TEST_F(CApiRefusalTest, TextsAreRefusedInTheCppInterfacesWords) {
  for (const char* text : {"", "conv2d", "conv7d src=f32:nhwc:1x6x7x5", "ic3oc4",
                           "conv2d src=f32:nwhc:1x6x7x5 weights=f32:hwio:3x3x5x9",
                           "conv2d_transpose src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9"}) {
    const Status expected = ir::parse_conv(text).status();
    ASSERT_FALSE(expected.ok()) << text;
    convgen_conv* conv = garbage<convgen_conv>();
    expect(static_cast<convgen_status>(expected.code()), convgen_conv_parse(text, &conv),
           expected.message());
    EXPECT_EQ(conv, nullptr);
    convgen_kernel* kernel = garbage<convgen_kernel>();
    expect(static_cast<convgen_status>(expected.code()),
           convgen_engine_compile_text(engine_.get(), text, nullptr, &kernel), expected.message());
    EXPECT_EQ(kernel, nullptr);
  }
}

TEST_F(CApiRefusalTest, SpecsWithWrongFields) {
  const auto refused = [&](const std::string& message, auto spoil) {
    convgen_conv_spec spec = CONVGEN_CONV_SPEC_INIT;
    spec.src_layout = "nhwc";
    spec.weights_layout = "hwio";
    for (int64_t& dim : spec.src_dims) dim = 4;
    for (int64_t& dim : spec.weights_dims) dim = 4;
    spoil(spec);
    convgen_conv* conv = garbage<convgen_conv>();
    expect(CONVGEN_INVALID_ARGUMENT, convgen_conv_create(&spec, &conv), message);
    EXPECT_EQ(conv, nullptr);
  };
  refused("spec.spatial_rank: 0 found, expected 1 to 3", [](auto& s) { s.spatial_rank = 0; });
  refused("spec.spatial_rank: 4 found, expected 1 to 3", [](auto& s) { s.spatial_rank = 4; });
  refused("spec.src_layout: null", [](auto& s) { s.src_layout = nullptr; });
  refused("spec.weights_layout: null", [](auto& s) { s.weights_layout = nullptr; });
  refused("spec.pads: 3 found, expected 0 to 2", [](auto& s) { s.pads = 3; });
  refused("spec.pads: -1 found, expected 0 to 2", [](auto& s) { s.pads = -1; });
  refused("spec.pads_begin: 2 found, must be 0 where pads follow from the sizes",
          [](auto& s) { s.pads = CONVGEN_PADS_SAME, s.pads_end[1] = 2; });
  refused("post: \"relu strides=2x2\" found, blanks are not allowed",
          [](auto& s) { s.post = "relu strides=2x2"; });
  refused("post: \"relu \\x1b[31m\" found, blanks are not allowed",
          [](auto& s) { s.post = "relu \x1b[31m"; });
  refused("groups=0: must be at least 1", [](auto& s) { s.groups = 0; });
}

TEST_F(CApiRefusalTest, NumbersThatAreNoChoice) {
  convgen_engine* engine = nullptr;
  const auto engine_refused = [&](const std::string& message, auto spoil) {
    convgen_engine_options options = CONVGEN_ENGINE_OPTIONS_INIT;
    spoil(options);
    expect(CONVGEN_INVALID_ARGUMENT, convgen_engine_create(CONVGEN_ABI_VERSION, &options, &engine),
           message);
  };
  engine_refused("options.verify: 2 found, expected 0 to 1", [](auto& o) { o.verify = 2; });
  engine_refused("options.cache_max_bytes: -2 found, must be at least -1",
                 [](auto& o) { o.cache_max_bytes = -2; });
  engine_refused("options.memory_max_bytes: -2 found, must be at least -1",
                 [](auto& o) { o.memory_max_bytes = -2; });

  convgen_kernel* kernel = nullptr;
  const auto compile_refused = [&](const std::string& message, auto spoil) {
    convgen_compile_options options = CONVGEN_COMPILE_OPTIONS_INIT;
    spoil(options);
    expect(CONVGEN_INVALID_ARGUMENT,
           convgen_engine_compile(engine_.get(), conv_.get(), &options, &kernel), message);
  };
  compile_refused("options.engine: 2 found, expected 0 to 1", [](auto& o) { o.engine = 2; });
  compile_refused("options.mode: -1 found, expected 0 to 2", [](auto& o) { o.mode = -1; });
  compile_refused("options.threads: 0 found, must be at least 1", [](auto& o) { o.threads = 0; });
  compile_refused("options.deadline_ms: -1 found, must be at least 0",
                  [](auto& o) { o.deadline_ms = -1; });

  convgen_verify_options verify = CONVGEN_VERIFY_OPTIONS_INIT;
  convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
  verify.data = 3;
  expect(CONVGEN_INVALID_ARGUMENT, convgen_kernel_verify(kernel_.get(), &verify, &report),
         "options.data: 3 found, expected 0 to 2");
  int32_t decided = 0;
  expect(CONVGEN_INVALID_ARGUMENT, convgen_kernel_wait(kernel_.get(), -1, &decided),
         "timeout_ns: -1 found, must be at least 0");
  convgen_thread_pool* pool = nullptr;
  expect(CONVGEN_INVALID_ARGUMENT, convgen_thread_pool_create(0, &pool),
         "threads: 0 found, must be at least 1");
  convgen_tune_result* tuned = nullptr;
  convgen_tune_options tune = CONVGEN_TUNE_OPTIONS_INIT;
  tune.candidates = 0;
  expect(CONVGEN_INVALID_ARGUMENT, convgen_engine_tune(engine_.get(), conv_.get(), &tune, &tuned),
         "options.candidates: 0 found, must be at least 1");
}

TEST_F(CApiRefusalTest, WrongNumbersOfConstants) {
  const size_t known = tensors_.weights.size();
  for (const size_t count : {size_t{0}, known - 1, known + 1, std::numeric_limits<size_t>::max()}) {
    convgen_kernel* kernel = garbage<convgen_kernel>();
    expect(CONVGEN_INVALID_ARGUMENT,
           convgen_engine_compile_constant(engine_.get(), conv_.get(), tensors_.weights.data(),
                                           count, 0, nullptr, &kernel),
           "count: " + std::to_string(count) + " constant weights found, the conv has 405");
    EXPECT_EQ(kernel, nullptr);
  }
}

TEST_F(CApiRefusalTest, UnknownWordsAndFiles) {
  convgen_engine* engine = nullptr;
  convgen_engine_options options = CONVGEN_ENGINE_OPTIONS_INIT;
  options.mcpu = "no-such-cpu";
  EXPECT_EQ(convgen_engine_create(CONVGEN_ABI_VERSION, &options, &engine),
            CONVGEN_INVALID_ARGUMENT);
  EXPECT_NE(std::string(convgen_last_error()).find("no-such-cpu"), std::string::npos);
  options = CONVGEN_ENGINE_OPTIONS_INIT;
  options.jit_profile = "no-such-tool";
  EXPECT_EQ(convgen_engine_create(CONVGEN_ABI_VERSION, &options, &engine),
            CONVGEN_INVALID_ARGUMENT);
  options = CONVGEN_ENGINE_OPTIONS_INIT;
  options.tuning_file = "/proc/self/mem";
  EXPECT_NE(convgen_engine_create(CONVGEN_ABI_VERSION, &options, &engine), CONVGEN_OK);
  EXPECT_EQ(engine, nullptr);
  convgen_kernel* kernel = nullptr;
  convgen_compile_options compile = CONVGEN_COMPILE_OPTIONS_INIT;
  compile.schedule = "no-such-word";
  EXPECT_EQ(convgen_engine_compile(engine_.get(), conv_.get(), &compile, &kernel),
            CONVGEN_INVALID_ARGUMENT);
  EXPECT_NE(std::string(convgen_last_error()).find("no-such-word"), std::string::npos);
}

}  // namespace
}  // namespace convgen
