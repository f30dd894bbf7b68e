// SPDX-License-Identifier: Apache-2.0
// Sequences of calls of the C interface, one a byte: handles made, used and freed in any order,
// with arguments that must be refused. What is refused has words and leaves nothing; what is not
// computes the known answer. Tiny convolutions, and few of them compiled, so that a sequence takes
// milliseconds.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/fuzz/inputs/c_api_cases.h"
#include "tests/fuzz/inputs/c_api_convs.h"
#include "tests/fuzz/inputs/c_api_handles.h"
#include "tests/fuzz/inputs/expect.h"
#include "tests/fuzz/inputs/scratch_directory.h"

namespace convgen::fuzz_inputs {
namespace {

// Lives as long as the process: what it compiled once it has.
const Engine& lasting_engine() {
  static const Engine engine = [] {
    convgen_engine_options options = CONVGEN_ENGINE_OPTIONS_INIT;
    options.use_tuning = 0;
    convgen_engine* made = nullptr;
    expect_done(convgen_engine_create(CONVGEN_ABI_VERSION, &options, &made));
    return Engine(made);
  }();
  return engine;
}

// A caller's own threads, of which there are none: two halves, the last one first.
void run_in_halves(void*, int64_t tasks, convgen_task_function body, void* context) {
  if (tasks > tasks / 2) body(context, tasks / 2, tasks);
  if (tasks / 2 > 0) body(context, 0, tasks / 2);
}

class Sequence {
 public:
  explicit Sequence(std::string_view input) : bytes_(input) {}

  void run() {
    using Step = void (Sequence::*)();
    constexpr Step kSteps[] = {&Sequence::parse_conv,
                               &Sequence::create_conv,
                               &Sequence::take_case,
                               &Sequence::create_engine,
                               &Sequence::compile,
                               &Sequence::compile_text,
                               &Sequence::compile_constant,
                               &Sequence::prepare,
                               &Sequence::copy,
                               &Sequence::drop,
                               &Sequence::pack,
                               &Sequence::run_kernel,
                               &Sequence::run_refused,
                               &Sequence::look,
                               &Sequence::wait,
                               &Sequence::verify,
                               &Sequence::tune,
                               &Sequence::clear_cache,
                               &Sequence::call_with_null,
                               &Sequence::make_pool};
    constexpr int kMaxSteps = 64;
    for (int step = 0; step < kMaxSteps && !bytes_.empty(); ++step)
      (this->*kSteps[bytes_.below(std::size(kSteps))])();
  }

 private:
  // --- Arguments ---

  template <typename T>
  typename T::pointer any(const std::vector<T>& from) {
    return from.empty() ? nullptr : from[bytes_.below(from.size())].get();
  }
  const convgen_engine* any_engine() {
    const convgen_engine* engine = bytes_.one_in(3) ? any(engines_) : nullptr;
    return engine == nullptr ? lasting_engine().get() : engine;
  }
  std::string any_text() { return std::string(bytes_.take(bytes_.next())); }
  const CApiCase& any_case() { return c_api_cases()[bytes_.below(c_api_cases().size())]; }
  // A size that a struct has in no version, one time of eight.
  bool spoil(size_t& size) {
    const bool spoiled = bytes_.one_in(8);
    if (spoiled) size = bytes_.one_in(2) ? size + 1 + bytes_.next() : bytes_.below(32);
    return spoiled;
  }
  template <typename Handle>
  void keep(std::vector<Handle>& in, typename Handle::pointer made) {
    constexpr size_t kMost = 6;
    if (made != nullptr) in.emplace_back(made);
    if (in.size() > kMost) in.erase(in.begin());
  }

  // --- Convolutions ---

  void parse_conv() {
    convgen_conv* conv = nullptr;
    const convgen_status status = convgen_conv_parse(any_text().c_str(), &conv);
    expect_either(status, conv);
    expect_told_truly(conv);
    convgen_conv_free(conv);
  }
  void take_case() {
    convgen_conv* conv = nullptr;
    expect_done(convgen_conv_parse(any_case().text.c_str(), &conv));
    keep(convs_, conv);
  }
  void create_conv() {
    CConvFields fields(bytes_);
    convgen_conv_spec& spec = fields.spec;
    const bool spoiled = spoil(spec.size);
    convgen_conv* conv = nullptr;
    const convgen_status status = convgen_conv_create(&spec, &conv);
    expect_either(status, conv);
    expect(!spoiled || conv == nullptr, "structs of other sizes are refused");
    expect_told_truly(conv);
    convgen_conv_free(conv);
  }
  // --- Engines ---

