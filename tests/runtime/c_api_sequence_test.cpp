// SPDX-License-Identifier: Apache-2.0
// Random sequences of calls: handles made, copied, used and freed in every order that convgen.h
// allows. Results are known to the bit. Under asan, what outlives what is watched as well.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/c_api.h"
#include "tests/support/random.h"
#include "tests/support/soak.h"

namespace convgen {
namespace {

using namespace convgen::testing;  // NOLINT: every helper of the file

const char* const kTexts[] = {
    "conv2d src=f32:nhwc:1x6x7x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=bias,relu",
    "conv2d src=f32:nhwc:1x9x4x5 weights=f32:hwio:3x3x5x9 pads=1x1 post=add",
    "conv1d src=f32:ncw:2x6x30 weights=f32:oiw:20x3x5 strides=2 groups=2 post=scale",
    "conv2d src=f32:nhwc:0x6x7x5 weights=f32:hwio:3x3x5x9 post=bias",
};

struct Case {
  HostTensors tensors;
  std::vector<float> expected;
};

// Integers: one answer, whatever computes.
const Case& case_of(size_t text) {
  static const std::vector<Case> cases = [] {
    std::vector<Case> made;
    const Engine engine = make_engine();
    for (const char* each : kTexts) {
      const Kernel kernel = compile_kernel(engine, conv_of(each), generic_engine());
      const HostTensors tensors = random_tensors(kernel.conv(), 4, Data::kIntegers);
      std::vector<float> expected = run_kernel(kernel, tensors);
      EXPECT_TRUE(matches_interpreter(kernel.conv(), tensors, expected, true)) << each;
      made.push_back({tensors, std::move(expected)});
    }
    return made;
  }();
  return cases[text];
}

struct KernelOf {
  CKernel handle;
  size_t text;
  bool constant;
};
struct PackedOf {
  CPacked handle;
  size_t text;
};

class Sequence {
 public:
  explicit Sequence(uint64_t seed) : random_(seed) {}

  void step() {
    using Step = void (Sequence::*)();
    constexpr Step kSteps[] = {
        &Sequence::make_engine_handle,
        &Sequence::copy_engine,
        &Sequence::drop_engine,
        &Sequence::make_conv,
        &Sequence::drop_conv,
        &Sequence::conv_of_kernel,
        &Sequence::compile,
        &Sequence::compile,
        &Sequence::compile_constant,
        &Sequence::prepare,
        &Sequence::copy_kernel,
        &Sequence::drop_kernel,
        &Sequence::pack,
        &Sequence::drop_packed,
        &Sequence::swap_pool,
        &Sequence::run,
        &Sequence::run,
        &Sequence::run,
        &Sequence::look,
        &Sequence::clear_cache,
        &Sequence::fail,
    };
    (this->*kSteps[random_.below(std::size(kSteps))])();
  }

 private:
  template <typename T>
  T* any(std::vector<T>& from) {
    return from.empty()
               ? nullptr
               : &from[static_cast<size_t>(random_.below(static_cast<int64_t>(from.size())))];
  }
  template <typename T>
  void drop(std::vector<T>& from) {
    if (T* one = any(from)) {
      std::swap(*one, from.back());
      from.pop_back();
    }
  }
  template <typename T>
  void keep(std::vector<T>& in, T one, size_t most) {
    in.push_back(std::move(one));
    while (in.size() > most) drop(in);
  }
  size_t any_text() { return static_cast<size_t>(random_.below(std::size(kTexts))); }

  void make_engine_handle() {
    if (engines_.empty() || random_.one_in(4)) keep(engines_, c_engine(), 2);
  }
  void copy_engine() {
    CEngine* engine = any(engines_);
    if (engine == nullptr) return;
    convgen_engine* copy = nullptr;
    EXPECT_C_OK(convgen_engine_copy(engine->get(), &copy));
    keep(engines_, CEngine(copy), 2);
  }
  void drop_engine() {
    if (random_.one_in(4)) drop(engines_);
  }

  void make_conv() {
    const size_t text = any_text();
    keep(convs_, {c_conv(kTexts[text]), text}, 4);
  }
  void drop_conv() { drop(convs_); }
  void conv_of_kernel() {
    KernelOf* kernel = any(kernels_);
    if (kernel == nullptr) return;
    convgen_conv* conv = nullptr;
    EXPECT_C_OK(convgen_kernel_conv(kernel->handle.get(), &conv));
    EXPECT_STREQ(c_info(conv).text, kTexts[kernel->text]);
    keep(convs_, {CConv(conv), kernel->text}, 4);
  }