  void create_engine() {
    if (engines_left_-- <= 0) return;
    convgen_engine_options options = CONVGEN_ENGINE_OPTIONS_INIT;
    const std::string mcpu = bytes_.one_in(4) ? any_text() : "";
    const std::string profile = bytes_.one_in(4) ? "perf-maps," + any_text() : "";
    options.mcpu = mcpu.c_str();
    options.jit_profile = profile.c_str();
    options.cache_dir = bytes_.one_in(2) ? "" : nullptr;
    if (bytes_.one_in(4)) options.cache_max_bytes = bytes_.next() - 2;
    if (bytes_.one_in(4)) options.memory_max_bytes = bytes_.next() - 2;
    if (bytes_.one_in(4)) options.verify = bytes_.next();
    if (bytes_.one_in(8)) options.tuning_file = "/proc/self/no such file";
    const uint32_t version = bytes_.one_in(8) ? bytes_.next() : CONVGEN_ABI_VERSION;
    const bool spoiled = spoil(options.size);
    const bool illegal = spoiled || version != CONVGEN_ABI_VERSION || !profile.empty() ||
                         options.verify > 1 || options.cache_max_bytes < -1 ||
                         options.memory_max_bytes < -1;
    convgen_engine* engine = nullptr;
    const convgen_status status = convgen_engine_create(version, &options, &engine);
    expect_either(status, engine);
    expect(!illegal || engine == nullptr, "wrong options are refused");
    keep(engines_, engine);
  }
  void clear_cache() {
    if (const convgen_engine* engine = any(engines_))
      expect_done(convgen_engine_clear_cache(engine));
  }

  // --- Kernels ---

  // What may be compiled: machine code a few times, else the generic path.
  convgen_compile_options any_options(std::string& schedule, bool& illegal) {
    convgen_compile_options options = CONVGEN_COMPILE_OPTIONS_INIT;
    options.engine = bytes_.one_in(4) ? CONVGEN_ENGINE_JIT : CONVGEN_ENGINE_GENERIC;
    options.threads = 1 + bytes_.next() % 2;
    if (bytes_.one_in(4)) options.mode = bytes_.next();
    if (bytes_.one_in(8)) options.engine = bytes_.next() - 1;
    if (bytes_.one_in(8)) options.threads = bytes_.next() - 1;
    if (bytes_.one_in(8)) options.deadline_ms = bytes_.next() % 4 - 1;
    const bool spoiled = spoil(options.size);
    illegal = spoiled || options.engine < 0 || options.engine > 1 || options.mode > 2 ||
              options.threads < 1 || options.deadline_ms < 0;
    if (options.engine == CONVGEN_ENGINE_JIT && bytes_.one_in(4)) schedule = any_text();
    options.schedule = schedule.c_str();
    if (!illegal && options.engine == CONVGEN_ENGINE_JIT && machine_code_left_-- <= 0)
      options.engine = CONVGEN_ENGINE_GENERIC;
    return options;
  }
  template <typename Compile>
  void compile_by(Compile call) {
    std::string schedule;
    bool illegal = false;
    const convgen_compile_options options = any_options(schedule, illegal);
    convgen_kernel* kernel = nullptr;
    const convgen_status status = call(&options, &kernel);
    expect_either(status, kernel);
    if (illegal) expect(status != CONVGEN_OK, "wrong options are refused");
    if (!illegal && schedule.find_first_not_of(" \t\n") == schedule.npos) expect_done(status);
    keep(kernels_, kernel);
  }
  void compile() {
    const convgen_conv* conv = any(convs_);
    if (conv == nullptr) return take_case();
    compile_by([&](auto... rest) { return convgen_engine_compile(any_engine(), conv, rest...); });
  }
  void compile_text() {
    const std::string& text = any_case().text;
    compile_by([&](auto... rest) {
      return convgen_engine_compile_text(any_engine(), text.c_str(), rest...);
    });
  }
  void compile_constant() {
    const convgen_conv* conv = any(convs_);
    if (conv == nullptr) return take_case();
    convgen_conv_info info = CONVGEN_CONV_INFO_INIT;
    expect_done(convgen_conv_get_info(conv, &info));
    const std::vector<float>& weights = case_of(info.text).weights;
    convgen_kernel* kernel = nullptr;
    if (bytes_.one_in(4)) {
      const size_t other = weights.size() + 1 + bytes_.next();
      return expect_refused(convgen_engine_compile_constant(
          lasting_engine().get(), conv, weights.data(), other, 0, nullptr, &kernel));
    }
    const convgen_engine* engine = any_engine();
    const int32_t assume_finite = bytes_.next() % 2;
    compile_by([&](auto... rest) {
      return convgen_engine_compile_constant(engine, conv, weights.data(), weights.size(),
                                             assume_finite, rest...);
    });
  }
  void prepare() {
    std::vector<const convgen_conv*> convs;
    for (const Conv& conv : convs_) convs.push_back(conv.get());
    const bool has_null = bytes_.one_in(4);
    if (has_null) convs.push_back(nullptr);
    convgen_compile_options compile = CONVGEN_COMPILE_OPTIONS_INIT;
    compile.engine = CONVGEN_ENGINE_GENERIC;
    convgen_prepare_options options = CONVGEN_PREPARE_OPTIONS_INIT;
    options.compile = &compile;
    options.progress = [](void* last, size_t done, size_t all) {
      expect(done <= all, "no more is done than there is");
      *static_cast<size_t*>(last) = done;
    };
    size_t last = 0;
    options.context = &last;
    options.threads = static_cast<int32_t>(bytes_.below(4)) - 1;
    const bool illegal = spoil(options.size) || has_null || options.threads < 0;
    std::vector<convgen_kernel*> kernels(convs.size());
    std::vector<convgen_status> statuses(convs.size());
    const convgen_engine* engine = any_engine();
    convgen_status* told = bytes_.one_in(2) ? statuses.data() : nullptr;
    const convgen_status status =
        convgen_engine_prepare(engine, convs.data(), convs.size(), &options, kernels.data(), told);
    illegal ? expect_refused(status) : expect_done(status);
    expect(illegal || last == convs.size(), "all of it is told");
    for (convgen_kernel* kernel : kernels) {
      expect((kernel == nullptr) == illegal, "there is a kernel for each, or none");
      keep(kernels_, kernel);
    }
  }