  convgen_compile_options any_options() {
    convgen_compile_options options = CONVGEN_COMPILE_OPTIONS_INIT;
    options.engine = random_.one_in(3) ? CONVGEN_ENGINE_GENERIC : CONVGEN_ENGINE_JIT;
    options.mode = static_cast<int32_t>(random_.below(3));
    options.threads = static_cast<int32_t>(1 + random_.below(2));
    return options;
  }
  void compile() {
    CEngine* engine = any(engines_);
    if (engine == nullptr) return;
    const convgen_compile_options options = any_options();
    auto* conv = any(convs_);
    if (conv == nullptr || random_.one_in(2)) {
      const size_t text = any_text();
      return keep(kernels_, {c_kernel(*engine, kTexts[text], &options), text, false}, 6);
    }
    convgen_kernel* kernel = nullptr;
    EXPECT_C_OK(convgen_engine_compile(engine->get(), conv->first.get(), &options, &kernel));
    keep(kernels_, {CKernel(kernel), conv->second, false}, 6);
  }
  void compile_constant() {
    CEngine* engine = any(engines_);
    auto* conv = any(convs_);
    if (engine == nullptr || conv == nullptr) return;
    const convgen_compile_options options = any_options();
    const std::vector<float>& weights = case_of(conv->second).tensors.weights;
    convgen_kernel* kernel = nullptr;
    EXPECT_C_OK(convgen_engine_compile_constant(engine->get(), conv->first.get(), weights.data(),
                                                weights.size(), 1, &options, &kernel));
    keep(kernels_, {CKernel(kernel), conv->second, true}, 6);
  }
  void prepare() {
    CEngine* engine = any(engines_);
    if (engine == nullptr) return;
    std::vector<const convgen_conv*> convs;
    for (const auto& conv : convs_) convs.push_back(conv.first.get());
    std::vector<convgen_kernel*> kernels(convs.size());
    EXPECT_C_OK(convgen_engine_prepare(engine->get(), convs.data(), convs.size(), nullptr,
                                       kernels.data(), nullptr));
    for (size_t i = 0; i < kernels.size(); ++i)
      keep(kernels_, {CKernel(kernels[i]), convs_[i].second, false}, 6);
  }

  void copy_kernel() {
    KernelOf* kernel = any(kernels_);
    if (kernel == nullptr) return;
    convgen_kernel* copy = nullptr;
    EXPECT_C_OK(convgen_kernel_copy(kernel->handle.get(), &copy));
    keep(kernels_, {CKernel(copy), kernel->text, kernel->constant}, 6);
  }
  void drop_kernel() { drop(kernels_); }
  void pack() {
    KernelOf* kernel = any(kernels_);
    if (kernel == nullptr) return;
    keep(packed_, {c_pack(kernel->handle, case_of(kernel->text).tensors.weights), kernel->text}, 4);
  }
  void drop_packed() { drop(packed_); }
  void swap_pool() {
    pool_ = random_.one_in(3) ? nullptr : c_pool(1 + static_cast<int>(random_.below(3)));
  }

  // Packed weights for the kernel, null where there are none that it takes.
  const convgen_packed_weights* packed_for(const KernelOf& kernel) {
    const std::string tag = c_info(kernel.handle.get()).packed_tag;
    for (const PackedOf& packed : packed_) {
      convgen_packed_weights_info info = CONVGEN_PACKED_WEIGHTS_INFO_INIT;
      EXPECT_C_OK(convgen_packed_weights_get_info(packed.handle.get(), &info));
      if (packed.text == kernel.text && tag == info.tag) return packed.handle.get();
    }
    return nullptr;
  }
  void run() {
    KernelOf* kernel = any(kernels_);
    if (kernel == nullptr) return;
    const Case& now = case_of(kernel->text);
    std::vector<float> dst(now.expected.size(), -1);
    convgen_run_args args = c_args(now.tensors, dst);
    args.packed = kernel->constant ? nullptr : packed_for(*kernel);
    if (kernel->constant || args.packed != nullptr) args.weights = nullptr;
    args.pool = pool_.get();
    EXPECT_C_OK(convgen_kernel_run(kernel->handle.get(), &args));
    EXPECT_TRUE(same_bits(now.expected, dst)) << kTexts[kernel->text];
  }

  void look() {
    for (const KernelOf& kernel : kernels_) {
      const std::string signature = c_info(kernel.handle.get()).signature;
      EXPECT_EQ(signature.rfind(kTexts[kernel.text], 0), 0u) << signature;
      int32_t decided = 0;
      EXPECT_C_OK(convgen_kernel_wait(kernel.handle.get(), random_.below(100000), &decided));
    }
  }
  void clear_cache() {
    CEngine* engine = any(engines_);
    if (engine != nullptr) {
      EXPECT_C_OK(convgen_engine_clear_cache(engine->get()));
    }
  }
  void fail() {
    convgen_conv* conv = nullptr;
    EXPECT_EQ(convgen_conv_parse("conv2d src=f32:nwhc:1x2x3x4", &conv), CONVGEN_INVALID_ARGUMENT);
    EXPECT_EQ(conv, nullptr);
  }

  Random random_;
  std::vector<CEngine> engines_;
  std::vector<std::pair<CConv, size_t>> convs_;
  std::vector<KernelOf> kernels_;
  std::vector<PackedOf> packed_;
  CPool pool_;
};

TEST(CApiSequenceTest, AnyLegalOrderIsFine) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(soak_minutes());
  for (int i = 0; i < 6 || std::chrono::steady_clock::now() < end; ++i) {
    const uint64_t seed = mix(test_seed(), static_cast<uint64_t>(i));
    SCOPED_TRACE("sequence " + std::to_string(i) +
                 " of CONVGEN_TEST_SEED=" + std::to_string(test_seed()));
    Sequence sequence(seed);
    for (int step = 0; step < 300; ++step) sequence.step();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace convgen