  void copy() {
    convgen_engine* engine = nullptr;
    convgen_kernel* kernel = nullptr;
    convgen_conv* conv = nullptr;
    expect_done(convgen_engine_copy(any_engine(), &engine));
    keep(engines_, engine);
    const convgen_kernel* from = any(kernels_);
    if (from == nullptr) return;
    expect_done(convgen_kernel_copy(from, &kernel));
    expect_done(convgen_kernel_conv(from, &conv));
    keep(kernels_, kernel);
    keep(convs_, conv);
  }
  template <typename T>
  void drop_from(std::vector<T>& handles) {
    if (handles.empty()) return;
    handles.erase(handles.begin() + static_cast<ptrdiff_t>(bytes_.below(handles.size())));
  }
  void drop() {
    const size_t which = bytes_.below(5);
    if (which == 0) drop_from(engines_);
    if (which == 1) drop_from(convs_);
    if (which == 2) drop_from(kernels_);
    if (which == 3) drop_from(packed_);
    if (which == 4) pool_.reset();
  }
  void make_pool() {
    convgen_thread_pool* pool = nullptr;
    const auto threads = static_cast<int32_t>(bytes_.below(4));
    const convgen_status status = convgen_thread_pool_create(threads, &pool);
    threads < 1 ? expect_refused(status) : expect_done(status);
    int32_t found = 0;
    if (pool != nullptr) expect_done(convgen_thread_pool_threads(pool, &found));
    expect(found <= std::max(threads, 0), "no more threads than asked for");
    pool_.reset(pool);
  }

  static convgen_kernel_info info_of(const convgen_kernel* kernel) {
    convgen_kernel_info info = CONVGEN_KERNEL_INFO_INIT;
    expect_done(convgen_kernel_get_info(kernel, &info));
    return info;
  }
  static const CApiCase& case_of_kernel(const convgen_kernel* kernel) {
    convgen_conv* conv = nullptr;
    expect_done(convgen_kernel_conv(kernel, &conv));
    convgen_conv_info info = CONVGEN_CONV_INFO_INIT;
    expect_done(convgen_conv_get_info(conv, &info));
    const CApiCase& found = case_of(info.text);
    convgen_conv_free(conv);
    return found;
  }
  void pack() {
    const convgen_kernel* kernel = any(kernels_);
    if (kernel == nullptr) return;
    convgen_packed_weights* packed = nullptr;
    expect_done(convgen_kernel_pack(kernel, case_of_kernel(kernel).weights.data(), &packed));
    convgen_packed_weights_info info = CONVGEN_PACKED_WEIGHTS_INFO_INIT;
    expect_done(convgen_packed_weights_get_info(packed, &info));
    expect(reinterpret_cast<uintptr_t>(info.data) % 64 == 0, "packed weights are aligned");
    keep(packed_, packed);
  }

  convgen_run_args legal_args(const convgen_kernel* kernel, const CApiCase& now,
                              std::vector<float>& dst) {
    convgen_run_args args = args_of(now, dst);
    if (info_of(kernel).constant) args.weights = nullptr;
    if (bytes_.one_in(2)) args.pool = pool_.get();
    static const convgen_parallel_for kHalves = {nullptr, run_in_halves};
    if (args.pool == nullptr && bytes_.one_in(3)) args.parallel_for = &kHalves;
    return args;
  }
  void run_kernel() {
    const convgen_kernel* kernel = any(kernels_);
    if (kernel == nullptr) return;
    const CApiCase& now = case_of_kernel(kernel);
    std::vector<float> dst;
    const convgen_run_args args = legal_args(kernel, now, dst);
    expect_done(convgen_kernel_run(kernel, &args));
    const convgen_kernel_info info = info_of(kernel);
    expect_answer(now, dst, info.winograd_tile, info.schedule);
    run_packed(kernel, now);
  }
  // Packed weights of whichever kernel: taken where the tags are equal. Others are refused, but by
  // kernels that began on the generic path, whose weights stay good.
  void run_packed(const convgen_kernel* kernel, const CApiCase& now) {
    const convgen_packed_weights* packed = any(packed_);
    const convgen_kernel_info info = info_of(kernel);
    if (packed == nullptr || info.constant || info.pending || now.conv.dst_elements() == 0) return;
    std::vector<float> dst;
    convgen_run_args args = args_of(now, dst);
    args.weights = nullptr;
    args.packed = packed;
    convgen_packed_weights_info found = CONVGEN_PACKED_WEIGHTS_INFO_INIT;
    expect_done(convgen_packed_weights_get_info(packed, &found));
    const bool fits = std::strcmp(found.tag, info.packed_tag) == 0;
    const convgen_status status = convgen_kernel_run(kernel, &args);
    if (status == CONVGEN_OK) return expect_answer(now, dst, info.winograd_tile, info.schedule);
    expect(!fits, "packed weights with the kernel's tag are taken", convgen_last_error());
    expect_refused(status);
  }
  void run_refused() {
    const convgen_kernel* kernel = any(kernels_);
    if (kernel == nullptr) return;
    const CApiCase& now = case_of_kernel(kernel);
    if (now.conv.dst_elements() == 0) return;
    std::vector<float> dst;
    convgen_run_args args = args_of(now, dst);
    const bool constant = info_of(kernel).constant != 0;
    const convgen_parallel_for no_run = {nullptr, nullptr};
    switch (bytes_.below(8)) {
      case 0:
        args.src = nullptr;
        break;
      case 1:
        args.dst = nullptr;
        break;
      case 2:
        args.weights = constant ? args.weights : nullptr;
        break;
      case 3:
        args.scratch = dst.data() + (reinterpret_cast<uintptr_t>(dst.data()) % 64 == 0);
        break;
      case 4:
        args.parallel_for = &no_run;
        break;
      case 5:
        args.size = bytes_.below(88);
        break;
      case 6:
        args.size = sizeof args + 1 + bytes_.next();
        break;
      default:
        if (now.bias.empty() && now.add.empty() && now.scale.empty()) return;
        args.bias = args.add = args.scale = nullptr;
    }
    expect_refused(convgen_kernel_run(kernel, &args));
    expect(std::ranges::all_of(dst, [](float y) { return y != y; }),
           "a run that is refused writes nothing");
  }

  // --- Questions ---

  void look() {
    const convgen_engine* engine = any_engine();
    const char* target = nullptr;
    convgen_engine_stats stats = CONVGEN_ENGINE_STATS_INIT;
    expect_done(convgen_engine_target(engine, &target));
    const bool spoiled = spoil(stats.size);
    const convgen_status status = convgen_engine_get_stats(engine, &stats);
    spoiled ? expect_refused(status) : expect_done(status);
    expect_done(convgen_engine_store_status(engine));
    const std::string name = convgen_status_name(bytes_.next() - 4);
    expect(!name.empty() && convgen_version()[0] != 0 && convgen_abi_version() == 1, "names");
    if (const convgen_kernel* kernel = any(kernels_)) {
      expect_done(convgen_kernel_compile_status(kernel));
      expect(std::string(info_of(kernel).signature).starts_with(case_of_kernel(kernel).text),
             "signatures begin with the text", info_of(kernel).signature);
    }
  }
  void wait() {
    const convgen_kernel* kernel = any(kernels_);
    if (kernel == nullptr) return;
    int32_t decided = 0;
    const int64_t ns =
        bytes_.one_in(4) ? -1 - int64_t{bytes_.next()} : int64_t{1000} * bytes_.next();
    const convgen_status status = convgen_kernel_wait(kernel, ns, &decided);
    ns < 0 ? expect_refused(status) : expect_done(status);
  }
  void verify() {
    const convgen_kernel* kernel = any(kernels_);
    if (kernel == nullptr) return;
    convgen_verify_options options = CONVGEN_VERIFY_OPTIONS_INIT;
    options.seed = bytes_.next();
    options.max_multiply_adds = 1e4;
    options.data = static_cast<int32_t>(bytes_.below(5)) - 1;
    convgen_verify_report report = CONVGEN_VERIFY_REPORT_INIT;
    const bool spoiled = spoil(options.size);
    const bool illegal = spoil(report.size) || spoiled || options.data < 0 || options.data > 2;
    const convgen_status status = convgen_kernel_verify(kernel, &options, &report);
    illegal ? expect_refused(status) : expect_done(status);
    expect(illegal || report.pass == 1, "kernels are right", report.failure);
  }
  void tune() {
    const convgen_conv* conv = any(convs_);
    if (conv == nullptr || tunings_left_-- <= 0) return;
    convgen_tune_options options = CONVGEN_TUNE_OPTIONS_INIT;
    options.seconds = 1e-3;
    options.candidates = static_cast<int32_t>(bytes_.below(3));
    options.threads = static_cast<int32_t>(bytes_.below(3));
    auto calls_left = static_cast<int>(bytes_.below(4));
    options.context = &calls_left;
    options.progress = [](void* left, int32_t, int32_t, int32_t, double) -> int32_t {
      return (*static_cast<int*>(left))-- > 0;
    };
    const std::string file = tuning_file(bytes_.below(3));
    options.file = file.c_str();
    const bool illegal = spoil(options.size) || options.candidates < 1 || options.threads < 1;
    convgen_tune_result* result = nullptr;
    const convgen_status status =
        convgen_engine_tune(lasting_engine().get(), conv, &options, &result);
    expect_either(status, result);
    expect(!illegal || result == nullptr, "wrong options are refused");
    const TuneResult owned(result);
    if (result == nullptr) return;
    convgen_tune_info info = CONVGEN_TUNE_INFO_INIT;
    expect_done(convgen_tune_result_get_info(result, &info));
    expect(info.schedule != nullptr && info.end >= CONVGEN_TUNE_KEPT &&
               info.end <= CONVGEN_TUNE_EMPTY && info.timed <= info.candidates,
           "a result says how it ended");
  }
  // Of this process; in a place where there is none; or none at all.
  static std::string tuning_file(size_t which) {
    static const ScratchDirectory directory;
    return which == 0   ? directory.path() + "/tuning"
           : which == 1 ? "/proc/self/no such directory/tuning"
                        : "";
  }

  void call_with_null() {
    convgen_conv* conv = nullptr;
    convgen_engine* engine = nullptr;
    convgen_kernel* kernel = nullptr;
    const CApiCase& now = any_case();
    switch (bytes_.below(8)) {
      case 0:
        return expect_refused(convgen_conv_parse(nullptr, &conv));
      case 1:
        return expect_refused(convgen_conv_parse(now.text.c_str(), nullptr));
      case 2:
        return expect_refused(convgen_engine_copy(nullptr, &engine));
      case 3:
        return expect_refused(
            convgen_engine_compile_text(nullptr, now.text.c_str(), nullptr, &kernel));
      case 4:
        return expect_refused(
            convgen_engine_compile(lasting_engine().get(), nullptr, nullptr, &kernel));
      case 5:
        return expect_refused(convgen_kernel_run(any(kernels_), nullptr));
      case 6:
        return expect_refused(convgen_kernel_pack(any(kernels_), nullptr, nullptr));
      default:
        convgen_kernel_free(nullptr);
        convgen_engine_free(nullptr);
        convgen_conv_free(nullptr);
    }
  }

  Bytes bytes_;
  int engines_left_ = 1;
  int machine_code_left_ = 2;
  int tunings_left_ = 1;
  std::vector<Engine> engines_;
  std::vector<Conv> convs_;
  std::vector<Kernel> kernels_;
  std::vector<Packed> packed_;
  Pool pool_;
};

}  // namespace
}  // namespace convgen::fuzz_inputs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace convgen::fuzz_inputs;  // NOLINT: it is all about them
  // Neither kept kernels nor a tuning file of the user decide.
  static const int unset = ::setenv("CONVGEN_CACHE_DIR", "", 1);
  if (unset == 0) Sequence(text_of(data, size)).run();
  return 0;
}
